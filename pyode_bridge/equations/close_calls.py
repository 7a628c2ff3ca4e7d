"""Events that happen, or do not, by less than the error of the solve: their number may change with the parameters.

A gradient is that of the events that happened. It says nothing of one that is about to appear or to vanish, as where a
ball just touches a wall, or lands as the solve ends: there, what is differentiated jumps.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.equations.crossings import Slope
from pyode_bridge.equations.event import SIGNS, Condition, Event
from pyode_bridge.errors import GradientWarning
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.problem import Tolerances
from pyode_bridge.problem.state import Structure

CLOSE = 100.0  # tolerances, to which errors of many steps may add up
SlopeAt = Callable[[Tensor, Tensor], Slope]


def warn_of_graze(index: int, t: Tensor, y: Tensor, at: Slope, slope_at: SlopeAt, tolerances: Tolerances) -> None:
    """Warn where the condition of an event that happened crosses zero, and soon turns.

    It does at ``t`` and the flat ``y``, with the slope ``at``.
    """
    t, y = t.detach(), y.detach()
    rate, v, by_state = (part.detach() for part in at)
    span = torch.finfo(y.dtype).eps ** 0.5 * max(1.0, abs(t.item()))
    bend = abs((rate - slope_at(t - span, y - span * v).rate).item()) / span
    depth = rate.item() ** 2 / (2 * bend) if bend else math.inf  # which it reaches beyond zero, if it goes on like that
    if depth <= _error(by_state, y, tolerances):
        _warn(f"The condition of event {index} only grazes zero at t = {t.item():.6g}, by {depth:.1g}", "not reach it")


def warn_of_end(
    t: Tensor,
    y: Tensor,
    structure: Structure,
    events: Sequence[Event],
    direction: Direction,
    slope_of: Callable[[Condition], SlopeAt],
    tolerances: Tolerances,
) -> None:
    """Warn where a condition is about to cross zero at the end of the solve, at ``t`` and the flat ``y``."""
    t, y = t.detach(), y.detach()
    for index, event in enumerate(events):
        with torch.no_grad():
            value = float(event.condition(t, structure.unpack_copy(y)))
        rate, _, by_state = (part.detach() for part in slope_of(event.condition)(t, y))
        way = direction.sign * rate.item()
        is_coming = value * way < 0 <= SIGNS[event.direction] * way
        if is_coming and abs(value) <= _error(by_state, y, tolerances):
            _warn(
                f"The condition of event {index} is {value:.1g} and on its way to zero where the solve ends, at "
                f"t = {t.item():.6g}",
                "cross it before",
            )


def _error(by_state: Tensor, y: Tensor, tolerances: Tolerances) -> float:
    """By how much a condition may be wrong, since the state is."""
    return CLOSE * float((by_state.abs() * (tolerances.atol + tolerances.rtol * y.abs())).sum())


def _warn(what: str, otherwise: str) -> None:
    warnings.warn(
        f"{what}, which is within the error of the solve: for parameters next to these it may {otherwise}, and the "
        "number of events be another. The gradient is that of the events that happened, and there the solution may "
        "jump. Tighten rtol and atol to see which it is, or move the condition or the end.",
        GradientWarning,
        stacklevel=3,
    )
