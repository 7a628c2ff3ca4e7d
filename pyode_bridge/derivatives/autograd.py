"""The solve and its adjoint as nodes of torch's autograd graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives import adjoint_system, along_noise, along_tangents, hooks, implied, steady, underlying
from pyode_bridge.derivatives.any_order import Pure, node
from pyode_bridge.derivatives.underlying import Constraint
from pyode_bridge.engines.protocol import Solver
from pyode_bridge.problem import progress
from pyode_bridge.problem.backsolve import swept_back
from pyode_bridge.problem.forms import Delays, Residual, Steady
from pyode_bridge.problem.graph import direct_gradients
from pyode_bridge.problem.noise_path import NoisePath
from pyode_bridge.problem.problem import Gradients, Problem, Pullback, Trajectory
from pyode_bridge.problem.retcodes import checked
from pyode_bridge.problem.wanted import UnmetError


class OdeSolve(torch.autograd.Function):
    """Forward: the engine's solve. Backward: its adjoint, as a node of any order.

    The inputs are all tensors that the dynamics may depend on; those that they do not at the start come last. They may
    belong to something else, so they are neither saved nor part of the adjoint unless an evaluation depends on them;
    then everything is solved anew.
    """

    @staticmethod
    def forward(
        ctx: Any,
        engine: Solver,
        problem: Problem,
        y0: Tensor,
        t: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Trajectory]:
        """Solve ``problem``; returns values of shape ``(T, n)``, and all that the engine returned."""
        with progress.shown(problem), hooks.apart(parameters):
            trajectory = engine.solve(problem)
        ctx.engine, ctx.problem, ctx.trajectory = engine, problem, trajectory
        # Another tensor of the same memory: the pullback holds trajectory.ys, and a node that holds its own output is
        # a cycle that Python's garbage collector does not see.
        ys = trajectory.ys.detach()
        # The parameters are saved so that torch refuses a backward pass after they were changed in place.
        met = len(problem.dynamics.parameters)
        ctx.save_for_backward(ys, t, *parameters[:met])
        ctx.unmet, ctx.late = [(tensor, tensor._version) for tensor in parameters[met:]], []
        return ys, trajectory

    @staticmethod
    def backward(ctx: Any, grad_ys: Tensor, _: None) -> tuple[Tensor | None, ...]:
        """Gradients with respect to ``y0``, ``t`` and each parameter; with ``create_graph``, differentiable.

        None for those that the dynamics depend on nowhere.
        """
        problem: Problem = ctx.problem
        if ctx.trajectory.lane != "compiled" or torch.is_grad_enabled():  # which reads the tensors of the solve
            with hooks.apart([tensor for tensor, _ in ctx.unmet]):
                problem.dynamics.check_still_uses_leaves(problem.t[0].item(), problem.y0)
        try:
            gradients = _pulled_back(ctx, grad_ys.contiguous())
        except UnmetError:
            _widen(ctx)
            gradients = _pulled_back(ctx, grad_ys.contiguous())
        if problem.dynamics.wanted.used is None:  # some may have been computed from others
            of_y0, of_t, *of_parameters = gradients
            gradients = (of_y0, of_t, *direct_gradients(problem.dynamics.parameters, of_parameters))
        return None, None, *gradients, *[None] * len(ctx.unmet)


def _pulled_back(ctx: Any, grad_ys: Tensor) -> tuple[Tensor | None, ...]:
    for tensor, version in ctx.late:
        if tensor._version != version:
            raise RuntimeError(
                f"A tensor of shape {tuple(tensor.shape)} that the dynamics use was modified by an inplace operation "
                "since the solve, before its backward pass."
            )
    problem, trajectory, wants_t = ctx.problem, ctx.trajectory, ctx.needs_input_grad[3]
    ys, t, *parameters = ctx.saved_tensors
    if not torch.is_grad_enabled():  # nobody differentiates them, for whom a node costs a tenth of a short step
        return _adjoint(problem, trajectory.pullback, wants_t, grad_ys, ys, t)
    late = [tensor for tensor, _ in ctx.late]
    adjoint = functools.partial(_adjoint, problem, trajectory.pullback, wants_t)
    again = Pure.of(functools.partial(_again, ctx.engine, problem, trajectory.path, wants_t), problem.dynamics)
    return node(again, adjoint, *parameters, *late, grad_ys, ys, t)


def _adjoint(
    problem: Problem, pullback: Pullback, wants_t: bool, grad_ys: Tensor, ys: Tensor, t: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients with respect to ``y0``, ``t`` (None unless wanted) and each parameter, by the engine's pullback.

    That is Chen et al. 2018, eqs. 4 and 5.
    """
    with progress.shown(problem, backward=True), hooks.apart(problem.dynamics.parameters):
        gradients = checked(pullback(grad_ys), grad_ys, problem, pullback.sensealg)
    return _outputs(problem, wants_t, gradients, grad_ys, ys, t)


