"""The point at which functions are traced and compared with torch: the start of a solve, and one beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.jacobians import direction

_GOLDEN = 0.6180339887498949  # its multiples are spread evenly, modulo 1, and lie on no line
OF_THE_STATE = frozenset({"rhs", "jacobian"})


@dataclass(frozen=True)
class Start:
    """Dynamics at the start of a solve.

    Attributes:
        dynamics: what is solved.
        y: the flat state there.
        s, end: the times of start and end, in the solver's direction.
        value: the right-hand side there, by torch; None where nobody looked.
        parts: what the equation has beside the dynamics, by name.
    """

    dynamics: Dynamics
    y: Tensor
    s: float
    end: float
    value: Tensor | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    def vectors(self, name: str) -> tuple[Tensor, ...]:
        """What the function of a name is to be tried with, beside the time."""
        if name in self.parts:
            return self.parts[name].start
        return (self.y,) if name in OF_THE_STATE else (direction(len(self.y), self.y), self.y)

    def beside(self) -> Start:
        """A point close by, where what exists at the start most likely exists, and is another."""
        parts = {name: replace(part, start=tuple(map(_beside, part.start))) for name, part in self.parts.items()}
        return Start(self.dynamics, _beside(self.y), (self.s + self.end) / 2, self.end, parts=parts)


def _beside(vector: Tensor) -> Tensor:
    """Each number is off by a part of its own size, and has the sign that it has at the start, if any."""
    numbers, size = torch.arange(1, len(vector) + 1, dtype=vector.dtype), vector.abs()
    size = torch.where(size > 0, size, size.max() if size.any() else 1.0)
    return vector + size * (1 + numbers * _GOLDEN % 1) / 32
