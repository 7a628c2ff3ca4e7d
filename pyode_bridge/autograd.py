"""The solve as one node of torch's autograd graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyode_bridge import progress
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import Engine, Problem, Pullback, Trajectory


class OdeSolve(torch.autograd.Function):
    """Forward: the engine's solve. Backward: the engine's pullback (the adjoint; Chen et al. 2018, eqs. 4 and 5)."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        problem: Problem,
        trajectories: list[Trajectory],
        y0: Tensor,
        t: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        """Solve ``problem`` and append the trajectory to ``trajectories``; returns values of shape ``(T, n)``."""
        with progress.shown(problem):
            trajectory = engine.solve(problem)
        trajectories.append(trajectory)
        ctx.problem = problem
        ctx.pullback = trajectory.pullback
        # The parameters are saved so that torch refuses a backward pass after they were changed in place.
        ctx.save_for_backward(trajectory.ys, t, *parameters)
        # Another tensor of the same memory: the pullback holds trajectory.ys, and a node that holds its own output is
        # a cycle that Python's garbage collector does not see.
        return trajectory.ys.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ys: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to ``y0``, ``t`` and each parameter."""
        ys, t, *_ = ctx.saved_tensors
        problem: Problem = ctx.problem
        pullback: Pullback = ctx.pullback
        grad_ys = grad_ys.contiguous()
        with progress.shown(problem, backward=True):
            gradients = pullback(grad_ys)
        grad_t = _time_gradient(problem, ys, grad_ys, gradients.y0).to(t) if ctx.needs_input_grad[4] else None
        return None, None, None, gradients.y0, grad_t, *problem.dynamics.split_parameters(gradients.parameters)


def _time_gradient(problem: Problem, ys: Tensor, grad_ys: Tensor, grad_y0: Tensor) -> Tensor:
    """``dL/dt_i = <dL/dy_i, f(t_i, y_i)>``; for the first time, minus that of what flows through the solve."""
    dynamics = problem.dynamics
    if problem.mass_matrix is not None:
        raise UnsupportedError("Gradients with respect to t are not available where there is a mass matrix.")
    flows = torch.cat([(grad_ys[0] - grad_y0)[None], grad_ys[1:]])
    slopes = torch.stack([dynamics(s, y) for s, y in zip(problem.t.tolist(), ys, strict=True)])
    return dynamics.sign * (flows * slopes).sum(-1)
