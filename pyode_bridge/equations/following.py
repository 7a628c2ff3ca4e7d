"""Solving from event to event by the engine itself, without Python, where conditions and effects can be compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.derivatives import hooks
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.derivatives.side_effects import is_alone
from pyode_bridge.equations.crossings import Located, checked_condition
from pyode_bridge.equations.event import SIGNS, Event
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.problem import progress
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.forms import Hybrid, Part
from pyode_bridge.problem.problem import Followed, Problem
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State


def follow(
    func: Dynamic,
    state: State,
    times: Tensor,
    events: Sequence[Event],
    last: int | None,
    most: int,
    settings: Settings,
) -> Followed | None:
    """Solve along ``times`` from event to event, to the first whose effect Python has to call, or which is terminal.

    Args:
        last: the event that happened at the first time, or None.
        most: how many may happen.

    Returns:
        None where the engine cannot: it does not compile, or not these functions, or the method's steps are fixed.
    """
    prepared = prepared_hybrid(func, state, times, events, last, most, settings)
    if prepared is None:
        return None
    with torch.no_grad(), progress.shown(prepared.problem), hooks.apart():
        return prepared.engine.follow(prepared.problem)


def prepared_hybrid(
    func: Dynamic,
    state: State,
    times: Tensor,
    events: Sequence[Event],
    last: int | None,
    most: int,
    settings: Settings,
) -> Prepared | None:
    """The problem with its events, without gradients; None where no engine solves it by itself; see `follow`."""
    if settings["lane"] == "callback" or settings["mass_matrix"] is not None:
        return None
    with torch.no_grad():
        prepared = prepare(func, state, times.detach(), settings)
        problem = prepared.problem
        if not prepared.engine.compiles or problem.form is not None or _has_fixed_steps(problem):
            return None
        hybrid = _hybrid(problem.dynamics, problem.y0, events, last, most)
        return replace(prepared, problem=replace(problem, form=hybrid))


def located(followed: Followed, end: float) -> list[Located]:
    """What was found on the way; at last the end, where no event ended it."""
    found = [
        Located(t, index, at, before, by_time)
        for t, index, by_time, (before, at, _) in zip(
            followed.t.tolist(), followed.indices, followed.by_time, followed.states, strict=True
        )
    ]
    if followed.stopped:
        return found
    y = followed.trajectory.ys[-1]
    return [*found, Located(end, None, y, y)]


def _has_fixed_steps(problem: Problem) -> bool:
    options = problem.options
    return problem.method.fixed_step or options.dt is not None or options.adaptive is False


def _hybrid(dynamics: Dynamics, y0: Tensor, events: Sequence[Event], last: int | None, most: int) -> Hybrid:
    structure = dynamics.structure

    def conditions(s: float, t: Tensor, y: Tensor) -> Tensor:
        values = (
            checked_condition(index, event.condition(t.clone(), structure.unpack_copy(y)))
            for index, event in enumerate(events)
        )
        return torch.stack([value.reshape(()).to(structure.dtype) for value in values])

    def effect(index: int, event: Event) -> Part | None:
        affect = event.affect
        if affect is None or event.terminal or not is_alone(event.affect):
            return None

        def after(s: float, t: Tensor, y: Tensor) -> Tensor:
            name = f"The affect of event {index}"
            return structure.pack_returned(affect(t.clone(), structure.unpack_copy(y)), name, s)

        return Part(after, (y0,), len(y0))

    effects = [effect(index, event) for index, event in enumerate(events)]
    return Hybrid(
        conditions=Part(conditions, (y0,), len(events)),
        effects=effects,
        directions=[SIGNS[event.direction] for event in events],
        ends=[
            event.terminal or (event.affect is not None and part is None)
            for event, part in zip(events, effects, strict=True)
        ],
        last=last,
        most=most,
        functions=(
            *(event.condition for event in events),
            *(event.affect for event, part in zip(events, effects, strict=True) if part is not None),
        ),
    )
