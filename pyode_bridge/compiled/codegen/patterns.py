"""The pattern of a Jacobian: which results of a graph depend on which components of the state.

The lowerings tell it as they tell code: an emitter keeps, in the place of numbers, what each number depends on. What
moves elements moves that, what is pointwise unites it, and reductions and products unite groups of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from pyode_bridge.compiled.capture.tracing import Graph
from pyode_bridge.compiled.codegen.graph_lowering import Output, lower_with
from pyode_bridge.compiled.codegen.pointers import Pointers
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.emitter import Move

_STATE, _RESULT = "y", "out"
MOST_TERMS = 10_000_000  # that are looked at in one step: beyond, all depends on nearly all


def pattern_of(graph: Graph, tensors: Sequence[Tensor], size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows and columns of the entries that the Jacobian of a graph may have, of ``size`` components by as many.

    Args:
        graph: of the time and the state.
        tensors: that may have other values at each solve.
        size, dtype: of the state.

    Raises:
        UnsupportedDynamicsError: an operator has no lowering, or too much depends on too much.
    """
    emitter = PatternEmitter(size)
    lower_with(emitter, graph, [("t",), _STATE], [Output(_RESULT, dtype)], Pointers(tensors, []))
    found = emitter.stored.tocoo()
    return torch.from_numpy(found.row.astype(np.int64)), torch.from_numpy(found.col.astype(np.int64))


@dataclass(frozen=True)
class Dependent:
    """An array of a graph.

    Attributes:
        on: what each element depends on, a row for each, a column for each component of the state; None for nothing.
        shape, dtype: of the array.
        known: the numbers themselves, where they are part of the graph.
    """

    on: sparse.csr_matrix | None
    shape: tuple[int, ...]
    dtype: torch.dtype
    known: Tensor | None = None


