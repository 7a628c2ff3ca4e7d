"""Operands that are cut from the state, so that an operation on them is a function of ``(t, y)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class Operand:
    """A tensor of a shape, made by ``made`` from uniform numbers between ``low`` and ``high``."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    made: Callable[[Tensor], Tensor] = lambda numbers: numbers

    @property
    def size(self) -> int:
        return torch.Size(self.shape).numel()


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> Operand:
    return Operand(shape, low, high)


def positive(*shape: int) -> Operand:
    return Operand(shape, 0.1, 2.0)


def whole(*shape: int, low: int = -5, high: int = 5, dtype: torch.dtype = torch.int64) -> Operand:
    """Whole numbers."""
    return Operand(shape, low, high, lambda numbers: numbers.round().to(dtype))


def bits(*shape: int) -> Operand:
    """Booleans."""
    return Operand(shape, -1.0, 1.0, lambda numbers: numbers > 0)


def transposed(*shape: int) -> Operand:
    """Floats that do not lie row by row."""
    return Operand(shape, made=lambda numbers: numbers.reshape(shape[::-1]).permute(*reversed(range(len(shape)))))


@dataclass(frozen=True)
class Given:
    """The arguments of one call: operands, alone or in lists, and values as they are."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def operands(self) -> list[Operand]:
        return [leaf for leaf in pytree.tree_leaves(self.args) if isinstance(leaf, Operand)]

    def called(self, operation: Callable[..., Any], numbers: Sequence[Tensor]) -> list[Tensor]:
        """The tensors that the operation returns when its operands are made of these."""
        left = iter(numbers)
        args = pytree.tree_map(lambda leaf: _cut(leaf, next(left)) if isinstance(leaf, Operand) else leaf, self.args)
        return [leaf for leaf in pytree.tree_leaves(operation(*args, **self.kwargs)) if isinstance(leaf, Tensor)]


def given(*args: Any, **kwargs: Any) -> Given:
    return Given(args, kwargs)


def _cut(operand: Operand, numbers: Tensor) -> Tensor:
    return operand.made(numbers.view(operand.shape))


def state(calls: Sequence[Given], dtype: torch.dtype, seed: int) -> Tensor:
    """Numbers for all operands of some calls, one after another."""
    draws = torch.Generator().manual_seed(seed)
    pieces = [
        torch.empty(operand.size, dtype=dtype).uniform_(operand.low, operand.high, generator=draws)
        for call in calls
        for operand in call.operands()
    ]
    return torch.cat([*pieces, torch.ones(1, dtype=dtype)])  # never empty


def as_function(operation: Callable[..., Any], calls: Sequence[Given]) -> Callable[[Tensor, Tensor], Tensor]:
    """All calls as one function of the state; the results follow one another."""

    def function(t: Tensor, y: Tensor) -> Tensor:
        begin, found = 0, []
        for call in calls:
            sizes = [operand.size for operand in call.operands()]
            numbers = [y[begin + sum(sizes[:place]) : begin + sum(sizes[: place + 1])] for place in range(len(sizes))]
            begin += sum(sizes)
            found += [result.to(y.dtype).reshape(-1) for result in call.called(operation, numbers)]
        return torch.cat(found)

    return function
