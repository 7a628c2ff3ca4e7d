"""Products of vectors with the Jacobian of a value that autograd recorded, or, to be traced, of a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def direction(size: int, like: Tensor) -> Tensor:
    """A vector for products that has all components, and no two alike."""
    return torch.linspace(0.5, 1.5, size, dtype=like.dtype)


def columns(function: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """The Jacobian of a function at ``y``, column by column, in operations that can be traced."""
    with torch.no_grad():
        found: Tensor = torch.func.jacrev(function)(y)
    return found.mT


def compressed(function: Callable[[Tensor], Tensor], y: Tensor, seeds: Tensor) -> Tensor:
    """The products of several vectors with the Jacobian of a function at ``y``, likewise."""
    with torch.no_grad():
        pull_back = torch.func.vjp(function, y)[1]
        found: Tensor = torch.func.vmap(lambda v: pull_back(v)[0])(seeds)
    return found


def pulled_back(function: Callable[[Tensor], Tensor], y: Tensor, v: Tensor, wanted: Sequence[Tensor]) -> list[Tensor]:
    """The products of ``v`` with the Jacobians of a function at ``y``, by ``y`` and by what is ``wanted``, likewise."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        inputs = [y, *wanted]
        value = function(y)
        found: Sequence[Tensor | None] = [None] * len(inputs)
        if value.requires_grad:
            found = torch.autograd.grad(value, inputs, v, allow_unused=True)
    return [torch.zeros_like(of) if grad is None else grad.detach() for grad, of in zip(found, inputs, strict=True)]