class PatternEmitter:
    """An emitter that writes nothing; see `pyode_bridge.compiled.lowerings.emitter.Emitter`.

    Attributes:
        stored: what the results depend on.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.stored = self._nothing(size)

    def lines(self) -> list[str]:
        """No code."""
        return []

    def work_size(self) -> int:
        """No memory."""
        return 0

    def stop_if(self, condition: str) -> None:
        """All is looked at."""

    def input(self, name: str, layout: Tensor) -> Dependent:
        """The state depends on itself, and all else on nothing."""
        on = sparse.identity(self._size, dtype=bool, format="csr") if name == _STATE else None
        return Dependent(on, tuple(layout.shape), layout.dtype)

    def scalar(self, name: str, dtype: torch.dtype) -> Dependent:
        """The time."""
        return Dependent(None, (), dtype)

    def constant(self, tensor: Tensor) -> Dependent:
        """Numbers that are known."""
        return Dependent(None, tuple(tensor.shape), tensor.dtype, tensor)

    def pointwise(
        self,
        template: str,
        compute: torch.dtype,
        dtype: torch.dtype,
        shape: Sequence[int],
        operands: Sequence[Dependent],
    ) -> Dependent:
        """What any of the operands depends on; comparisons and whole numbers have no derivative."""
        return Dependent(self._united(operands, shape) if dtype.is_floating_point else None, tuple(shape), dtype)

    def choose(
        self, condition: Dependent, yes: Dependent, no: Dependent, dtype: torch.dtype, shape: Sequence[int]
    ) -> Dependent:
        """What either depends on."""
        return self.pointwise("", dtype, dtype, shape, (yes, no))

    def cast(self, array: Dependent, dtype: torch.dtype) -> Dependent:
        """The same, of numbers that have derivatives."""
        return replace(array, on=array.on if dtype.is_floating_point else None, dtype=dtype, known=None)

    def realized(self, array: Dependent) -> Dependent:
        """The array."""
        return array

    def moved(self, move: Move, arrays: Sequence[Dependent], dtype: torch.dtype) -> Dependent:
        """The same rows in other places; what is added depends on nothing."""
        numbered, count = [], 1
        for array in arrays:
            elements = prod(array.shape)
            numbered.append(torch.arange(count, count + elements).reshape(array.shape))
            count += elements
        result = move(*numbered)
        shape = tuple(result.shape)
        if all(array.on is None for array in arrays):
            numbers = [array.known for array in arrays if array.known is not None]
            return Dependent(None, shape, dtype, move(*numbers) if len(numbers) == len(arrays) else None)
        rows = sparse.vstack([self._nothing(1), *map(self._rows, arrays)], format="csr")
        return Dependent(rows[result.reshape(-1).numpy()], shape, dtype)

    def reduced(
        self, array: Dependent, dims: Sequence[int], template: str, start: float, dtype: torch.dtype
    ) -> Dependent:
        """What any element of a group depends on."""
        kept = [dim for dim in range(len(array.shape)) if dim not in dims]
        shape = tuple(array.shape[dim] for dim in kept)
        if array.on is None or not dtype.is_floating_point:
            return Dependent(None, shape, dtype)
        order = torch.arange(prod(array.shape)).reshape(array.shape).permute(*kept, *dims).reshape(-1).numpy()
        groups = np.repeat(np.arange(prod(shape)), len(order) // max(1, prod(shape)))
        return Dependent(_any(groups, order, array.on, prod(shape)), shape, dtype)

    def added_at(self, array: Dependent, values: Dependent, indices: Tensor, dtype: torch.dtype) -> Dependent:
        """What was there, and what is added."""
        count = prod(array.shape)
        flat = indices.reshape(-1).numpy()
        added = self._nothing(count) if values.on is None else _any(flat, np.arange(len(flat)), values.on, count)
        return Dependent(_either(self._rows(array), added), array.shape, dtype)

    def product(self, a: Dependent, b: Dependent, dtype: torch.dtype) -> Dependent:
        """What a row of the one or a column of the other depends on, but for what meets zeros that are known."""
        *batch, m, k = a.shape
        n = b.shape[-1]
        shape = (*batch, m, n)
        if a.on is None and b.on is None:
            return Dependent(None, shape, dtype)
        terms = (*batch, m, k, n)
        _check(prod(terms))
        first = torch.arange(prod(a.shape)).reshape(*batch, m, k, 1).expand(terms).reshape(-1).numpy()
        second = torch.arange(prod(b.shape)).reshape(*batch, 1, k, n).expand(terms).reshape(-1).numpy()
        into = torch.arange(prod(shape)).reshape(*batch, m, 1, n).expand(terms).reshape(-1).numpy()
        total = self._nothing(prod(shape))
        for one, own, other, others in ((a, first, b, second), (b, second, a, first)):
            if one.on is not None:
                there = slice(None) if other.known is None else other.known.reshape(-1).numpy()[others] != 0
                total = _either(total, _any(into[there], own[there], one.on, prod(shape)))
        return Dependent(total, shape, dtype)

    def called(
        self,
        kernel: str,
        arrays: Sequence[Dependent],
        results: Sequence[tuple[Sequence[int], torch.dtype]],
        *numbers: int,
    ) -> list[Dependent]:
        """Each number of the results depends on all that any of the arrays does."""
        found = [array.on for array in arrays if array.on is not None]
        if not found:
            return [Dependent(None, tuple(shape), dtype) for shape, dtype in results]
        all_rows = sparse.vstack(found, format="csr")
        one = _any(np.zeros(all_rows.shape[0], dtype=np.int64), np.arange(all_rows.shape[0]), all_rows, 1)
        return [
            Dependent(
                one[np.zeros(prod(shape), dtype=np.int64)] if dtype.is_floating_point else None, tuple(shape), dtype
            )
            for shape, dtype in results
        ]

    def store(self, array: Dependent, name: str, offset: int, dtype: torch.dtype, *, may_be_null: bool) -> None:
        """Keep what the results depend on."""
        self.stored = self._rows(array)

    def add(self, array: Dependent, name: str, offset: int, dtype: torch.dtype) -> None:
        """As `store`."""
        self.stored = self._rows(array)

    def _united(self, operands: Sequence[Dependent], shape: Sequence[int]) -> sparse.csr_matrix | None:
        total = None
        for operand in operands:
            if operand.on is not None:
                rows = self._spread(operand, tuple(shape))
                total = rows if total is None else _either(total, rows)
        return total

    def _spread(self, array: Dependent, shape: tuple[int, ...]) -> sparse.csr_matrix:
        """Its rows, where it is broadcast to a shape."""
        if array.shape == shape:
            return array.on
        numbers = np.arange(prod(array.shape)).reshape(array.shape)
        return self._rows(array)[np.broadcast_to(numbers, shape).reshape(-1)]

    def _rows(self, array: Dependent) -> sparse.csr_matrix:
        return self._nothing(prod(array.shape)) if array.on is None else array.on

    def _nothing(self, rows: int) -> sparse.csr_matrix:
        return sparse.csr_matrix((rows, self._size), dtype=bool)


def _check(terms: int) -> None:
    if terms > MOST_TERMS:
        raise UnsupportedDynamicsError("too many components depend on too many others")


def _either(a: Any, b: Any) -> sparse.csr_matrix:
    _check(a.nnz + b.nnz)
    return (a + b).astype(bool)


def _any(into: Any, of: Any, on: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """A row for each of ``count`` groups: what any of the rows ``of`` that goes ``into`` it depends on."""
    _check(int(np.diff(on.indptr)[of].sum()))
    chosen = sparse.csr_matrix((np.ones(len(into), dtype=np.int32), (into, of)), shape=(count, on.shape[0]))
    return (chosen @ on.astype(np.int32)).astype(bool)
