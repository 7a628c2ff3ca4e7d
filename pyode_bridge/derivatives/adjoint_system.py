"""The adjoint as differential equations that torch differentiates again, for derivatives of higher order.

First derivatives are the engine's business, by the sensitivity algorithm that was asked for. Their own derivatives
come from the paper's augmented system, whose right-hand side is written here with autograd and solved by the same
engine, so that its adjoint is once more the engine's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from pyode_bridge.derivatives.parameters import reached
from pyode_bridge.engines.protocol import Solver
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.backsolve import augmented
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.forms import Noise
from pyode_bridge.problem.graph import are_entangled
from pyode_bridge.problem.grids import Grids
from pyode_bridge.problem.options import NORMS
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted


def check(problem: Problem) -> None:
    """Raise UnsupportedError where this is not the adjoint, as of noise."""
    if isinstance(problem.form, Noise):
        raise UnsupportedError(
            "Second derivatives of a solve are not available where there is noise; first ones are. Call autograd "
            "without create_graph, or name sensealg='DiscreteAdjoint', which has them."
        )


def segment(engine: Solver, problem: Problem, z: Tensor, times: Tensor) -> Problem:
    """The augmented system, from flat ``z`` at ``times[0]`` to ``times[1]``, which is earlier, as a problem."""
    wanted, dynamics = replace(problem.adjoint, method=engine.adjoint_method(problem)), problem.dynamics
    backwards = dynamics.direction.reversed
    # A norm for the backward solve's state speaks of another one than that of its adjoint.
    options = wanted.options if wanted.options.norm in NORMS else replace(wanted.options, norm="rms")
    at = times.detach().to("cpu", torch.float64)
    start = z.detach()
    made = Problem(
        lane=problem.lane,
        dynamics=_at_hand(engine, problem, _joint(dynamics), start, at, backwards),
        y0=start,
        t=backwards.solver_time(at),
        method=wanted.method,
        tolerances=wanted.tolerances,
        options=options,
        sensitivity=replace(wanted, options=options).again,
    )
    if wanted.method.fixed_step:
        y0 = dynamics.structure.unpack(start[: dynamics.size])
        grids = Grids(str(wanted.method), wanted.options, dynamics.func, y0, backwards)
        made.grid = grids.between(at)
        made.backward_grid = lambda i: grids.between(at.flip(0))
    return made


def _joint(dynamics: Dynamics) -> Callable[[Tensor, Tensor], Tensor]:
    """The augmented system's right-hand side.

    It has within reach what it depends on, and not what changes at each call, so that a translation is found again.
    """
    func, structure, sign, name = dynamics.func, dynamics.structure, dynamics.direction.sign, dynamics.name
    wanted = {field.name: getattr(dynamics.wanted, field.name) for field in fields(dynamics.wanted)}

    def joint(t: Tensor, z: Tensor) -> Tensor:
        direction, differentiable = Direction(sign), torch.is_grad_enabled()
        own = Dynamics(func, structure, Wanted(**wanted), direction, name)

        def products(y: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return own.value_and_vjp(math.nan, y, v, create_graph=differentiable, t=t)

        return direction.turned(augmented(z, own.size, products))

    return joint


def _at_hand(
    engine: Solver, problem: Problem, joint: Dynamic, start: Tensor, times: Tensor, direction: Direction
) -> Dynamics:
    """The augmented system's dynamics: what was translated of them is known, or they are tried at the start."""
    structure, forward = Structure.of(start), problem.dynamics
    entangled = forward.wanted.used is None and are_entangled(forward.parameters)
    wanted = Wanted(forward.parameters, None if entangled else ())
    made = Dynamics(joint, structure, wanted, direction, f"the adjoint of {forward.name}")
    if not engine.compiles or problem.lane == "callback":
        return made
    guards = reached(joint)
    made.cache_hit = None if guards is None else engine.recall(guards, structure, direction)
    if made.cache_hit is None:
        with torch.no_grad():
            made.start = made.evaluate(direction.solver_time(times[0].item()), start).detach()
    return made


def time_gradients(grad_ys: Tensor, grad_y0: Tensor, velocities: Tensor) -> Tensor:
    """``dL/dt_i = <dL/dy_i, dy/dt(t_i)>``; for the first time, minus that of what flows through the solve."""
    flows = torch.cat([(grad_ys[0] - grad_y0)[None], grad_ys[1:]])
    return (flows * velocities).sum(-1)
