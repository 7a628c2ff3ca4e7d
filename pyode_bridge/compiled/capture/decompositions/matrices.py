"""Linear algebra of matrices, by factors; those of small ones step by step, those of others by kernels.

Step by step is elimination with pivots, of which each is looked for among all rows. A row that is chosen by the numbers
is a sum over all rows, of which one counts; so what is traced serves any numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

aten = torch.ops.aten

LARGEST_APART = 16  # rows; from there on, `lowerings.factorisations` has kernels for what is left as it is here


def _is_large(matrix: Tensor) -> bool:
    return max(matrix.shape[-2:]) > LARGEST_APART


# What is taken apart in turn, if it is small.
_factors: Callable[..., tuple[Tensor, Tensor, Tensor]] = aten.linalg_lu_factor_ex.default
_by_factors: Callable[..., Tensor] = aten.linalg_lu_solve.default
_triangular: Callable[..., Tensor] = aten.linalg_solve_triangular.default
_cholesky: Callable[..., tuple[Tensor, Tensor]] = aten.linalg_cholesky_ex.default
_unpacked: Callable[..., tuple[Tensor, Tensor, Tensor]] = aten.lu_unpack.default


def _first_largest(column: Tensor, begin: int) -> Tensor:
    """Which element from one on has the largest size, as 1 among zeros."""
    numbers = torch.arange(column.shape[-1])
    sizes = torch.where(numbers >= begin, column.abs(), -1.0)
    largest = sizes.amax(-1, True)
    first = torch.where(sizes == largest, numbers, column.shape[-1]).amin(-1, True)
    return numbers == first


def lu_factor_ex(matrix: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """``aten.linalg_lu_factor_ex``: both factors in one, the rows swapped, and where it failed."""
    if _is_large(matrix):
        return NotImplemented
    rows, columns = torch.arange(matrix.shape[-2]), torch.arange(matrix.shape[-1])
    size, pivots, zero = min(matrix.shape[-2:]), [], []
    for k in range(size):
        chosen = _first_largest(matrix[..., k], k) if pivot else (rows == k).expand(matrix.shape[:-1])
        pivots.append(torch.where(chosen, rows + 1, 0).sum(-1))
        other = torch.where(chosen.unsqueeze(-1), matrix, 0.0).sum(-2, True)
        own = matrix[..., k : k + 1, :]
        matrix = torch.where(chosen.unsqueeze(-1), own, matrix)
        matrix = torch.where((rows == k).unsqueeze(-1), other, matrix)
        zero.append(matrix[..., k, k] == 0)
        below = (rows > k).unsqueeze(-1)
        factor = torch.where(below, matrix[..., k : k + 1] / matrix[..., k : k + 1, k : k + 1], 0.0)
        right = torch.where(columns > k, matrix[..., k : k + 1, :], 0.0)
        matrix = torch.where((columns == k) & below, factor, matrix - factor * right)
    broken = torch.stack(zero, -1)
    failed = torch.where(broken, torch.arange(1, size + 1), size + 1).amin(-1)
    info = torch.where(failed > size, 0, failed)
    return matrix, torch.stack(pivots, -1).to(torch.int32), info.to(torch.int32)


def _swapped(right: Tensor, pivots: Tensor, *, back: bool = False) -> Tensor:
    """Rows swapped as pivots say."""
    numbers = torch.arange(right.shape[-2])
    order = range(pivots.shape[-1])
    for k in reversed(order) if back else order:
        chosen = (numbers == (pivots[..., k : k + 1] - 1)).unsqueeze(-1)
        other = torch.where(chosen, right, 0.0).sum(-2, True)
        own = right[..., k : k + 1, :]
        right = torch.where(chosen, own, right)
        right = torch.where((numbers == k).unsqueeze(-1), other, right)
    return right


def _forward(lower: Tensor, right: Tensor, *, unit: bool) -> Tensor:
    """``x`` of ``L x = right``."""
    rows: list[Tensor] = []
    for k in range(lower.shape[-1]):
        row = right[..., k : k + 1, :]
        for j, known in enumerate(rows):
            row = row - lower[..., k : k + 1, j : j + 1] * known
        rows.append(row if unit else row / lower[..., k : k + 1, k : k + 1])
    return torch.cat(rows, -2)


def solve_triangular(
    matrix: Tensor, right: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """``aten.linalg_solve_triangular``."""
    if not left:
        return _triangular(matrix.mT, right.mT, upper=not upper, unitriangular=unitriangular).mT
    if matrix.shape[:-2] != right.shape[:-2]:
        return _triangular(*_of_one_batch(matrix, right), upper=upper, unitriangular=unitriangular)
    if _is_large(matrix):
        return NotImplemented
    if upper:
        return _forward(matrix.flip(-1, -2), right.flip(-2), unit=unitriangular).flip(-2)
    return _forward(matrix, right, unit=unitriangular)


def lu_solve(factors: Tensor, pivots: Tensor, right: Tensor, *, left: bool = True, adjoint: bool = False) -> Any:
    """``aten.linalg_lu_solve``, of real matrices."""
    if not left:
        return _by_factors(factors, pivots, right.mT, adjoint=not adjoint).mT
    if _is_large(factors):
        if factors.shape[:-2] == right.shape[:-2]:
            return NotImplemented
        factors, right = _of_one_batch(factors, right)
        pivots = pivots.expand(*right.shape[:-2], pivots.shape[-1])
        return _by_factors(factors, pivots, right, adjoint=adjoint)
    if adjoint:
        half = _triangular(factors.mT, right, upper=False)
        return _swapped(_triangular(factors.mT, half, upper=True, unitriangular=True), pivots, back=True)
    half = _triangular(factors, _swapped(right, pivots), upper=False, unitriangular=True)
    return _triangular(factors, half, upper=True)


def _of_one_batch(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both, of as many matrices."""
    lead = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    return first.expand(*lead, *first.shape[-2:]), second.expand(*lead, *second.shape[-2:])


