"""What lowerings write with: an emitter turns each step into code, number by number or as loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Move = Callable[..., Tensor]


class Array(Protocol):
    """A value of a graph as an emitter has it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...


A = TypeVar("A", bound=Array)


class Emitter(Protocol[A]):
    """Writes the code of one graph, of which each array is an ``A``; see `pyode_bridge.compiled.codegen`."""

    def lines(self) -> list[str]:
        """The code."""

    def work_size(self) -> int:
        """Bytes of memory that the code works in."""

    def stop_if(self, condition: str) -> None:
        """Compute nothing more where the condition, Julia's, is true."""

    def input(self, name: str, layout: Tensor) -> A:
        """An array in memory at the pointer ``name``, laid out as a tensor is."""

    def scalar(self, name: str, dtype: torch.dtype) -> A:
        """A scalar variable."""

    def constant(self, tensor: Tensor) -> A:
        """Numbers that are known."""

    def pointwise(
        self, template: str, compute: torch.dtype, dtype: torch.dtype, shape: Sequence[int], operands: Sequence[A]
    ) -> A:
        """A template over broadcast operands, computed in one dtype with a result of another."""

    def choose(self, condition: A, yes: A, no: A, dtype: torch.dtype, shape: Sequence[int]) -> A:
        """Element by element, one of two."""

    def cast(self, array: A, dtype: torch.dtype) -> A:
        """The array in another dtype."""

    def realized(self, array: A) -> A:
        """The array, to be used more than once."""

    def moved(self, move: Move, arrays: Sequence[A], dtype: torch.dtype) -> A:
        """The elements of arrays where ``move``, which only moves elements, puts them; what it adds are zeros."""

    def reduced(self, array: A, dims: Sequence[int], template: str, start: float, dtype: torch.dtype) -> A:
        """Elements along dims combined by a template of two, beginning with ``start``; the dims are left out."""

    def added_at(self, array: A, values: A, indices: Tensor, dtype: torch.dtype) -> A:
        """The array with values added to its elements at flat indices, several to some."""

    def product(self, a: A, b: A, dtype: torch.dtype) -> A:
        """Matrix products of ``(..., m, k)`` and ``(..., k, n)``."""

    def called(
        self, kernel: str, arrays: Sequence[A], results: Sequence[tuple[Sequence[int], torch.dtype]], *numbers: int
    ) -> list[A]:
        """Results, of shapes and dtypes, that a kernel writes; it is given arrays in memory row by row, and numbers."""

    def store(self, array: A, name: str, offset: int, dtype: torch.dtype, *, may_be_null: bool) -> None:
        """Write the elements to the memory at the pointer ``name``, from an offset, one after another."""

    def add(self, array: A, name: str, offset: int, dtype: torch.dtype) -> None:
        """Add the elements to those in the memory at the pointer ``name`` likewise."""
