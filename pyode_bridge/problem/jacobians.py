"""Products of vectors with the Jacobian of a value that autograd recorded, or, to be traced, of a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Above this many rows one batched backward pass beats a loop over rows.
BATCHED_ROWS = 16


def products(value: Tensor, y: Tensor, vs: Tensor) -> Tensor:
    """``vᵀ ∂value/∂y`` for each row ``v``; zeros where there is no dependence."""
    return joint_products(value, (y,), vs)[0]


def joint_products(
    value: Tensor, inputs: tuple[Tensor, ...], vs: Tensor, *, create_graph: bool = False
) -> tuple[Tensor, ...]:
    """The same for each of several inputs, rows first; differentiable with ``create_graph``."""
    if not value.requires_grad:
        return tuple(tensor.new_zeros(len(vs), *tensor.shape) for tensor in inputs)
    if len(vs) > BATCHED_ROWS:
        try:
            return _products(value, inputs, vs, batched=True, create_graph=create_graph)
        except RuntimeError:
            pass  # an operation without a batching rule: row by row, and a real error shows itself there
    rows = [_products(value, inputs, v, batched=False, create_graph=create_graph) for v in vs]
    return tuple(map(torch.stack, zip(*rows, strict=True)))


def _products(
    value: Tensor, inputs: tuple[Tensor, ...], v: Tensor, *, batched: bool, create_graph: bool
) -> tuple[Tensor, ...]:
    grads: Sequence[Tensor | None] = torch.autograd.grad(
        value, inputs, v, retain_graph=True, allow_unused=True, is_grads_batched=batched, create_graph=create_graph
    )
    return tuple(
        tensor.new_zeros((*v.shape[:-1], *tensor.shape)) if grad is None else grad
        for grad, tensor in zip(grads, inputs, strict=True)
    )


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


def along(value: Tensor, inputs: Sequence[Tensor], tangents: Sequence[Tensor | None], *, create_graph: bool) -> Tensor:
    """``Σ (∂value/∂input) tangent`` of a value that autograd recorded; a tangent that is None is zero.

    A vector-Jacobian product is linear in its vector, and what it is multiplied by is the Jacobian. Forward mode would
    do with one pass, but not all operations have it, nor do leaves that a function has in its closure.
    """
    found, pairs = torch.zeros_like(value), []
    if value.requires_grad:
        v = torch.zeros_like(value, requires_grad=True)
        grads: Sequence[Tensor | None] = torch.autograd.grad(value, inputs, v, allow_unused=True, create_graph=True)
        pairs = [
            (grad, tangent)
            for grad, tangent in zip(grads, tangents, strict=True)
            if grad is not None and grad.requires_grad and tangent is not None
        ]
    if pairs:
        moved, weights = zip(*pairs, strict=True)
        (found,) = torch.autograd.grad(moved, v, weights, create_graph=create_graph, retain_graph=True)
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
