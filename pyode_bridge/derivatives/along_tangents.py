"""The gradient of an equation that is differentiated again along a direction: what its sensitivity equation is for.

The gradient is the product of a vector ``v`` with the values' Jacobian, and its own product with a direction ``w`` is
``vᵀ J w``. The equation that ``J w`` solves is differentiated by the engine, as any other, by all that it depends on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives.any_order import Tensors, recorded
from pyode_bridge.problem.forms import Delays
from pyode_bridge.problem.problem import Gradients, Problem
from pyode_bridge.problem.state import flat_gradients


def gradients(problem: Problem, grad_ys: Tensor, ys: Tensor) -> Gradients:
    """Of the values, shape ``(T, n)``; with autograd, for its derivatives alone: the engine has found what they are."""
    y0, parameters = ys[0], problem.dynamics.parameters
    found: tuple[Tensor, ...] = _Transposed.apply(problem, grad_ys, y0, *parameters)  # type: ignore[no-untyped-call]
    of_y0, *of_parameters = flat_gradients(found, (y0, *parameters), y0)
    return Gradients(of_y0, torch.cat([y0.new_empty(0), *of_parameters]))


class _Transposed(torch.autograd.Function):
    """The gradients as a node whose values nobody reads."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, grad_ys: Tensor, y0: Tensor, *parameters: Tensor) -> Tensors:
        ctx.problem = problem
        ctx.save_for_backward(grad_ys, y0)
        ctx.set_materialize_grads(False)
        return tuple(torch.full_like(tensor, torch.nan) for tensor in (y0, *parameters))

    @staticmethod
    def backward(ctx: Any, *directions: Tensor | None) -> Tensors:
        """The gradients of ``vᵀ J w`` by ``v`` and by what ``J`` depends on."""
        form, parameters = ctx.problem.form, ctx.problem.dynamics.parameters
        assert isinstance(form, Delays)
        assert form.along is not None
        differentiable = torch.is_grad_enabled()
        grad_ys, y0 = map(recorded, ctx.saved_tensors)
        with torch.enable_grad():
            product = (grad_ys * form.along(y0, *directions)).sum()
        inputs = (grad_ys, y0, *parameters)
        grads = torch.autograd.grad(product, inputs, allow_unused=True, create_graph=differentiable)
        return None, *grads
