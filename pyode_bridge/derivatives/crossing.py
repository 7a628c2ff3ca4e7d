"""The time and the state at which a condition crosses zero, as functions of all that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.derivatives.any_order import Pure, Tensors, node, recorded
from pyode_bridge.derivatives.autograd import OdeSolve
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import (
    AS_ASKED,
    Gradients,
    Problem,
    Sensitivity,
    SolverStats,
    Tolerances,
    Trajectory,
)
from pyode_bridge.problem.state import Structure

Condition = Callable[[Tensor, Tensor], Tensor]


def crossing(
    t: Tensor, y: Tensor, condition: Condition, dynamics: Dynamics, mass_matrix: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The time and the state, which are ``t`` and ``y``, with their derivatives.

    Args:
        t, y: where it crosses; ``t`` stands still, and ``y``, flat, depends on what the solve does.
        condition: of a time and a flat state, a scalar.
        dynamics: of the user's time; their parameters are those of the condition, too.
        mass_matrix: a regular one, or None.
    """
    exact = Sensitivity(Method(None), Tolerances(0.0, 0.0), StepOptions(), None)
    problem = Problem(dynamics, y, t, exact.method, exact.tolerances, exact.options, exact, mass_matrix)
    root = _Root.apply(condition, problem, y, t, *problem.dynamics.parameters)  # type: ignore[no-untyped-call]
    return root, _flown(problem, y, t, root)


class _Root(torch.autograd.Function):
    """The time, whose gradient depends on that very time, so that it has all orders."""

    @staticmethod
    def forward(ctx: Any, condition: Condition, problem: Problem, y: Tensor, t: Tensor, *parameters: Tensor) -> Tensor:
        root = t.clone()
        ctx.condition, ctx.problem = condition, problem
        ctx.save_for_backward(y, root, *parameters)
        return root

    @staticmethod
    def backward(ctx: Any, of_root: Tensor) -> Tensors:
        y, root, *parameters = ctx.saved_tensors
        condition, problem = ctx.condition, ctx.problem

        def pulled_back(of_root: Tensor, y: Tensor, root: Tensor) -> Tensors:
            return _pulled_back(condition, problem, of_root, y, root)

        implicit = Pure.of(pulled_back, problem.dynamics)
        of_y, *of_parameters = node(implicit, implicit, *parameters, of_root, y, root)
        return None, None, of_y, None, *of_parameters


def _pulled_back(condition: Condition, problem: Problem, of_root: Tensor, y: Tensor, root: Tensor) -> Tensors:
    """By the implicit function theorem: the gradients by the state, where time stands still, and by each parameter."""
    differentiable = torch.is_grad_enabled()
    y, at = map(recorded, (y, root))
    with torch.enable_grad():
        value = condition(at, _flown(problem, y, root.detach(), at))
        (rate,) = torch.autograd.grad(value, at, create_graph=True)
        return torch.autograd.grad(
            value, (y, *problem.dynamics.parameters), -of_root / rate, allow_unused=True, create_graph=differentiable
        )


def _flown(problem: Problem, y: Tensor, t: Tensor, later: Tensor) -> Tensor:
    """The state at a time ``later``, which is none but ``t``."""
    times = torch.stack([t, later])
    made = replace(problem, y0=y.detach(), t=problem.dynamics.direction.solver_time(times.detach().double()))
    ys, _ = OdeSolve.apply(_NO_TIME, made, y, times, *problem.dynamics.parameters)  # type: ignore[no-untyped-call]
    flown: Tensor = ys[-1]
    return flown


class _NoTime:
    """Solves over no time: of their values the derivatives alone depend on the equation."""

    compiles = False

    def recall(self, guards: Guards, structure: Structure, direction: Direction) -> None:
        return None

    def adjoint_method(self, problem: Problem) -> Method:
        return problem.adjoint.method

    def solve(self, problem: Problem) -> Trajectory:
        ys = torch.stack([problem.y0, problem.y0])
        pullback = _PullbackOverNoTime(problem.dynamics.parameter_size)
        return Trajectory(ys, SolverStats(0), "Success", "none", "none", "callback", pullback)


class _PullbackOverNoTime:
    sensealg, reason = "none", AS_ASKED

    def __init__(self, parameter_size: int) -> None:
        self._parameter_size = parameter_size

    def __call__(self, grad_ys: Tensor) -> Gradients:
        return Gradients(grad_ys.sum(0), grad_ys.new_zeros(self._parameter_size))


_NO_TIME = _NoTime()
