"""Small graphs: every number is a variable of its own, and no array is left.

For systems of a few components this is what one would write by hand; moving numbers about costs nothing at all, and
products with the zeros of a Jacobian vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.scalars import Lines, Scalar, literal
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.emitter import Move
from pyode_bridge.compiled.lowerings.templates import ADD, COPY, MULTIPLY

MOST_LINES = 600  # beyond, loops are shorter to compile and faster to run


class TooManyScalarsError(UnsupportedDynamicsError):
    """The graph has too many numbers to write each by itself."""

    def __init__(self) -> None:
        super().__init__("its graph has too many numbers")


@dataclass(frozen=True)
class ScalarArray:
    """An array whose elements are scalars; ``values`` is a NumPy array of objects."""

    values: np.ndarray[Any, Any]
    dtype: torch.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)


def _array(values: Sequence[Scalar], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made.reshape(tuple(shape))


class ScalarEmitter:
    """Writes a graph number by number; raises TooManyScalarsError when that gets long."""

    def __init__(self) -> None:
        self._count = 0
        self._code = Lines(self._fresh)

    def _fresh(self) -> str:
        self._count += 1
        if self._count > MOST_LINES:
            raise TooManyScalarsError
        return f"x{self._count}"

    def lines(self) -> list[str]:
        """The code."""
        return self._code.lines

    def work_size(self) -> int:
        """Bytes of memory that the code works in."""
        return 0

    def stop_if(self, condition: str) -> None:
        """Compute nothing more where the condition, Julia's, is true."""
        self._code.lines.append(f"{condition} && return Cint(0)")

    def input(self, name: str, layout: Tensor) -> ScalarArray:
        """An array in memory at the pointer ``name``, laid out as a tensor is."""
        if layout.numel() > MOST_LINES:
            raise TooManyScalarsError
        offsets = torch.arange(_extent(layout)).as_strided(layout.shape, layout.stride()).ravel().tolist()
        values = [self._code.named(f"unsafe_load({name}, {offset + 1})") for offset in offsets]
        return ScalarArray(_array(values, layout.shape), layout.dtype)

    def scalar(self, name: str, dtype: torch.dtype) -> ScalarArray:
        """A scalar variable."""
        return ScalarArray(_array([name], ()), dtype)

    def constant(self, tensor: Tensor) -> ScalarArray:
        """ScalarArray that are known."""
        if tensor.numel() > MOST_LINES:
            raise TooManyScalarsError
        return ScalarArray(_array(tensor.ravel().tolist(), tensor.shape), tensor.dtype)

    def pointwise(
        self,
        template: str,
        compute: torch.dtype,
        dtype: torch.dtype,
        shape: Sequence[int],
        operands: Sequence[ScalarArray],
    ) -> ScalarArray:
        """A template over broadcast operands, computed in one dtype with a result of another."""
        spread = [(np.broadcast_to(operand.values, tuple(shape)).ravel(), operand.dtype) for operand in operands]
        count = int(np.prod(tuple(shape), dtype=int))
        values = [self._code.apply(template, compute, [(part[i], own) for part, own in spread]) for i in range(count)]
        return ScalarArray(_array(values, shape), dtype)

    def choose(
        self, condition: ScalarArray, yes: ScalarArray, no: ScalarArray, dtype: torch.dtype, shape: Sequence[int]
    ) -> ScalarArray:
        """Element by element, one of two."""
        flags, first, second = (
            np.broadcast_to(part.values, tuple(shape)).ravel()
            for part in (condition, self.cast(yes, dtype), self.cast(no, dtype))
        )
        values = [self._code.chosen(*three, dtype) for three in zip(flags, first, second, strict=True)]
        return ScalarArray(_array(values, shape), dtype)

    def cast(self, array: ScalarArray, dtype: torch.dtype) -> ScalarArray:
        """The array in another dtype."""
        return self.pointwise(COPY, dtype, dtype, array.shape, [array])

    def realized(self, array: ScalarArray) -> ScalarArray:
        """The array, to be used more than once."""
        return array

    def moved(self, move: Move, arrays: Sequence[ScalarArray], dtype: torch.dtype) -> ScalarArray:
        """The elements of arrays where ``move``, which only moves elements, puts them; what it adds are zeros."""
        found: list[Scalar] = [torch.zeros((), dtype=dtype).item()]
        numbered = []  # each element as its index in `found`
        for array in arrays:
            numbered.append(torch.arange(len(found), len(found) + array.values.size).reshape(array.shape))
            found += self.cast(array, dtype).values.ravel().tolist()
        result = move(*numbered)
        return ScalarArray(_array([found[index] for index in result.ravel().tolist()], result.shape), dtype)

    def reduced(
        self, array: ScalarArray, dims: Sequence[int], template: str, start: float, dtype: torch.dtype
    ) -> ScalarArray:
        """Elements along dims combined by a template of two, beginning with ``start``; the dims are left out."""
        array = self.cast(array, dtype)
        kept = [dim for dim in range(array.values.ndim) if dim not in dims]
        shape = [array.shape[dim] for dim in kept]
        rows = array.values.transpose(kept + list(dims)).reshape(int(np.prod(shape, dtype=int)), -1)
        return ScalarArray(_array([self._combined(row, template, start, dtype) for row in rows], shape), dtype)

    def _combined(self, row: Any, template: str, start: float, dtype: torch.dtype) -> Scalar:
        total: Scalar = start
        for value in row:
            total = self._code.apply(template, dtype, [(total, dtype), (value, dtype)])
        return total

    def added_at(self, array: ScalarArray, values: ScalarArray, indices: Tensor, dtype: torch.dtype) -> ScalarArray:
        """The array with values added to its elements at flat indices, several to some."""
        made = list(self.cast(array, dtype).values.ravel())
        for index, value in zip(indices.tolist(), self.cast(values, dtype).values.ravel(), strict=True):
            made[index] = self._code.apply(ADD, dtype, [(made[index], dtype), (value, dtype)])
        return ScalarArray(_array(made, array.shape), dtype)

    def product(self, a: ScalarArray, b: ScalarArray, dtype: torch.dtype) -> ScalarArray:
        """Matrix products of ``(..., m, k)`` and ``(..., k, n)``."""
        rows, columns = a.values, b.values
        if rows.size * columns.shape[-1] > MOST_LINES:
            raise TooManyScalarsError
        shape = (*rows.shape[:-1], columns.shape[-1])
        made = np.empty(shape, dtype=object)
        for index in np.ndindex(shape):
            *batch, i, j = index
            made[index] = self._dot(rows[(*batch, i)], columns[(*batch, slice(None), j)], dtype)
        return ScalarArray(made, dtype)

    def _dot(self, row: Any, column: Any, dtype: torch.dtype) -> Scalar:
        total: Scalar = 0.0 if dtype.is_floating_point else 0
        for a, b in zip(row, column, strict=True):
            if isinstance(a, str) and isinstance(b, str) and isinstance(total, str):
                total = self._code.named(f"muladd({a}, {b}, {total})")
                continue
            term = self._code.apply(MULTIPLY, dtype, [(a, dtype), (b, dtype)])
            total = self._code.apply(ADD, dtype, [(total, dtype), (term, dtype)])
        return total

    def called(
        self,
        kernel: str,
        arrays: Sequence[ScalarArray],
        results: Sequence[tuple[Sequence[int], torch.dtype]],
        *numbers: int,
    ) -> list[ScalarArray]:
        """Kernels take memory, which loops have."""
        raise TooManyScalarsError

    def store(self, array: ScalarArray, name: str, offset: int, dtype: torch.dtype, *, may_be_null: bool) -> None:
        """Write the elements to the memory at the pointer ``name``, from an offset, one after another."""
        for index, value in enumerate(self.cast(array, dtype).values.ravel(), offset + 1):
            self._code.lines.append(f"unsafe_store!({name}, {literal(value, dtype)}, {index})")

    def add(self, array: ScalarArray, name: str, offset: int, dtype: torch.dtype) -> None:
        """Add the elements to those in the memory at the pointer ``name`` likewise."""
        for index, value in enumerate(self.cast(array, dtype).values.ravel(), offset + 1):
            sum_ = f"unsafe_load({name}, {index}) + {literal(value, dtype)}"
            self._code.lines.append(f"unsafe_store!({name}, {sum_}, {index})")


def _extent(layout: Tensor) -> int:
    if not layout.numel():
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(layout.shape, layout.stride(), strict=True))
