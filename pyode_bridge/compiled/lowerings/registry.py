"""The table of operations: what each ATen operation becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

Lowering = Callable[..., Any]
LOWERINGS: dict[Any, Lowering] = {}


def lowers(*operations: Any) -> Callable[[Lowering], Lowering]:
    """Enter a function into the table; it is called with a `Call` and the operation's own arguments."""

    def enter(lowering: Lowering) -> Lowering:
        for operation in operations:
            LOWERINGS[operation] = lowering
        return lowering

    return enter


class Call:
    """One operation of a graph, and the means to write it.

    Arguments that are tensors arrive as the builder's arrays, or as tensors where their values are known.

    Attributes:
        builder: writes the code.
        dtype, shape: of the result, where it is one tensor.
    """

    def __init__(self, builder: Any, node: fx.Node) -> None:
        self.builder = builder
        self.node = node
        self.operation: Any = node.target
        value = node.meta.get("val")
        self.dtype: torch.dtype = getattr(value, "dtype", torch.float64)
        self.shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))

    def array(self, value: Any, dtype: torch.dtype | None = None) -> Any:
        """An argument as an array; a Python number gets a dtype, by default the result's."""
        if isinstance(value, Tensor):
            return self.builder.constant(value)
        if isinstance(value, (bool, int, float)):
            return self.builder.constant(torch.tensor(value, dtype=dtype or self.dtype))
        return value

    def pointwise(self, template: str, *operands: Any, compute: torch.dtype | None = None) -> Any:
        """A template over broadcast operands, computed in a dtype, by default the result's."""
        compute = compute or self.dtype
        arrays = [self.array(operand, compute) for operand in operands]
        return self.builder.pointwise(template, compute, self.dtype, self.shape, arrays)

    def within(self, template: str, *operands: Any) -> Any:
        """The same for a value on the way to the result, of a shape of its own."""
        arrays = [self.array(operand) for operand in operands]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        return self.builder.pointwise(template, self.dtype, self.dtype, shape, arrays)

    def promoted(self) -> torch.dtype:
        """The dtype in which torch brings the operands together."""
        values: list[Any] = [arg.meta["val"] if isinstance(arg, fx.Node) else arg for arg in self.node.args[:2]]
        return torch.result_type(values[0], values[-1])

    def moved(self, move: Callable[..., Tensor], *arrays: Any, dtype: torch.dtype | None = None) -> Any:
        """Elements where ``move`` puts them."""
        return self.builder.moved(move, [self.array(array) for array in arrays], dtype or self.dtype)

    def reshaped(self, array: Any, shape: Sequence[int]) -> Any:
        """The array in another shape."""
        return self.builder.moved(lambda places: places.view(tuple(shape)), [self.array(array)], array.dtype)

    def product(self, a: Any, b: Any) -> Any:
        """Matrix product."""
        return self.builder.product(self.array(a), self.array(b), self.dtype)