def old_lu_solve(right: Tensor, factors: Tensor, pivots: Tensor) -> Tensor:
    """``aten.lu_solve``."""
    return _by_factors(factors, pivots, right)


def inv_ex(matrix: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """``aten.linalg_inv_ex``."""
    factors, pivots, info = _factors(matrix)
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype).expand_as(matrix)
    return _by_factors(factors, pivots, one), info


def solve_ex(
    matrix: Tensor, right: Tensor, *, left: bool = True, check_errors: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``aten._linalg_solve_ex``."""
    is_vector = right.ndim == 1 or (right.ndim == matrix.ndim - 1 and right.shape == matrix.shape[:-1])
    factors, pivots, info = _factors(matrix)
    solved = _by_factors(factors, pivots, right.unsqueeze(-1) if is_vector else right, left=left or is_vector)
    return (solved.squeeze(-1) if is_vector else solved), factors, pivots, info


def _sign(factors: Tensor, pivots: Tensor) -> Tensor:
    swaps = (pivots != torch.arange(1, pivots.shape[-1] + 1)).to(factors.dtype).sum(-1)
    return 1 - 2 * torch.remainder(swaps, 2)


def _factorised(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Of a matrix row by row in memory the factors are those of its transpose, which torch's derivatives rely on."""
    factors, pivots, _ = _factors(matrix.mT if matrix.is_contiguous() else matrix)
    return factors, pivots


def det(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``aten._linalg_det``."""
    factors, pivots = _factorised(matrix)
    return _sign(factors, pivots) * factors.diagonal(dim1=-2, dim2=-1).prod(-1), factors, pivots


def slogdet(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``aten._linalg_slogdet``."""
    factors, pivots = _factorised(matrix)
    diagonal = factors.diagonal(dim1=-2, dim2=-1)
    return _sign(factors, pivots) * diagonal.sign().prod(-1), diagonal.abs().log().sum(-1), factors, pivots


def lu_unpack(factors: Tensor, pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """``aten.lu_unpack``."""
    rows, columns = factors.shape[-2:]
    size, nothing = min(rows, columns), factors.new_zeros(0)
    if _is_large(factors) and unpack_pivots and not unpack_data:
        return NotImplemented
    permutation = _permutation(factors, pivots) if unpack_pivots else nothing
    if not unpack_data:
        return permutation, nothing, nothing
    lower = factors[..., :size].tril(-1) + torch.eye(rows, size, dtype=factors.dtype)
    return permutation, lower, factors[..., :size, :].triu()


def _permutation(factors: Tensor, pivots: Tensor) -> Tensor:
    if _is_large(factors):
        return _unpacked(factors, pivots, False)[0]
    *lead, rows, _ = factors.shape
    return _swapped(torch.eye(rows, dtype=factors.dtype).expand(*lead, rows, rows), pivots).mT


def lu(matrix: Tensor, *, pivot: bool = True) -> tuple[Tensor, ...]:
    """``aten.linalg_lu``."""
    factors, pivots, _ = _factors(matrix, pivot=pivot)
    return _unpacked(factors, pivots)


def cholesky_ex(matrix: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """``aten.linalg_cholesky_ex``, of the lower half of real matrices."""
    if upper:
        factor, info = _cholesky(matrix.mT)
        return factor.mT, info
    if _is_large(matrix):
        return NotImplemented
    size = matrix.shape[-1]
    columns: list[Tensor] = []
    numbers = torch.arange(size)
    for k in range(size):
        column = matrix[..., k]
        for known in columns:
            column = column - known * known[..., k : k + 1]
        columns.append(torch.where(numbers >= k, column / column[..., k : k + 1].sqrt(), 0.0))
    factor = torch.stack(columns, -1)
    broken = ~(factor.diagonal(dim1=-2, dim2=-1) > 0)
    info = torch.where(broken.any(-1), torch.where(broken, numbers + 1, size + 1).amin(-1), 0)
    return factor, info.to(torch.int32)


def cholesky(matrix: Tensor, upper: bool = False) -> Tensor:
    """``aten.cholesky``."""
    return _cholesky(matrix, upper=upper)[0]


def triangular_solve(
    right: Tensor, matrix: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Tensor, Tensor]:
    """``aten.triangular_solve``."""
    own = matrix.mT if transpose else matrix
    return _triangular(own, right, upper=upper != transpose, unitriangular=unitriangular), matrix.clone()


def check_errors(info: Tensor, api_name: str, *, is_matrix: bool) -> None:
    """``aten._linalg_check_errors``: a matrix that is singular makes numbers that are none, and the solve fails."""


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.linalg_lu_factor_ex.default: lu_factor_ex,
    aten.linalg_solve_triangular.default: solve_triangular,
    aten.linalg_lu_solve.default: lu_solve,
    aten.lu_solve.default: old_lu_solve,
    aten.linalg_inv_ex.default: inv_ex,
    aten._linalg_solve_ex.default: solve_ex,
    aten._linalg_det.default: det,
    aten._linalg_slogdet.default: slogdet,
    aten.lu_unpack.default: lu_unpack,
    aten.linalg_lu.default: lu,
    aten.linalg_cholesky_ex.default: cholesky_ex,
    aten.cholesky.default: cholesky,
    aten.triangular_solve.default: triangular_solve,
    aten._linalg_check_errors.default: check_errors,
}
