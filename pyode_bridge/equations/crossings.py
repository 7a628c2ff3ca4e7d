"""Finding the first event of a span: the signs of conditions, followed as an engine solves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyode_bridge.equations.event import SIGNS, Condition, Event
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.checks import not_finite
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure
from pyode_bridge.problem.wanted import Wanted


@dataclass(frozen=True)
class Located:
    """The first event of a span, or the span's end.

    Attributes:
        t: the first time at which the event's condition has crossed zero, to the resolution of the numbers.
        index: which event it is; None at the end.
        y: the flat state there.
        before: the flat state at the last time before the crossing.
        by_time: whether time alone makes the condition cross there, whatever the state: it jumps at that time.
    """

    t: float
    index: int | None
    y: Tensor
    before: Tensor
    by_time: bool = False


def locate(
    func: Dynamic,
    state: State,
    start: float,
    end: float,
    events: Sequence[Event],
    last: int | None,
    settings: Settings,
) -> Located:
    """The first event between ``start`` and ``end``; ``last`` is the one that happened at ``start``, or None."""
    with torch.no_grad():
        prepared = prepare(func, state, torch.tensor([start, end], dtype=torch.float64), settings)
        _check_steps(prepared.problem)
        watch = _Watch(prepared.problem, events, last)
        prepared.engine.locate(prepared.problem, watch)
        return watch.located()


def _check_steps(problem: Problem) -> None:
    """Raise UnsupportedError where steps are fixed, but nothing says how long they are."""
    options = problem.options
    if problem.method.fixed_step and options.dt is None and options.grid_constructor is None:
        raise UnsupportedError(
            f"{problem.method} takes fixed steps, and the way to an event has no times to step to: give "
            "options={'step_size': ...}."
        )


class Slope(NamedTuple):
    """Of a condition ``g`` along the solution: ``dg/dt``, a scalar; the velocity, flat; and ``dg/dy``, as that."""

    rate: Tensor
    velocity: Tensor
    by_state: Tensor


def slope(
    func: Dynamic,
    structure: Structure,
    condition: Condition,
    t: Tensor,
    y: Tensor,
    mass_matrix: Tensor | None,
) -> Slope:
    """How a condition changes along the solution, without autograd."""
    with torch.enable_grad():
        t, y = t.detach().requires_grad_(), y.detach().requires_grad_()
        value = condition(t, structure.unpack_copy(y)).sum()
    g_t, g_y = torch.zeros_like(t), torch.zeros_like(y)
    if value.requires_grad:
        # The graph is kept: it may reach into one that belongs to the caller.
        g_t, g_y = torch.autograd.grad(value, (t, y), retain_graph=True, allow_unused=True, materialize_grads=True)
    f = Dynamics(func, structure, Wanted())(t.item(), y.detach())
    v = f if mass_matrix is None else _solved(mass_matrix, f)
    return Slope(g_t + g_y @ v, v, g_y)


def _solved(mass_matrix: Tensor, f: Tensor) -> Tensor:
    """The velocity ``v`` of ``M v = f``."""
    v: Tensor
    v, info = torch.linalg.solve_ex(mass_matrix, f)
    if info.item():
        raise UnsupportedError(
            "With a singular mass_matrix, the times of events have no gradients: the equation does not give the "
            "velocity of its algebraic components. Solve under torch.no_grad()."
        )
    return v


class _Watch:
    """Whether an event has happened at time ``s`` and flat state ``y``; to be asked as `Engine.locate` says.

    A condition has crossed where its sign is no longer what it was, so that a jump is a crossing as well as a root, and
    one that stays at zero crosses where it first is zero. A condition that is zero at the start has the sign that it is
    about to take; if it stays zero, the sign that it takes later is no crossing.
    """

    def __init__(self, problem: Problem, events: Sequence[Event], last: int | None) -> None:
        self._dynamics, self._events = problem.dynamics, events
        self._wanted = [SIGNS[event.direction] for event in events]
        start, y0 = problem.t[0].item(), problem.y0
        margin = torch.finfo(y0.dtype).eps ** 0.5 * max(1.0, abs(start))
        self._left = start + margin  # until then, rounding errors may give a condition that leaves zero any sign
        self._leaving: list[int] = []
        values = self._values(start, y0)
        on_zero = [index for index, value in enumerate(values) if value == 0 or index == last]
        if on_zero:
            soon = self._values(self._left, y0 + margin * _velocity(problem))
            for index in on_zero:
                if abs(values[index]) <= abs(soon[index] - values[index]):
                    values[index] = soon[index]
                    self._leaving.append(index)
        self._at_start = (start, y0), list(map(_sign, values))
        self._begin()

    def _begin(self) -> None:
        self._passed, self._signs = self._at_start
        self._crossed: tuple[float, Tensor, int] | None = None

    def __call__(self, s: float, y: Tensor) -> bool:
        if s <= self._passed[0]:  # an engine has begun anew, with another method
            self._begin()
        signs = list(map(_sign, self._values(s, y)))
        for index in self._leaving if s <= self._left else ():
            signs[index] = self._signs[index]
        for index, (before, now, wanted) in enumerate(zip(self._signs, signs, self._wanted, strict=True)):
            if before and now != before and wanted != before:
                self._crossed = s, y.clone(), index
                return True
        self._signs, self._passed = signs, (s, y.clone())
        return False

    def located(self) -> Located:
        """What was found, after all questions."""
        s_before, before = self._passed
        user_time = self._dynamics.direction.user_time
        if self._crossed is None:
            return Located(user_time(s_before), None, before, before)
        s, y, index = self._crossed
        by_time = self._crosses(index, s, before) and not self._crosses(index, s_before, y)
        return Located(user_time(s), index, y, before, by_time)

    def _crosses(self, index: int, s: float, y: Tensor) -> bool:
        return _sign(self._values(s, y)[index]) != self._signs[index]

    def _values(self, s: float, y: Tensor) -> list[float]:
        t, unpack = self._dynamics.time(s), self._dynamics.structure.unpack_copy
        checked = (checked_condition(index, event.condition(t, unpack(y))) for index, event in enumerate(self._events))
        values = list(map(float, checked))
        if not all(map(math.isfinite, values)):
            raise not_finite(values, t.item())
        return values


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _velocity(problem: Problem) -> Tensor:
    """``dy/ds`` at the start; that of algebraic components, which the equation does not give, is taken for zero."""
    f = problem.dynamics(problem.t[0].item(), problem.y0)
    return f if problem.mass_matrix is None else torch.linalg.pinv(problem.mass_matrix) @ f


def checked_condition(index: int, value: Any) -> Tensor:
    """What the condition of an event returned; raises InputError where that is no number."""
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        raise InputError(f"The condition of event {index} returned {value!r}; expected a real scalar tensor.")
    return value
