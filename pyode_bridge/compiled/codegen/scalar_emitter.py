"""Small graphs: every number is a variable of its own, and no array is left.

For systems of a few components this is what one would write by hand; moving numbers about costs nothing at all, and
products with the zeros of a Jacobian vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.scalars import Lines, Scalar, literal
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.templates import ADD, COPY, MULTIPLY

MOST_LINES = 600  # beyond, loops are shorter to compile and faster to run


class TooLargeError(UnsupportedDynamicsError):
    """The graph has too many numbers."""

    def __init__(self) -> None:
        super().__init__("its graph has too many numbers")


@dataclass(frozen=True)
class Numbers:
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


class ByNumber:
    """Writes a graph number by number; raises TooLargeError when that gets long."""

    def __init__(self) -> None:
        self._count = 0
        self._code = Lines(self._fresh)

    def _fresh(self) -> str:
        self._count += 1
        if self._count > MOST_LINES:
            raise TooLargeError
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

    def input(self, name: str, layout: Tensor) -> Numbers:
        """An array in memory at the pointer ``name``, laid out as a tensor is."""
        if layout.numel() > MOST_LINES:
            raise TooLargeError
        places = torch.arange(_extent(layout)).as_strided(layout.shape, layout.stride()).ravel().tolist()
        values = [self._code.named(f"unsafe_load({name}, {place + 1})") for place in places]
        return Numbers(_array(values, layout.shape), layout.dtype)

    def scalar(self, name: str, dtype: torch.dtype) -> Numbers:
        """A scalar variable."""
        return Numbers(_array([name], ()), dtype)

    def constant(self, tensor: Tensor) -> Numbers:
        """Numbers that are known."""
        if tensor.numel() > MOST_LINES:
            raise TooLargeError
        return Numbers(_array(tensor.ravel().tolist(), tensor.shape), tensor.dtype)

    def pointwise(
        self, template: str, compute: torch.dtype, dtype: torch.dtype, shape: Sequence[int], operands: Sequence[Numbers]
    ) -> Numbers:
        """A template over broadcast operands, computed in one dtype with a result of another."""
        spread = [(np.broadcast_to(operand.values, tuple(shape)).ravel(), operand.dtype) for operand in operands]
        count = int(np.prod(tuple(shape), dtype=int))
        values = [self._code.apply(template, compute, [(part[i], own) for part, own in spread]) for i in range(count)]
        return Numbers(_array(values, shape), dtype)

    def choose(
        self, condition: Numbers, yes: Numbers, no: Numbers, dtype: torch.dtype, shape: Sequence[int]
    ) -> Numbers:
        """Element by element, one of two."""
        flags, first, second = (
            np.broadcast_to(part.values, tuple(shape)).ravel()
            for part in (condition, self.cast(yes, dtype), self.cast(no, dtype))
        )
        values = [self._code.chosen(*three, dtype) for three in zip(flags, first, second, strict=True)]
        return Numbers(_array(values, shape), dtype)

    def cast(self, array: Numbers, dtype: torch.dtype) -> Numbers:
        """The array in another dtype."""
        return self.pointwise(COPY, dtype, dtype, array.shape, [array])

    def kept(self, array: Numbers) -> Numbers:
        """The array, to be used more than once."""
        return array

    def moved(self, move: Callable[..., Tensor], arrays: Sequence[Numbers], dtype: torch.dtype) -> Numbers:
        """The elements of arrays where ``move``, which only moves elements, puts them; what it adds are zeros."""
        found: list[Scalar] = [torch.zeros((), dtype=dtype).item()]
        places = []
        for array in arrays:
            places.append(torch.arange(len(found), len(found) + array.values.size).reshape(array.shape))
            found += self.cast(array, dtype).values.ravel().tolist()
        result = move(*places)
        return Numbers(_array([found[place] for place in result.ravel().tolist()], result.shape), dtype)

    def reduced(self, array: Numbers, dims: Sequence[int], template: str, start: float, dtype: torch.dtype) -> Numbers:
        """Elements along dims combined by a template of two, beginning with ``start``; the dims are left out."""
        array = self.cast(array, dtype)
        kept = [dim for dim in range(array.values.ndim) if dim not in dims]
        shape = [array.shape[dim] for dim in kept]
        rows = array.values.transpose(kept + list(dims)).reshape(int(np.prod(shape, dtype=int)), -1)
        return Numbers(_array([self._combined(row, template, start, dtype) for row in rows], shape), dtype)

    def _combined(self, row: Any, template: str, start: float, dtype: torch.dtype) -> Scalar:
        total: Scalar = start
        for value in row:
            total = self._code.apply(template, dtype, [(total, dtype), (value, dtype)])
        return total

    def added_at(self, array: Numbers, values: Numbers, places: Tensor, dtype: torch.dtype) -> Numbers:
        """The array with values added to its elements at places, several to some."""
        made = list(self.cast(array, dtype).values.ravel())
        for place, value in zip(places.tolist(), self.cast(values, dtype).values.ravel(), strict=True):
            made[place] = self._code.apply(ADD, dtype, [(made[place], dtype), (value, dtype)])
        return Numbers(_array(made, array.shape), dtype)

    def product(self, a: Numbers, b: Numbers, dtype: torch.dtype) -> Numbers:
        """Matrix products of ``(..., m, k)`` and ``(..., k, n)``."""
        rows, columns = a.values, b.values
        if rows.size * columns.shape[-1] > MOST_LINES:
            raise TooLargeError
        shape = (*rows.shape[:-1], columns.shape[-1])
        made = np.empty(shape, dtype=object)
        for place in np.ndindex(shape):
            *batch, i, j = place
            made[place] = self._dot(rows[(*batch, i)], columns[(*batch, slice(None), j)], dtype)
        return Numbers(made, dtype)

    def _dot(self, row: Any, column: Any, dtype: torch.dtype) -> Scalar:
        total: Scalar = 0.0 if dtype.is_floating_point else 0
        for a, b in zip(row, column, strict=True):
            if isinstance(a, str) and isinstance(b, str) and isinstance(total, str):
                total = self._code.named(f"muladd({a}, {b}, {total})")
                continue
            term = self._code.apply(MULTIPLY, dtype, [(a, dtype), (b, dtype)])
            total = self._code.apply(ADD, dtype, [(total, dtype), (term, dtype)])
        return total

    def store(self, array: Numbers, name: str, offset: int, dtype: torch.dtype) -> None:
        """Write the elements to the memory at the pointer ``name``, from an offset, one after another."""
        for place, value in enumerate(self.cast(array, dtype).values.ravel(), offset + 1):
            self._code.lines.append(f"unsafe_store!({name}, {literal(value, dtype)}, {place})")


def _extent(layout: Tensor) -> int:
    if not layout.numel():
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(layout.shape, layout.stride(), strict=True))
