"""Arrays that are computed element by element where they are needed: expressions over memory.

Every part of an expression has the expression's shape, broadcasting included, so a view of it is the same expression
over views of its parts. How a view lies in memory is asked of torch, by tensors without data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.scalars import Lines, Scalar
from pyode_bridge.compiled.lowerings.emitter import Move


def laid_out(shape: Sequence[int], dtype: torch.dtype, strides: Sequence[int] | None = None, offset: int = 0) -> Tensor:
    """A tensor without data, row by row where no strides are given."""
    whole = torch.empty(0, dtype=dtype, device="meta")
    if strides is None:
        strides = torch.empty(tuple(shape), device="meta").stride()
    return whole.as_strided(tuple(shape), tuple(strides), offset)


@dataclass(frozen=True, eq=False)
class _LaidOut:
    """Something with a shape and a dtype, those of a tensor without data."""

    layout: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.layout.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.layout.dtype

    @property
    def offset(self) -> int:
        """Of the first element, in elements."""
        return int(self.layout.storage_offset())


@dataclass(frozen=True, eq=False)
class Memory(_LaidOut):
    """Elements in memory, which lie there as those of ``layout`` would.

    Attributes:
        name: the variable that points to it.
    """

    name: str

    def moved(self, move: Move) -> Memory:
        """A view of it; raises RuntimeError where there is none."""
        view = move(self.layout)
        if view is not self.layout and not view._is_view():
            raise RuntimeError("not a view")
        return replace(self, layout=view)

    def memories(self) -> list[Memory]:
        return [self]

    def value(self, lines: Lines, load: Callable[[Memory], Scalar]) -> Scalar:
        """The code of one element; ``load`` gives that of memory."""
        return load(self)


@dataclass(frozen=True, eq=False)
class Known(_LaidOut):
    """One scalar, a number or a variable, for every element."""

    scalar: Scalar

    def moved(self, move: Move) -> Known:
        """It has any shape."""
        return replace(self, layout=laid_out(move(self.layout).shape, self.layout.dtype))

    def memories(self) -> list[Memory]:
        return []

    def value(self, lines: Lines, load: Callable[[Memory], Scalar]) -> Scalar:
        return self.scalar


@dataclass(frozen=True, eq=False)
class Computed:
    """A template over expressions of one shape; ``compute`` is the dtype that it is computed in.

    The template None chooses between the second and the third part by the first.
    """

    template: str | None
    compute: torch.dtype
    dtype: torch.dtype
    parts: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.parts[0].shape)

    @property
    def size(self) -> int:
        """How many operations it is."""
        return 1 + sum(part.size for part in self.parts if isinstance(part, Computed))

    def moved(self, move: Move) -> Computed:
        """The same over views; raises RuntimeError where there are none."""
        return replace(self, parts=tuple(part.moved(move) for part in self.parts))

    def memories(self) -> list[Memory]:
        return [memory for part in self.parts for memory in part.memories()]

    def value(self, lines: Lines, load: Callable[[Memory], Scalar]) -> Scalar:
        values = [part.value(lines, load) for part in self.parts]
        if self.template is None:
            return lines.chosen(values[0], values[1], values[2], self.dtype)
        operands = [(value, part.dtype) for value, part in zip(values, self.parts, strict=True)]
        return lines.apply(self.template, self.compute, operands)


Expression = Memory | Known | Computed
