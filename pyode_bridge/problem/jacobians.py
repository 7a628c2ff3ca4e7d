"""Products of several vectors with the Jacobian of a value that autograd recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Above this many rows one batched backward pass beats a loop over rows.
BATCHED_ROWS = 16


def products(value: Tensor, y: Tensor, vs: Tensor) -> Tensor:
    """``vᵀ ∂value/∂y`` for each row ``v``; zeros where there is no dependence."""
    if not value.requires_grad:
        return torch.zeros_like(vs)
    if len(vs) > BATCHED_ROWS:
        try:
            return _product(value, y, vs, batched=True)
        except RuntimeError:
            pass  # an operation without a batching rule: row by row, and a real error shows itself there
    return torch.stack([_product(value, y, v, batched=False) for v in vs])


def _product(value: Tensor, y: Tensor, v: Tensor, *, batched: bool) -> Tensor:
    grads: Sequence[Tensor | None] = torch.autograd.grad(
        value, y, v, retain_graph=True, allow_unused=True, is_grads_batched=batched
    )
    return torch.zeros_like(v) if grads[0] is None else grads[0]
