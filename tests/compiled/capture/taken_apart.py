"""Calls of operators that are taken apart into simpler ones, as functions of a flat state, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.problems import DOUBLE

INDEX = torch.tensor([[0, 2, 1], [3, 0, 0]])


def image(function: Callable[[Tensor], Any], *shape: int) -> Callable[[Tensor], Any]:
    """Of a state in another shape."""
    return lambda y: function(y[: math.prod(shape)].view(shape))


def matrix(function: Callable[[Tensor], Any], size: int = 4) -> Callable[[Tensor], Any]:
    """Of a square matrix."""
    return image(function, size, size)


def definite(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    return matrix(lambda a: function(a @ a.mT + torch.eye(4, dtype=a.dtype)))


def factors(function: Callable[..., Any]) -> Callable[[Tensor], Any]:
    return matrix(lambda a: function(*torch.linalg.lu_factor(a), a[:, :2]))


def large(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Of a square matrix of more rows than are taken apart."""
    return lambda y: function(4 * torch.eye(18, dtype=y.dtype) + torch.outer(y[:18].sin(), y[18:36].cos()))


def symmetric(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Of a matrix whose eigenvalues are apart."""
    return matrix(lambda a: function(a + a.mT + torch.diag(10.0 * torch.arange(4))))


def squares(*vectors: Tensor) -> Tensor:
    """What does not depend on signs, which nothing determines."""
    return torch.cat([vector.square().reshape(-1) for vector in vectors])


SIZE = 48  # of the state
OPERATORS: dict[str, Callable[[Tensor], Any]] = {
    # in order
    "sort": lambda y: torch.sort(y[:7])[0] ** 2,
    "sort, descending": image(lambda a: torch.sort(a, 0, descending=True)[0].exp(), 5, 3),
    "argsort": lambda y: torch.argsort(y[:6]) * y[:6],
    "topk": image(lambda a: torch.topk(a, 2, 1)[0], 3, 5),
    "kthvalue": image(lambda a: torch.kthvalue(a, 2, 0, keepdim=True)[0], 5, 3),
    "median": lambda y: y * torch.median(y[:8]),
    "median of a dim": image(lambda a: torch.median(a, 1)[0], 3, 5),
    "nanmedian": lambda y: torch.nanmedian(torch.where(y[:9] > 0, y[:9], torch.nan)) * y,
    "quantile": lambda y: torch.quantile(y[:9], 0.3) * y,
    "max of a dim": image(lambda a: torch.max(a, 1)[0], 3, 5),
    "min of a dim": image(lambda a: torch.min(a, 0, keepdim=True)[0], 3, 5),
    "cummax": image(lambda a: torch.cummax(a, 1)[0], 3, 5),
    "cummin": lambda y: torch.cummin(y[:6], 0)[0],
    "cumprod": lambda y: torch.cumprod(y[:6], 0),
    "logcumsumexp": image(lambda a: torch.logcumsumexp(a, 1), 3, 5),
    # by an index
    "take": lambda y: torch.take(y, INDEX) ** 2,
    "put": lambda y: torch.put(y, INDEX.reshape(-1)[:4], y[8:12].sin(), accumulate=True),
    "scatter": image(lambda a: torch.scatter(a, 0, INDEX[:1], a[1:2, :3].sin()), 3, 4),
    "scatter_reduce": image(lambda a: torch.scatter_reduce(a, 0, INDEX % 3, a[1:, :3].exp(), "amax"), 3, 4),
    "scatter_reduce, mean": image(
        lambda a: torch.scatter_reduce(a, 1, INDEX, a[1:, :3], "mean", include_self=False), 3, 4
    ),
    "scatter, multiplied": image(lambda a: torch.scatter(a.detach(), 0, INDEX[:1], 2.0, reduce="multiply") * a, 4, 4),
    "index_reduce": image(lambda a: torch.index_reduce(a, 0, torch.tensor([1, 1]), a[:2].cos(), "prod"), 3, 4),
    # special functions
    "lgamma": lambda y: torch.lgamma(3 * y),
    "digamma": lambda y: torch.digamma(y.abs() + 0.1),
    "polygamma": lambda y: torch.polygamma(2, y.abs() + 0.3),
    "erfinv": lambda y: torch.erfinv(0.9 * torch.tanh(y)),
    "ndtri": lambda y: torch.special.ndtri(torch.sigmoid(5 * y)),
    "i0": lambda y: torch.special.i0(3 * y),
    "i0e": lambda y: torch.special.i0e(20 * y),
    "i1": lambda y: torch.special.i1(3 * y),
    "i1e": lambda y: torch.special.i1e(20 * y),
    # images
    "avg_pool1d": image(lambda a: F.avg_pool1d(a, 3, 2, padding=1), 2, 2, 9),
    "avg_pool2d": image(lambda a: F.avg_pool2d(a, 2, ceil_mode=True), 1, 2, 5, 4),
    "avg_pool3d": image(lambda a: F.avg_pool3d(a, 2), 1, 2, 4, 2),
    "adaptive_avg_pool2d": image(lambda a: F.adaptive_avg_pool2d(a, (2, 3)), 2, 5, 4),
    "max_pool1d": image(lambda a: F.max_pool1d(a, 2), 2, 2, 9),
    "max_pool2d": image(lambda a: F.max_pool2d(a, 3, 2, padding=1, dilation=1), 1, 2, 5, 4),
    "max_pool2d, overlapping": image(lambda a: F.max_pool2d(a, 2, 1, ceil_mode=True), 2, 5, 4),
    "max_pool3d": image(lambda a: F.max_pool3d(a, 2), 1, 2, 4, 2),
    "adaptive_max_pool2d": image(lambda a: F.adaptive_max_pool2d(a, (2, 3)), 2, 5, 4),
    "interpolate, linear": image(lambda a: F.interpolate(a, 7, mode="linear", align_corners=True), 1, 2, 5),
    "interpolate, bilinear": image(lambda a: F.interpolate(a, (5, 6), mode="bilinear"), 1, 2, 3, 4),
    "interpolate, bicubic": image(lambda a: F.interpolate(a, (5, 6), mode="bicubic"), 1, 2, 4, 4),
    "interpolate, nearest": image(lambda a: F.interpolate(a, scale_factor=2.0), 1, 2, 3, 4),
    "padded by its edge": image(lambda a: F.pad(a, (1, 2, 0, 1), mode="replicate"), 1, 2, 3, 4),
    "padded by reflection": image(lambda a: F.pad(a, (1, 2, 0, 1), mode="reflect"), 1, 2, 3, 4),
    # Fourier transforms
    "fft": lambda y: torch.fft.fft(y[:9]).abs() ** 2,
    "rfft and back": lambda y: torch.fft.irfft(torch.fft.rfft(y[:10]) * 1j * torch.arange(6), 10),
    "fft2": image(lambda a: torch.fft.fft2(a).imag, 3, 4),
    "ifft along a dim": image(lambda a: torch.fft.ifft(torch.complex(a, a.cos()), dim=0).real, 3, 4),
    # matrices
    "inv": matrix(torch.linalg.inv),
    "inv of several": image(torch.linalg.inv, 2, 3, 3),
    "solve": matrix(lambda a: torch.linalg.solve(a, a[0].sin())),
    "solve for a matrix": matrix(lambda a: torch.linalg.solve(a, a[:, :2].sin(), left=True)),
    "det": matrix(torch.linalg.det),
    "det of a transpose": matrix(lambda a: torch.linalg.det(a.mT)),
    "slogdet": matrix(lambda a: torch.linalg.slogdet(a)[1]),
    "lu": image(lambda a: torch.linalg.lu(a)[2], 3, 4),
    "lu, tall": image(lambda a: torch.linalg.lu(a)[1], 4, 3),
    "lu_solve": factors(torch.linalg.lu_solve),
    "lu_solve, transposed": factors(lambda lu, pivots, b: torch.linalg.lu_solve(lu, pivots, b, adjoint=True)),
    "cholesky": definite(torch.linalg.cholesky),
    "cholesky, upper": definite(lambda a: torch.linalg.cholesky(a, upper=True)),
    "solve_triangular": definite(lambda a: torch.linalg.solve_triangular(a.triu(), a[:, :2].cos(), upper=True)),
    "solve_triangular, from the right": definite(
        lambda a: torch.linalg.solve_triangular(a.tril(), a[:2].cos(), upper=False, left=False)
    ),
    "pinv": image(torch.linalg.pinv, 5, 3),
    "pinv, wide": image(lambda a: torch.linalg.pinv(a, rtol=1e-3), 3, 5),
    "pinv, symmetric": symmetric(lambda a: torch.linalg.pinv(a, hermitian=True)),
    "lstsq": image(lambda a: torch.linalg.lstsq(a, a.sin()[:, :2])[0], 5, 3),
    "cov": image(torch.cov, 3, 4),
    "cov, weighted": image(
        lambda a: torch.cov(a, fweights=torch.tensor([1, 3, 2, 1]), aweights=torch.linspace(0.5, 2, 4, dtype=DOUBLE)),
        3,
        4,
    ),
    "corrcoef": image(torch.corrcoef, 3, 4),
    # factorisations
    "qr": image(lambda a: squares(*torch.linalg.qr(a)), 5, 3),
    "qr, wide": image(lambda a: squares(*torch.linalg.qr(a, mode="complete")), 3, 5),
    "qr of several": image(lambda a: squares(*torch.linalg.qr(a)), 2, 3, 3),
    "eigh": symmetric(lambda a: squares(*torch.linalg.eigh(a))),
    "eigvalsh": symmetric(lambda a: torch.linalg.eigvalsh(a, UPLO="U")),
    "svd": image(lambda a: squares(*torch.linalg.svd(a, full_matrices=False)), 3, 5),
    "svdvals": image(torch.linalg.svdvals, 5, 3),
    "nuclear norm": image(lambda a: torch.linalg.matrix_norm(a, "nuc"), 5, 3),
    "householder_product": image(lambda a: torch.linalg.householder_product(a, a[0].sin()), 5, 3),
    "matrix_exp": matrix(lambda a: torch.linalg.matrix_exp(a / 4)),
    "matrix_exp of several": image(lambda a: torch.linalg.matrix_exp(a.sin()), 2, 3, 3),
    "solve, large": large(lambda a: torch.linalg.solve(a, a[0].sin())),
    "solve, several": large(lambda a: torch.linalg.solve(torch.stack([a, a.mT]), a[:, :2])),
    "inv, large": large(torch.linalg.inv),
    "det, large": large(lambda a: torch.linalg.det(a / 4)),
    "slogdet, large": large(lambda a: torch.linalg.slogdet(a)[1]),
    "lu, large": large(lambda a: torch.cat([part.reshape(-1) for part in torch.linalg.lu(a.flip(0))[1:]])),
    "lu_solve, large": large(lambda a: torch.linalg.lu_solve(*torch.linalg.lu_factor(a), a[:, :2], adjoint=True)),
    "cholesky, large": large(lambda a: torch.linalg.cholesky(a @ a.mT)),
    "solve_triangular, large": large(lambda a: torch.linalg.solve_triangular(a.triu(), a[:, :2], upper=True)),
    # further
    "masked_select": lambda y: torch.masked_select(y[:6], torch.tensor([True, False, True, True, False, True])) ** 2,
    "masked_scatter": lambda y: y[:12].masked_scatter(y[:12] > 0, y[24:].exp()),
    "pdist": image(F.pdist, 4, 3),
    "pdist, summed": image(lambda a: F.pdist(a, p=1), 4, 3),
    "fmax": lambda y: torch.fmax(torch.where(y > 1, torch.nan, y), -y),
    "fmin": lambda y: torch.fmin(y, torch.where(y > 1, torch.nan, y**2)),
    "rounded": lambda y: torch.round(y, decimals=1) + y,
    "rounded to tens": lambda y: torch.round(100 * y, decimals=-1) + y,
    "angle": lambda y: torch.angle(y) * y,
    "addbmm": image(lambda a: torch.addbmm(a[0], a, a, alpha=0.5), 2, 3, 3),
    "cdist": image(lambda a: torch.cdist(a, a.cos()), 4, 3),
    "cdist, summed": image(lambda a: torch.cdist(a, a.cos(), p=1), 4, 3),
    "cdist, cubed": image(lambda a: torch.cdist(a, a.cos(), p=3), 4, 3),
    "bilinear": image(lambda a: F.bilinear(a, a.sin(), torch.ones(2, 3, 3, dtype=a.dtype)), 4, 3),
}


def flat(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """As a function of the time and the state."""
    return lambda t, y: OPERATORS[name](y).reshape(-1)


def state(seed: int = 0) -> Tensor:
    return torch.randn(SIZE, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
