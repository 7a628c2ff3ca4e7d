"""Finding the first event of a span, by the engine's own root finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.preparation import Dynamic, Settings, prepare
from pyode_bridge.problem import Problem
from pyode_bridge.state import State, Structure

if TYPE_CHECKING:
    from pyode_bridge.events import Event

SIGNS = {"rising": 1, "falling": -1, "any": 0}


@dataclass(frozen=True)
class Located:
    """Which event happens first, and when."""

    t: float
    index: int


def locate(
    func: Dynamic,
    state: State,
    start: float,
    end: float,
    events: Sequence[Event],
    last: int | None,
    solver: dict[str, Any],
) -> Located | None:
    """The first event between ``start`` and ``end``, or None; ``last`` is the one that happened at ``start``.

    The engine sees the conditions as one function of the flat state. A condition that is zero at the start counts as
    having the sign that it is about to take, so that an event does not happen again at once.
    """
    with torch.no_grad():
        prepared = prepare(func, state, torch.tensor([start, end], dtype=torch.float64), Settings(**solver))
        problem = prepared.problem
        sign, s_end = problem.dynamics.sign, problem.t[-1].item()
        while True:
            conditions = _Conditions(func, problem, events, last)
            crossing = prepared.engine.locate(problem, conditions, len(events))
            if crossing is None:
                return None
            wanted = SIGNS[events[crossing.index].direction]
            if not wanted or wanted * conditions.rate(crossing.index, crossing.s, crossing.y) >= 0:
                return Located(sign * crossing.s, crossing.index)
            if crossing.s >= s_end:
                return None
            last = crossing.index
            problem = replace(problem, y0=crossing.y, t=torch.tensor([crossing.s, s_end], dtype=torch.float64))


def slope(
    func: Dynamic, structure: Structure, condition: Callable[..., Any], t: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """``dg/dt`` of a condition along the solution, a scalar, and the velocity ``f`` there, flat."""
    with torch.enable_grad():
        t, y = t.detach().requires_grad_(), y.detach().requires_grad_()
        value = condition(t, structure.unpack_copy(y)).sum()
        if value.requires_grad:
            g_t, g_y = torch.autograd.grad(value, (t, y), allow_unused=True, materialize_grads=True)
        else:
            g_t, g_y = torch.zeros_like(t), torch.zeros_like(y)
    with torch.no_grad():
        velocity = structure.pack(func(t.detach(), structure.unpack_copy(y.detach())))
    return g_t + g_y @ velocity, velocity


class _Conditions:
    """All conditions at time ``s`` and flat state ``y``, shape ``(number of events,)``, float64."""

    def __init__(self, func: Dynamic, problem: Problem, events: Sequence[Event], last: int | None) -> None:
        self._func = func
        self._dynamics = problem.dynamics
        self._events = events
        self._start = problem.t[0].item()
        # A condition that comes to zero within this time counts as being on it: an event has just happened.
        self._margin = torch.finfo(problem.y0.dtype).eps ** 0.5 * max(1.0, abs(self._start))
        self._leaving: dict[int, float] = {}
        values = self(self._start, problem.y0)
        if not torch.isfinite(values).all():
            raise InputError(f"The events' conditions are {values.tolist()} at the start; expected finite numbers.")
        for index, value in enumerate(values.tolist()):
            if value == 0 or index == last:
                rate = self.rate(index, self._start, problem.y0)
                if abs(value) <= self._margin * abs(rate):
                    self._leaving[index] = self._margin * rate

    def __call__(self, s: float, y: Tensor) -> Tensor:
        t, structure = self._dynamics.time(s), self._dynamics.structure
        values = torch.stack(
            [_scalar(index, event.condition(t, structure.unpack_copy(y))) for index, event in enumerate(self._events)]
        )
        if s <= self._start + self._margin:
            for index, value in self._leaving.items():
                values[index] = value
        return values

    def rate(self, index: int, s: float, y: Tensor) -> float:
        """How fast a condition changes along the solution, in the solver's time."""
        dynamics = self._dynamics
        rate, _ = slope(self._func, dynamics.structure, self._events[index].condition, dynamics.time(s), y)
        return dynamics.sign * rate.item()


def _scalar(index: int, value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        raise InputError(f"The condition of event {index} returned {value!r}; expected a real scalar tensor.")
    return value.detach().reshape(()).double()
