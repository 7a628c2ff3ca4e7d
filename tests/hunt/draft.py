"""A program under construction: the tensors that it makes, and the lines of its dynamics."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field


@dataclass
class Draft:
    """What features add to.

    In the lines of the dynamics, ``y`` is a tensor of the state and ``d`` its derivative so far, of one shape;
    ``$name`` stands for a thing of the program's, however the dynamics come by it: as a global variable, an
    attribute, an argument.

    Attributes:
        rng: where chances are taken from.
        shape: of ``y``.
        start, end: the first and the last time.
        imports, makings: lines that make the things.
        things: their names.
        inputs: expressions of tensors whose gradients are wanted.
        before, lines: lines of the dynamics, some of which come before all others.
        stops: whether a part of the dynamics is hidden from autograd, so that nobody can say what the derivative with
            respect to the times should be.
        turns: whether something begins or ends within the span, which long steps would miss.
    """

    rng: random.Random
    shape: tuple[int, ...]
    start: float
    end: float
    imports: set[str] = field(default_factory=set)
    makings: list[str] = field(default_factory=list)
    things: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stops: bool = False
    turns: bool = False
    _count: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def name(self, stem: str) -> str:
        """One that nothing has yet."""
        self._count += 1
        return f"{stem}{self._count}"

    def thing(self, value: str, stem: str = "thing") -> str:
        """What the program makes once and the dynamics use."""
        name = self.name(stem)
        self.makings.append(f"{name} = {value}")
        self.things.append(name)
        return name

    def parameter(self, *shape: int, dtype: str = "dtype") -> str:
        """A leaf of autograd."""
        values = f"torch.randn({', '.join(map(str, shape)) if shape else '()'}).to({dtype})"
        as_parameter = self.rng.random() < 0.5
        name = self.thing(f"nn.Parameter({values})" if as_parameter else f"{values}.requires_grad_()", "w")
        self.inputs.append(name)
        return name

    def parameter_like_y(self) -> str:
        """One that broadcasts with ``y``."""
        return self.parameter(*self.rng.choice([self.shape, (), self.shape[-1:]]))

    def constant(self, value: str) -> str:
        """A tensor that needs no gradient."""
        return self.thing(value, "c")

    def module(self, value: str) -> str:
        """A module whose parameters want gradients."""
        name = self.thing(f"{value}.to(dtype)", "net")
        self.inputs.append(f"*{name}.parameters()")
        return name

    def line(self, text: str) -> None:
        self.lines.extend(text.strip("\n").splitlines())

    def add(self, term: str) -> None:
        """Add a term to the derivative."""
        self.line(self.rng.choice([f"d = d + {term}", f"d = {term} + d"]))

    @property
    def later(self) -> tuple[str, str]:
        """A condition on the time that comes true within the span, and a smooth factor that vanishes there."""
        self.turns = True
        middle = round((self.start + self.end) / 2, 3)
        condition = f"t > {middle}" if self.end > self.start else f"t < {middle}"
        return condition, f"torch.exp(-0.1 / ((t - {middle}).abs() + 0.001))"
