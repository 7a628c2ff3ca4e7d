"""The gradient of a residual equation as that of the one with its derivatives among the states, for second derivatives.

That has a singular mass matrix, so what underlies it is differentiated: an ordinary equation. What the solver of the
residual found is where it starts, with derivatives by Newton's method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from pyode_bridge.derivatives import underlying
from pyode_bridge.derivatives.adjoint_system import time_gradients
from pyode_bridge.derivatives.underlying import Constraint
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Residual
from pyode_bridge.problem.problem import Gradients, Problem, Sensitivity
from pyode_bridge.problem.state import Structure, flat_gradients

SolvedBack = Callable[[Problem, Tensor, Tensor, Tensor], Gradients]  # of the loss's gradients, the values and the times


class _Joint(NamedTuple):
    """The equation over ``[y, v]``, with its values at the times, ``zs``, held on its constraint; and the times."""

    problem: Problem
    constraint: Constraint
    zs: Tensor
    t: Tensor


def gradients(
    problem: Problem, sensitivity: Sensitivity, grad_ys: Tensor, ys: Tensor, t: Tensor, solved_back: SolvedBack
) -> Gradients:
    """Of the values, shape ``(T, n)``, with autograd.

    Args:
        problem: a residual.
        sensitivity: how an ordinary equation's adjoint is solved.
        grad_ys: the loss's gradients by the values.
        ys: the values.
        t: the user's times.
        solved_back: finds the gradients of an ordinary equation.
    """
    form = problem.form
    assert isinstance(form, Residual)
    joint = _joint(problem, form, sensitivity, ys, t)
    made, direction, t = joint.problem.dynamics, problem.dynamics.direction, joint.t
    grad_zs = torch.cat([grad_ys, grad_ys.new_zeros(len(t), made.size - len(problem.y0))], 1)
    found = solved_back(underlying.ordinary(joint.problem), grad_zs, joint.zs, t)
    of_start, of_t0, *of_parameters = joint.constraint.freed(found.y0, joint.zs[0], t[0])
    assert of_start is not None
    flat = [found.parameters + torch.cat([ys.new_empty(0), *flat_gradients(of_parameters, made.parameters, ys)])]
    if form.wants_times:
        of_times = time_gradients(grad_zs, found.y0, underlying.velocities(joint.problem, joint.zs, t))
        if of_t0 is not None:
            of_times = torch.cat([of_times[:1] + of_t0, of_times[1:]])
        flat.append(direction.turned(of_times))
    return Gradients(of_start[: len(problem.y0)], torch.cat(flat))


def _joint(problem: Problem, form: Residual, sensitivity: Sensitivity, ys: Tensor, t: Tensor) -> _Joint:
    dynamics, states = problem.dynamics, form.states
    parameters = list(dynamics.parameters)
    if form.wants_times:
        t = dynamics.direction.user_time(parameters.pop())
    found = states.found(t.detach(), ys.detach(), dynamics.direction.turned(form.dy0))
    wanted = replace(dynamics.wanted, parameters=parameters)
    made = Dynamics(states, Structure.of(found[0]), wanted, dynamics.direction, dynamics.name)
    joint = replace(
        problem, dynamics=made, y0=found[0], form=None, mass_matrix=states.mass_matrix, sensitivity=sensitivity
    )
    constraint = Constraint.of(joint)
    assert constraint is not None
    moves = torch.nn.functional.pad(ys - ys.detach(), (0, made.size - ys.shape[1]))
    zs = torch.stack([constraint.held(z, time) for z, time in zip(found + moves, t, strict=True)])
    return _Joint(joint, constraint, zs, t)
