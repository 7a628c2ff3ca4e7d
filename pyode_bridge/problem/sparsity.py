"""Sparse Jacobians: the pattern that a user gives, and rows that one vector-Jacobian product can share."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import Structure

WORDS = "auto", "dense"  # for what is found by itself, and for a full matrix


@dataclass(frozen=True)
class Sparsity:
    """The pattern of a Jacobian of shape ``(n, n)``, column by column.

    Rows of one colour have no column in common, so that their sum holds each one's entries (Curtis, Powell and Reid
    1974): as many vector-Jacobian products as there are colours give the Jacobian.

    Attributes:
        starts: where each column begins among the entries, shape ``(n + 1,)``, int64.
        rows: row of each entry, shape ``(nnz,)``, int64.
        columns: column of each entry, shape ``(nnz,)``, int64.
        colours: colour of each row, shape ``(n,)``, int64.
    """

    starts: Tensor
    rows: Tensor
    columns: Tensor
    colours: Tensor

    @classmethod
    def of(cls, given: Any, structure: Structure) -> Sparsity | None:
        """Check a user's pattern: a tensor of shape ``(n, n)``, dense or sparse, whose non-zeros are the entries."""
        if given is None or (isinstance(given, str) and given in WORDS):
            return None
        shape = (structure.size, structure.size)
        if not isinstance(given, Tensor) or given.shape != shape or given.is_meta:
            what = (
                f"has shape {tuple(given.shape)}"
                if isinstance(given, Tensor)
                else f"is {given!r}"
                if isinstance(given, str)
                else f"is a {type(given).__name__}"
            )
            raise InputError(
                f"jac_sparsity {what}; expected a tensor of shape {shape} in memory, dense or sparse, non-zero where a "
                "component of the dynamics (row) depends on one of the flat state (column), 'auto' or 'dense'."
            )
        return cls.of_entries(*_entries(given.detach().cpu()), structure.size)

    @classmethod
    def of_entries(cls, rows: Tensor, columns: Tensor, size: int) -> Sparsity:
        """That of ``size`` rows by as many columns with these entries."""
        order = torch.argsort(columns * size + rows)
        rows, columns = rows[order], columns[order]
        starts = torch.zeros(size + 1, dtype=torch.int64)
        starts[1:] = torch.bincount(columns, minlength=size).cumsum(0)
        return cls(starts, rows, columns, _coloured(rows.tolist(), columns.tolist(), size))

    @functools.cached_property
    def name(self) -> str:
        """Of the function that computes the entries; the same for the same entries."""
        entries = self.rows.numpy().tobytes() + self.columns.numpy().tobytes()
        return f"jacobian_{hashlib.sha256(entries).hexdigest()[:16]}"

    @functools.cached_property
    def products(self) -> int:
        """How many vector-Jacobian products give the Jacobian."""
        return int(self.colours.max()) + 1

    def __str__(self) -> str:
        size = len(self.colours)
        return f"{len(self.rows):,} of {size:,} x {size:,} entries, by {self.products} products"

    def seeds(self, like: Tensor) -> Tensor:
        """The vectors of those products, shape ``(products, n)``: each the sum of the rows of a colour."""
        seeds = like.new_zeros(self.products, len(self.colours))
        seeds[self.colours, torch.arange(len(self.colours))] = 1
        return seeds

    def entries(self, products: Tensor) -> Tensor:
        """The Jacobian's entries, shape ``(nnz,)``, from the products with the seeds, shape ``(products, n)``."""
        return products[self.colours[self.rows], self.columns]

    def missed(self, entries: Tensor, v: Tensor, product: Tensor) -> int | None:
        """A column in which the ``product`` of a vector with the Jacobian has more than the entries, if there is."""
        own = torch.zeros_like(product).index_add_(0, self.columns, v[self.rows] * entries)
        if torch.allclose(own, product, rtol=1e-4, atol=1e-6 * float(product.abs().max())):
            return None
        return int((own - product).abs().argmax())


def _entries(pattern: Tensor) -> tuple[Tensor, Tensor]:
    if pattern.layout != torch.strided:
        pattern = pattern.to_sparse().coalesce()
        rows, columns = pattern.indices()[:, pattern.values() != 0]
        return rows, columns
    rows, columns = torch.nonzero(pattern, as_tuple=True)
    return rows, columns


def _coloured(rows: list[int], columns: list[int], size: int) -> Tensor:
    """Each row's colour, the first that no row with a column in common has taken."""
    columns_of: list[list[int]] = [[] for _ in range(size)]
    for row, column in zip(rows, columns, strict=True):
        columns_of[row].append(column)
    taken: list[set[int]] = [set() for _ in range(size)]
    colours = []
    for own in columns_of:
        forbidden = set().union(*(taken[column] for column in own))
        colour = next(colour for colour in range(size) if colour not in forbidden)
        for column in own:
            taken[column].add(colour)
        colours.append(colour)
    return torch.tensor(colours)
