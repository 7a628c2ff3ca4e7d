"""What a lowering is given beside its operator's arguments: the node, and the means to write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from pyode_bridge.compiled.lowerings.emitter import Emitter, Move


class LoweringContext:
    """One node of a graph, and the means to write it.

    Arguments that are tensors arrive as the emitter's arrays, or as tensors where their values are known.

    Attributes:
        emitter: writes the code.
        node: what is lowered.
        operator: the node's target.
        dtype, shape: of the result, where it is one tensor.
    """

    def __init__(self, emitter: Emitter[Any], node: fx.Node) -> None:
        self.emitter = emitter
        self.node = node
        self.operator: Any = node.target
        value = node.meta.get("val")
        self.dtype: torch.dtype = getattr(value, "dtype", torch.float64)
        self.shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))

    def array(self, value: Any, dtype: torch.dtype | None = None) -> Any:
        """An argument as an array; a Python number gets a dtype, by default the result's."""
        if isinstance(value, Tensor):
            return self.emitter.constant(value)
        if isinstance(value, (bool, int, float)):
            return self.emitter.constant(torch.tensor(value, dtype=dtype or self.dtype))
        return value

    def pointwise(self, template: str, *operands: Any, compute: torch.dtype | None = None) -> Any:
        """A template over broadcast operands, computed in a dtype, by default the result's."""
        compute = compute or self.dtype
        arrays = [self.array(operand, compute) for operand in operands]
        return self.emitter.pointwise(template, compute, self.dtype, self.shape, arrays)

    def within(self, template: str, *operands: Any) -> Any:
        """The same for a value on the way to the result, of a shape of its own."""
        arrays = [self.array(operand) for operand in operands]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        return self.emitter.pointwise(template, self.dtype, self.dtype, shape, arrays)

    def promoted(self) -> torch.dtype:
        """The dtype in which torch brings the operands together."""
        values: list[Any] = [arg.meta["val"] if isinstance(arg, fx.Node) else arg for arg in self.node.args[:2]]
        return torch.result_type(values[0], values[-1])

    def moved(self, move: Move, *arrays: Any, dtype: torch.dtype | None = None) -> Any:
        """Elements where ``move`` puts them."""
        return self.emitter.moved(move, [self.array(array) for array in arrays], dtype or self.dtype)

    def reshaped(self, array: Any, shape: Sequence[int]) -> Any:
        """The array in another shape."""
        return self.emitter.moved(lambda elements: elements.view(tuple(shape)), [self.array(array)], array.dtype)

    def called(self, kernel: str, *arrays: Any, numbers: Sequence[int]) -> list[Any]:
        """The node's results, which a kernel writes; see `Emitter.called`."""
        results = [(tuple(value.shape), value.dtype) for value in self.values]
        return self.emitter.called(kernel, [self.array(array) for array in arrays], results, *numbers)

    @property
    def values(self) -> tuple[Tensor, ...]:
        """Tensors like the node's results, of which there may be several."""
        value = self.node.meta["val"]
        return tuple(value) if isinstance(value, (tuple, list)) else (value,)

    def product(self, a: Any, b: Any) -> Any:
        """Matrix product."""
        return self.emitter.product(self.array(a), self.array(b), self.dtype)
