"""The solve and its adjoint as nodes of torch's autograd graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives import adjoint_system, hooks, steady, underlying
from pyode_bridge.derivatives.underlying import Constraint
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import progress
from pyode_bridge.problem.backsolve import swept_back
from pyode_bridge.problem.forms import Steady
from pyode_bridge.problem.graph import direct_gradients
from pyode_bridge.problem.problem import Gradients, Problem, Pullback, Trajectory
from pyode_bridge.problem.retcodes import checked
from pyode_bridge.problem.wanted import UnmetError


class OdeSolve(torch.autograd.Function):
    """Forward: the engine's solve. Backward: its adjoint, `OdeAdjoint`.

    The inputs are all tensors that the dynamics may depend on; those that they do not at the start come last. They may
    belong to something else, so they are neither saved nor part of the adjoint unless an evaluation depends on them;
    then everything is solved anew.
    """

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
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
    problem, pullback, wants_t = ctx.problem, ctx.trajectory.pullback, ctx.needs_input_grad[3]
    ys, t, *parameters = ctx.saved_tensors
    if not torch.is_grad_enabled():  # nobody differentiates them, for whom a node costs a tenth of a short step
        return _adjoint(problem, pullback, grad_ys, ys, t, wants_t=wants_t)
    gradients: tuple[Tensor | None, ...] = OdeAdjoint.apply(  # type: ignore[no-untyped-call]
        ctx.engine,
        *(problem, pullback, wants_t, grad_ys, ys, t),
        *parameters,
        *(tensor for tensor, _ in ctx.late),
    )
    return gradients


def _adjoint(
    problem: Problem, pullback: Pullback, grad_ys: Tensor, ys: Tensor, t: Tensor, *, wants_t: bool
) -> tuple[Tensor | None, ...]:
    """Gradients with respect to ``y0``, ``t`` (None unless wanted) and each parameter, by the engine's pullback."""
    with progress.shown(problem, backward=True), hooks.apart(problem.dynamics.parameters):
        gradients = checked(pullback(grad_ys), grad_ys, problem, pullback.sensealg)
    return _outputs(problem, ys, t, grad_ys, gradients, wants_t=wants_t)


def _widen(ctx: Any) -> None:
    """Solve anew, for gradients of what the dynamics come to depend on later than at the start, too."""
    problem: Problem = ctx.problem
    ctx.problem = replace(problem, dynamics=problem.dynamics.widened())
    ctx.late, ctx.unmet = ctx.unmet, []
    with torch.no_grad(), progress.shown(ctx.problem), hooks.apart(ctx.problem.dynamics.parameters):
        ctx.trajectory.pullback = ctx.engine.solve(ctx.problem).pullback


class OdeAdjoint(torch.autograd.Function):
    """Forward: the engine's pullback (Chen et al. 2018, eqs. 4 and 5). Backward: the adjoint of that adjoint."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        problem: Problem,
        pullback: Pullback,
        wants_t: bool,
        grad_ys: Tensor,
        ys: Tensor,
        t: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients with respect to ``y0``, ``t`` (None unless wanted) and each parameter."""
        ctx.engine, ctx.problem, ctx.wants_t = engine, problem, wants_t
        ctx.save_for_backward(grad_ys, ys, t, *parameters)
        return _adjoint(problem, pullback, grad_ys, ys, t, wants_t=wants_t)

    @staticmethod
    def backward(ctx: Any, *vs: Tensor | None) -> tuple[Tensor | None, ...]:
        """Vector-Jacobian products of the gradients, by solving the adjoint system with autograd."""
        *inputs, t = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors[:3])
        grad_ys, ys = inputs
        underlying.check_twice_differentiable(ctx.problem)
        problem, constraint = underlying.ordinary(ctx.problem), Constraint.of(ctx.problem)
        inputs = [grad_ys, ys, t, *ctx.saved_tensors[3:]]
        with hooks.apart(problem.dynamics.parameters):
            with torch.enable_grad():
                gradients = _again(ctx.engine, problem, grad_ys, ys, t)
                if constraint is not None:
                    gradients = constraint.to_free_start(gradients, grad_ys[0], ys[0], t[0])
                outputs = _outputs(problem, ys, t, grad_ys, gradients, wants_t=ctx.wants_t)
            pairs = [(out, v) for out, v in zip(outputs, vs, strict=True) if out is not None and v is not None]
            differentiated, cotangents = zip(*pairs, strict=True)
            # The graph is kept: it may reach into one that belongs to the caller.
            products: Sequence[Any] = torch.autograd.grad(
                differentiated,
                inputs,
                cotangents,
                allow_unused=True,
                retain_graph=True,
                materialize_grads=constraint is not None,
            )
            if constraint is not None:
                products = [products[0], *constraint.products_to_free_start(products[1:], ys, t)]
        if torch.is_grad_enabled():  # somebody is about to differentiate them
            origins = (*ctx.saved_tensors, *(v for v in vs if v is not None))
            products = tuple(None if product is None else final(product, THIRD, *origins) for product in products)
        return None, None, None, None, *products


THIRD = "Third derivatives of a solve are not available; second ones are."


def final(value: Tensor, message: str, *origins: Tensor) -> Tensor:
    """A value whose dependence on its origins autograd does not know: a gradient through it raises the message."""
    made: Tensor = Final.apply(value, message, *origins)  # type: ignore[no-untyped-call]
    return made


class Final(torch.autograd.Function):
    """A value that is not to be differentiated, since the gradient would be wrong; see `final`."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, message: str, *origins: Tensor) -> Tensor:
        """The value, which requires a gradient where one of its origins does."""
        ctx.message = message
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Raises UnsupportedError."""
        raise UnsupportedError(ctx.message)


def _outputs(
    problem: Problem, ys: Tensor, t: Tensor, grad_ys: Tensor, gradients: Gradients, *, wants_t: bool
) -> tuple[Tensor | None, ...]:
    grad_t = None
    if wants_t:
        velocities = underlying.velocities(problem, ys, t)
        grad_t = adjoint_system.time_gradients(grad_ys, gradients.y0, velocities).to(t)
    return gradients.y0, grad_t, *problem.dynamics.split_parameters(gradients.parameters)


def _again(engine: Engine, problem: Problem, grad_ys: Tensor, ys: Tensor, t: Tensor) -> Gradients:
    """The gradients with autograd: of a steady state, or by the adjoint system from each time back to the last."""
    if isinstance(problem.form, Steady):
        return steady.gradients(problem, grad_ys, ys)
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
        adjoint_system.sensitivity(problem),
        "The second derivative",
    )
