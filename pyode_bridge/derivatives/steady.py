"""The gradient of a steady state as torch's operations, which torch differentiates again, for second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.problem import Gradients, Problem
from pyode_bridge.problem.state import flat_gradients


def gradients(problem: Problem, grad_ys: Tensor, ys: Tensor) -> Gradients:
    """``-wᵀ ∂f/∂θ`` with ``wᵀ ∂f/∂y = grad`` at the steady state, which is the last of ``ys``; with autograd.

    Raises:
        UnsupportedError: the dynamics are no numbers at late times, or their Jacobian is singular.
    """
    dynamics, y = problem.dynamics, ys[-1]
    late = torch.finfo(dynamics.structure.time_dtype).max ** 0.5  # what the dynamics do no longer depends on it
    value = dynamics.recorded(late, y)
    rows = [torch.autograd.grad(row, y, create_graph=True, materialize_grads=True)[0] for row in value]
    w: Tensor
    w, singular = torch.linalg.solve_ex(torch.stack(rows).mT, grad_ys[-1])
    if singular or not value.isfinite().all():
        what = "Jacobian is singular there" if value.isfinite().all() else f"values at t = {late:.1e} are no numbers"
        raise UnsupportedError(
            f"Second derivatives of this steady state are not available, since the dynamics' {what}; first ones are. "
            "Call autograd without create_graph."
        )
    grads = dynamics.pulled_back(value, dynamics.parameters, -w, create_graph=True)
    flat = flat_gradients(grads, dynamics.parameters, y)
    return Gradients(grad_ys[0], torch.cat(flat) if flat else y.new_empty(0))