def _widen(ctx: Any) -> None:
    """Solve anew, for gradients of what the dynamics come to depend on later than at the start, too."""
    problem: Problem = ctx.problem
    ctx.problem = replace(problem, dynamics=problem.dynamics.widened())
    ctx.late, ctx.unmet = ctx.unmet, []
    with torch.no_grad(), progress.shown(ctx.problem), hooks.apart(ctx.problem.dynamics.parameters):
        solved = ctx.engine.solve(ctx.problem)
        ctx.trajectory.pullback, ctx.trajectory.path = solved.pullback, solved.path


def _again(
    engine: Solver,
    problem: Problem,
    path: Callable[[], NoisePath] | None,
    wants_t: bool,
    grad_ys: Tensor,
    ys: Tensor,
    t: Tensor,
) -> tuple[Tensor | None, ...]:
    """What `_adjoint` computes, with autograd: by tangents, by steps, or by solves of the adjoint system."""
    if isinstance(problem.form, Residual):
        sensitivity = replace(problem.adjoint, method=engine.adjoint_method(problem))
        back = functools.partial(_solved_back, engine)
        return _outputs(problem, wants_t, implied.gradients(problem, sensitivity, grad_ys, ys, t, back), grad_ys, ys, t)
    underlying.check_twice_differentiable(problem)
    constraint, problem = Constraint.of(problem), underlying.ordinary(problem)
    if constraint is not None:
        ys = torch.cat([constraint.held(ys[0], t[0])[None], ys[1:]])
    if isinstance(problem.form, Steady):
        gradients = steady.gradients(problem, grad_ys, ys)
    elif isinstance(problem.form, Delays):
        gradients = along_tangents.gradients(problem, grad_ys, ys)
    elif path is not None:
        gradients = along_noise.gradients(problem, path(), grad_ys, ys)
    else:
        gradients = _solved_back(engine, problem, grad_ys, ys, t)
    if constraint is not None:
        gradients = constraint.to_free_start(gradients, grad_ys[0], ys[0], t[0])
    return _outputs(problem, wants_t, gradients, grad_ys, ys, t)


def _outputs(
    problem: Problem, wants_t: bool, gradients: Gradients, grad_ys: Tensor, ys: Tensor, t: Tensor
) -> tuple[Tensor | None, ...]:
    grad_t = None
    if wants_t:
        velocities = underlying.velocities(problem, ys, t)
        grad_t = adjoint_system.time_gradients(grad_ys, gradients.y0, velocities).to(t)
    return gradients.y0, grad_t, *problem.dynamics.split_parameters(gradients.parameters)


def _solved_back(engine: Solver, problem: Problem, grad_ys: Tensor, ys: Tensor, t: Tensor) -> Gradients:
    """The gradients with autograd, by the adjoint system from each time back to the one before."""
    adjoint_system.check(problem)

    def solved_to(i: int, z: Tensor) -> Tensor:
        times = t[[i + 1, i]]
        made = adjoint_system.segment(engine, problem, z, times)
        values, _ = OdeSolve.apply(engine, made, z, times, *made.dynamics.parameters)  # type: ignore[no-untyped-call]
        reached: Tensor = values[-1]
        return reached

    return swept_back(
        ys,
        grad_ys,
        t.tolist(),
        problem.dynamics.parameter_size,
        solved_to,
        problem.adjoint,
        "The derivative of a gradient",
    )
