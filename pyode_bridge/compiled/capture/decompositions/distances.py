"""Distances between the rows of matrices, by any norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def cdist_forward(a: Tensor, b: Tensor, p: float, compute_mode: int | None = None) -> Tensor:
    """``aten._cdist_forward``."""
    size = (a.unsqueeze(-2) - b.unsqueeze(-3)).abs()
    if p == 0:
        return (size != 0).to(a.dtype).sum(-1)
    if p == math.inf:
        return size.amax(-1)
    return size.sum(-1) if p == 1 else (size**p).sum(-1) ** (1 / p)


def cdist_backward(grad: Tensor, a: Tensor, b: Tensor, p: float, distance: Tensor) -> Tensor:
    """``aten._cdist_backward``, with respect to the first."""
    apart, grad, far = a.unsqueeze(-2) - b.unsqueeze(-3), grad.unsqueeze(-1), distance.unsqueeze(-1)
    if p == 0:
        return torch.zeros_like(a)
    if p == 1:
        return (apart.sign() * grad).sum(-2)
    if p == math.inf:
        return (apart.sign() * grad * (apart.abs() == far)).sum(-2)
    safe = torch.where(far == 0, 1.0, far)
    part = apart.sign() * apart.abs() ** (p - 1) / safe ** (p - 1)
    return (torch.where(far == 0, 0.0, part) * grad).sum(-2)


def pdist_forward(a: Tensor, p: float = 2) -> Tensor:
    """``aten._pdist_forward``: of each pair of rows, one after another."""
    first, second = _pairs(len(a))
    return cdist_forward(a, a, p)[first, second]


def pdist_backward(grad: Tensor, a: Tensor, p: float, distance: Tensor) -> Tensor:
    """``aten._pdist_backward``: both rows of a pair have a part in it."""
    first, second = _pairs(len(a))
    whole = a.new_zeros(len(a), len(a))
    both = [values.new_zeros(whole.shape).index_put((first, second), values) for values in (grad, distance)]
    grads, distances = (half + half.mT for half in both)
    return cdist_backward(grads, a, a, p, distances)


def _pairs(rows: int) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(rows, rows, 1)
    return first, second


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten._cdist_forward.default: cdist_forward,
    aten._cdist_backward.default: cdist_backward,
    aten._pdist_forward.default: pdist_forward,
    aten._pdist_backward.default: pdist_backward,
}
