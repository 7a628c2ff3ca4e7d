"""Factorisations of matrices, by LAPACK: kernels that are given all matrices of a batch."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering

aten = torch.ops.aten

_OF_QR = {"r": 0, "reduced": 1, "complete": 2}


def _batch(array: Any) -> tuple[int, int, int]:
    """How many matrices, of how many rows and columns."""
    *lead, rows, columns = array.shape
    return prod(lead), rows, columns


@register_lowering(aten._linalg_eigh.default)
def eigh(ctx: LoweringContext, a: Any, UPLO: str = "L", compute_v: bool = True) -> list[Any]:  # noqa: N803
    count, size, _ = _batch(ctx.array(a))
    return ctx.called("eigh!", a, numbers=(count, size, int(UPLO.upper() == "L"), int(compute_v)))


@register_lowering(aten._linalg_svd.default)
def svd(
    ctx: LoweringContext, a: Any, full_matrices: bool = False, compute_uv: bool = True, *, driver: str | None = None
) -> list[Any]:
    which = (2 if full_matrices else 1) if compute_uv else 0
    return ctx.called("svd!", a, numbers=(*_batch(ctx.array(a)), which))


@register_lowering(aten.linalg_qr.default)
def qr(ctx: LoweringContext, a: Any, mode: str = "reduced") -> list[Any]:
    return ctx.called("qr!", a, numbers=(*_batch(ctx.array(a)), _OF_QR[mode]))


@register_lowering(aten.linalg_householder_product.default)
def householder_product(ctx: LoweringContext, a: Any, tau: Any) -> Any:
    (product,) = ctx.called("householder_product!", a, tau, numbers=(*_batch(ctx.array(a)), ctx.array(tau).shape[-1]))
    return product


@register_lowering(aten.linalg_matrix_exp.default)
def matrix_exp(ctx: LoweringContext, a: Any) -> Any:
    count, size, _ = _batch(ctx.array(a))
    (found,) = ctx.called("matrix_exp!", a, numbers=(count, size))
    return found


@register_lowering(aten.linalg_lu_factor_ex.default)
def lu_factor(ctx: LoweringContext, a: Any, *, pivot: bool = True, check_errors: bool = False) -> list[Any]:
    if not pivot:
        raise UnsupportedDynamicsError("it factorises large matrices without pivots")
    return ctx.called("lu_factor!", a, numbers=_batch(ctx.array(a)))


@register_lowering(aten.linalg_lu_solve.default)
def lu_solve(
    ctx: LoweringContext, factors: Any, pivots: Any, right: Any, *, left: bool = True, adjoint: bool = False
) -> Any:
    count, rows, columns = _batch(ctx.array(right))
    (solved,) = ctx.called("lu_solve!", factors, pivots, right, numbers=(count, rows, columns, int(adjoint)))
    return solved


@register_lowering(aten.linalg_solve_triangular.default)
def solve_triangular(
    ctx: LoweringContext, a: Any, right: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    numbers = (*_batch(ctx.array(right)), int(upper), int(unitriangular))
    (solved,) = ctx.called("triangular_solve!", a, right, numbers=numbers)
    return solved


@register_lowering(aten.linalg_cholesky_ex.default)
def cholesky(ctx: LoweringContext, a: Any, *, upper: bool = False, check_errors: bool = False) -> list[Any]:
    count, size, _ = _batch(ctx.array(a))
    return ctx.called("cholesky!", a, numbers=(count, size))


@register_lowering(aten.lu_unpack.default)
def permutation(
    ctx: LoweringContext, factors: Any, pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
) -> list[Any]:
    """Of the rows alone; `capture.decompositions.matrices` does the rest."""
    count, rows, _ = _batch(ctx.array(factors))
    matrix, nothing, _ = ctx.values
    lines = ctx.emitter.called(
        "permutation!", [ctx.array(pivots)], [(tuple(matrix.shape), matrix.dtype)], count, rows, pivots.shape[-1]
    )
    return [*lines, ctx.array(torch.zeros(0, dtype=nothing.dtype)), ctx.array(torch.zeros(0, dtype=nothing.dtype))]
