"""Pseudoinverses and least squares, by singular values or eigenvalues; those that are small count as zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def pinv(matrix: Tensor, *, atol: Tensor | None = None, rtol: Tensor | None = None, hermitian: bool = False) -> Tensor:
    """``aten.linalg_pinv``."""
    absolute, relative = _tolerances(matrix, atol, rtol)
    if hermitian:
        values, vectors = torch.linalg.eigh(matrix)
        sizes, largest = values.abs(), values.abs().amax(-1, True)
        of_hermitian: Tensor = (
            vectors * _inverses(values, sizes, largest, absolute, relative).unsqueeze(-2)
        ) @ vectors.mT
        return of_hermitian
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    inverses = _inverses(values, values, values[..., :1], absolute, relative)
    found: Tensor = (vh.mT * inverses.unsqueeze(-2)) @ u.mT
    return found


def _tolerances(matrix: Tensor, atol: Tensor | None, rtol: Tensor | None) -> tuple[Tensor, Tensor]:
    """With what singular values are compared: the relative one is that of rounding unless either is given."""
    zero = torch.zeros((), dtype=matrix.dtype)
    rounding = torch.full((), torch.finfo(matrix.dtype).eps * max(matrix.shape[-2:]), dtype=matrix.dtype)
    if rtol is None:
        rtol = rounding if atol is None else torch.where(atol > 0, zero, rounding)
    return (zero if atol is None else atol).unsqueeze(-1), rtol.unsqueeze(-1)


def _inverses(values: Tensor, sizes: Tensor, largest: Tensor, atol: Tensor, rtol: Tensor) -> Tensor:
    kept = sizes > torch.maximum(atol, rtol * largest)
    return torch.where(kept, 1 / torch.where(kept, values, 1.0), 0.0)


def lstsq(
    matrix: Tensor, right: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``aten.linalg_lstsq``, with what torch has of each driver; residuals are those of a matrix of full rank."""
    rows, columns = matrix.shape[-2:]
    is_vector = right.ndim == matrix.ndim - 1
    b = right.unsqueeze(-1) if is_vector else right
    rtol = torch.finfo(matrix.dtype).eps * max(rows, columns) if rcond is None else rcond
    solution = torch.linalg.pinv(matrix, rtol=rtol) @ b
    nothing, values = matrix.new_zeros(0), torch.linalg.svdvals(matrix)
    has_residuals = rows > columns and driver in ("gels", "gelsd", "gelss")
    residuals = (matrix @ solution - b).square().sum(-2) if has_residuals else nothing
    rank = nothing.long() if driver == "gels" else (values > rtol * values[..., :1]).sum(-1)
    found = values if driver in ("gelsd", "gelss") else nothing
    return (solution.squeeze(-1) if is_vector else solution), residuals, rank, found


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.linalg_pinv.atol_rtol_tensor: pinv,
    aten.linalg_lstsq.default: lstsq,
}
