"""Functions of torch's that ask for values on the way, as a trace cannot answer, though what they return needs none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def cov(x: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """``torch.cov``: of rows, each observation counted by the product of its weights."""
    rows = x if x.ndim == 2 else x.reshape(1, -1)
    given = [weights for weights in (fweights, aweights) if weights is not None]
    weights = torch.ones(rows.shape[1], dtype=x.dtype)
    for each in given:
        weights = weights * each
    total = weights.sum()
    mean = (rows * weights).sum(1, keepdim=True) / total
    lost = correction if aweights is None else correction * (weights * aweights).sum() / total
    centred = rows - mean
    return ((centred * weights) @ centred.mT / (total - lost).clamp(min=0)).squeeze()


def corrcoef(x: Tensor) -> Tensor:
    """``torch.corrcoef``."""
    found = cov(x)
    if found.ndim == 0:
        return found / found
    spread = found.diagonal().sqrt()
    return (found / spread[:, None] / spread).clamp(-1, 1)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.cov: cov,
    Tensor.cov: cov,
    torch.corrcoef: corrcoef,
    Tensor.corrcoef: corrcoef,
}
