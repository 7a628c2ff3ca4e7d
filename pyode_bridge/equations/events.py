"""Events: where a function of the solution crosses zero, and what happens there.

A solve is cut at each event. Where it lies is the solver's business; how the time of the event and the state there
depend on everything before follows from the implicit function theorem (Chen, Amos & Nickel 2021, "Learning neural event
functions"), so gradients pass through events with every solver and every sensitivity algorithm.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.crossing import crossing
from pyode_bridge.derivatives.parameters import reached, wanted
from pyode_bridge.equations.close_calls import SlopeAt, warn_of_end, warn_of_graze
from pyode_bridge.equations.crossings import Located, locate, slope
from pyode_bridge.equations.effects import affected
from pyode_bridge.equations.event import Condition, Event
from pyode_bridge.equations.event_solution import EventRecord, EventSolution
from pyode_bridge.equations.following import follow, located
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.result import without_values
from pyode_bridge.equations.solving import run
from pyode_bridge.errors import InputError, SolverError
from pyode_bridge.problem import checks
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.problem import Followed, Tolerances, Trajectory
from pyode_bridge.problem.retcodes import too_many_events
from pyode_bridge.problem.settings import Settings, SolverSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times
from pyode_bridge.problem.wanted import Wanted

LONGEST_SEARCH = 30  # windows of `until_event`, each twice as long as the one before


@between_graphs
@with_settings
def solve_events(
    func: Dynamic,
    y0: State,
    t: Times,
    events: Sequence[Event],
    *,
    max_events: int = 10_000,
    **settings: Unpack[SolverSettings],
) -> EventSolution:
    """Solve ``dy/dt = func(t, y)`` with events, differentiably: through their times, their affects and conditions.

    Args:
        func, y0, t: as for `odeint`.
        events: see `Event`; where two happen at once, the first of them counts.
        max_events: how many may happen; more raise, as a ball does whose bounces pile up.
        **settings: as for `odeint`: ``method``, ``rtol``, ``sensealg``, ...; see `SolverSettings`.

    Raises:
        InputError: unusable input, or an event whose time has no gradient because its condition jumps or only touches
            zero.
        SolverError: a solve failed, or ``max_events`` happened before the last time.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> floor = pb.Event(lambda t, y: y[0], lambda t, y: torch.stack([y[0], -0.9 * y[1]]), direction="falling")
        >>> fall = lambda t, y: torch.stack([y[1], torch.tensor(-9.81)])
        >>> bounces = pb.solve_events(fall, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), [floor])
    """
    chosen = complete("solve_events", SolverSettings, settings)
    if not events:
        raise InputError("events is empty; expected at least one Event. Without events, use odeint.")
    structure = Structure.of(y0)
    times, _ = checks.times(t, structure)
    direction = Direction.of(times)
    start, state, left = times[0], y0, times[1:]
    course, last = _Course(structure, times, [structure.pack(y0)]), None
    search = _Search(func, events, max_events, chosen)
    differentiated = requires_grad(func, course.rows[0], times, events)
    while True:
        span = torch.cat([start[None], left])
        followed = None if differentiated else search.followed(state, span, last, len(course.records))
        if followed is not None:
            record = course.take(followed, left, direction)
        else:
            found = search.next(state, span, last, len(course.records))
            record = course.solve_to(found, func, state, span, events, direction, chosen)
        left = times[len(course.rows) :]
        if record is None:
            if differentiated:
                course.check_end(func, events, direction, chosen)
            return course.finished(terminated=False)
        event = events[record.index]
        if event.terminal:
            course.records.append(record)
            return course.finished(terminated=True)
        state = affected(event, record.index, record.t, record.y, structure)
        course.records.append(replace(record, after=state))
        if left[0] == record.t:
            course.rows.append(structure.pack(record.y))
            left = left[1:]
        if not len(left):
            return course.finished(terminated=False)
        start, last = record.t, record.index


def until_event(
    func: Dynamic, y0: State, t0: Tensor, event_fn: Condition, direction: Direction, settings: Settings
) -> tuple[Tensor, State]:
    """Solve from ``t0`` until ``event_fn(t, y)`` crosses zero; see `odeint_event`."""
    checks.function(func, "func")
    checks.function(event_fn, "event_fn")
    structure = Structure.of(y0)
    t0 = checks.finite_time(t0, "t0", structure)
    events = _elements(event_fn, y0, t0)
    course = _Course(structure, t0[None], [structure.pack(y0)])
    state, start, length = y0, t0, direction.sign
    search = _Search(func, events, 1, settings)
    for _ in range(LONGEST_SEARCH):
        end = start.detach() + length
        found = search.next(state, torch.stack([start.detach(), end]), None, 0)
        at = not_before(torch.tensor(found.t, dtype=torch.float64), start, direction)
        (y,) = course.values_to(func, state, start, at[None], found, settings)
        if found.index is not None:
            record = _record(func, course, events, found, at, y, settings)
            both = torch.stack([structure.pack(y0), structure.pack(record.y)])
            return record.t, structure.unpack(both)
        state, start, length = structure.unpack(y), at, 2 * length
    raise SolverError(
        f"event_fn did not cross zero before t = {start.item():.6g}.",
        retcode="MaxTime",
        t=start.item(),
        algorithm=str(settings["method"]),
    )


def _elements(event_fn: Condition, y0: State, t0: Tensor) -> list[Event]:
    """An event for each element of what ``event_fn`` returns."""
    with torch.no_grad():
        value: object = event_fn(t0, y0)
    if not isinstance(value, Tensor) or value.numel() == 0:
        raise InputError(f"event_fn returned {value!r}; expected a tensor that crosses zero at the event.")

    def element(position: int) -> Event:
        return Event(lambda t, y: event_fn(t, y).reshape(-1)[position], terminal=True)

    return [element(position) for position in range(value.numel())]


class _Search:
    """Finds one event after the other: several at once where the engine can follow them by itself."""

    def __init__(self, func: Dynamic, events: Sequence[Event], max_events: int, settings: Settings) -> None:
        self._func, self._events, self._max_events, self._settings = func, events, max_events, settings
        self._ahead: deque[Located] = deque()
        self._can_follow = True

    def followed(self, state: State, times: Tensor, last: int | None, happened: int) -> Followed | None:
        """What the engine finds by itself; None where it cannot. So many have ``happened`` before."""
        if not self._can_follow:
            return None
        most = self._max_events - happened
        found = follow(self._func, state, times, self._events, last, most, self._settings)
        self._can_follow = found is not None
        if found is not None and found.too_many is not None:
            raise too_many_events(found.too_many, times[-1].item(), self._max_events)
        return found

    def next(self, state: State, times: Tensor, last: int | None, happened: int) -> Located:
        """The next event on the way along ``times``, or the end."""
        start, end = times[0].item(), times[-1].item()
        if not self._ahead:
            found = self.followed(state, times[[0, -1]], last, happened)
            self._ahead.extend([] if found is None else located(found, end))
        if self._ahead:
            return self._ahead.popleft()
        single = locate(self._func, state, start, end, self._events, last, self._settings)
        if single.index is not None and happened == self._max_events:
            raise too_many_events(single.t, end, self._max_events)
        return single


@dataclass
class _Course:
    """A solve with events, as far as it has come.

    Attributes:
        structure: of the state.
        times: all that are asked for.
        rows: the flat states at the first of these.
        records: the events that have happened.
        trajectories: what the engine returned, from each event to the next.
    """

    structure: Structure
    times: Tensor
    rows: list[Tensor]
    records: list[EventRecord] = field(default_factory=list)
    trajectories: list[Trajectory] = field(default_factory=list)

    def take(self, followed: Followed, left: Tensor, direction: Direction) -> EventRecord | None:
        """Take over what the engine found by itself along ``left``; returns the event that it ended at, if it did."""
        unpack, rows = self.structure.unpack, list(followed.trajectory.ys[1:])
        times = not_before(followed.t, left, direction)
        _, at, after = (column.unbind() for column in followed.states.unbind(1))
        records = [
            EventRecord(t, index, unpack(y), unpack(y_after))
            for t, index, y, y_after in zip(times.unbind(), followed.indices, at, after, strict=True)
        ]
        position = {time: row for row, time in enumerate(left[: len(rows)].tolist())}
        for t, y in zip(times.tolist(), at, strict=True):
            if t in position:
                rows[position[t]] = y  # not that after it, where the time is a rounded one
        last = records.pop() if followed.stopped else None
        if last is not None:
            del rows[len(_before(left, last.t, direction)) :]
        self.rows += rows
        self.records += records
        self.trajectories.append(without_values(followed.trajectory))
        return last

    def solve_to(
        self,
        found: Located,
        func: Dynamic,
        state: State,
        span: Tensor,
        events: Sequence[Event],
        direction: Direction,
        settings: Settings,
    ) -> EventRecord | None:
        """Solve along ``span`` to what was found there, with autograd; returns the event, or None at the end."""
        start, left = span[0], span[1:]
        if found.index is None:
            self.rows += self.values(func, state, start, left, settings)
            return None
        at = not_before(torch.tensor(found.t, dtype=torch.float64), left, direction)
        times = torch.cat([_before(left, at, direction), at[None]])
        *values, y = self.values_to(func, state, start, times, found, settings)
        self.rows += values
        return _record(func, self, events, found, at, y, settings)

    def values(self, func: Dynamic, state: State, start: Tensor, times: Tensor, settings: Settings) -> list[Tensor]:
        """The flat states at ``times``, which follow ``start``."""
        ys, trajectory = run(prepare(func, state, torch.cat([start[None], times]), settings))
        self.trajectories.append(without_values(trajectory))
        return list(ys[1:])

    def values_to(
        self, func: Dynamic, state: State, start: Tensor, times: Tensor, found: Located, settings: Settings
    ) -> list[Tensor]:
        """The flat states at ``times``, the last of which is that of what was found, to the digit; with autograd.

        Between two solves, values differ by as much as the tolerances allow, and a condition that jumps may not have.
        """
        *values, y = self.values(func, state, start, times, settings)
        return [*values, _valued(y, found.y)]

    def check_end(self, func: Dynamic, events: Sequence[Event], direction: Direction, settings: Settings) -> None:
        """Warn of events that all but happened before the end."""

        def slope_of(condition: Condition) -> SlopeAt:
            return _slope_at(func, self.structure, condition, settings)

        warn_of_end(self.times[-1], self.rows[-1], self.structure, events, direction, slope_of, self.tolerances)

    @property
    def tolerances(self) -> Tolerances:
        """Those of the solve so far."""
        found = self.trajectories[-1].tolerances
        assert found is not None
        return found

    def finished(self, *, terminated: bool) -> EventSolution:
        """The solution."""
        y = self.structure.unpack(torch.stack(self.rows))
        times = self.times[: len(self.rows)]
        return EventSolution(times, y, tuple(self.records), terminated, tuple(self.trajectories))


def not_before(t: Tensor, like: Tensor, direction: Direction) -> Tensor:
    """Times of events as others are, rounded as time goes on: before an event, its condition has yet to cross."""
    rounded = t.to(like)
    too_early = direction.solver_time(rounded.double()) < direction.solver_time(t)
    return torch.where(too_early, rounded.nextafter(rounded.new_tensor(direction.user_time(math.inf))), rounded)


def _before(times: Tensor, t: Tensor, direction: Direction) -> Tensor:
    """Those of the times that come before another one."""
    return times[direction.solver_time(times) < direction.solver_time(t)]


def requires_grad(func: Dynamic, y0: Tensor, t: Tensor, events: Sequence[Event]) -> bool:
    """Whether a gradient may be asked of the solution, as far as can be told."""
    if not torch.is_grad_enabled():
        return False
    found = reached((func, *((event.condition, event.affect) for event in events)))
    if found is None or not found.exhaustive:
        return True
    return any(tensor.requires_grad for tensor in (y0, t, *found.tensors))


def _valued(y: Tensor, value: Tensor) -> Tensor:
    """The value, with the autograd of ``y``."""
    return y + (value - y).detach() if y.requires_grad else value


def _slope_at(func: Dynamic, structure: Structure, condition: Condition, settings: Settings) -> SlopeAt:
    """How a condition changes along the solution, by time and flat state."""
    mass_matrix = checks.mass_matrix(settings["mass_matrix"], structure)
    return lambda t, y: slope(func, structure, condition, t, y, mass_matrix)


def _record(
    func: Dynamic,
    course: _Course,
    events: Sequence[Event],
    found: Located,
    t: Tensor,
    y: Tensor,
    settings: Settings,
) -> EventRecord:
    """The event, whose time and state have their gradients.

    The derivatives are those just before: behind it, a condition may stay at zero. Where a condition without a slope
    jumps at some time, that time is a constant.
    """
    assert found.index is not None
    structure, condition, before = course.structure, events[found.index].condition, _valued(y, found.before)
    value = condition(t, structure.unpack_copy(before))
    if value.requires_grad or before.requires_grad:
        slope_at = _slope_at(func, structure, condition, settings)
        at = slope_at(t, before)
        if at.rate == 0 and not found.by_time:
            raise InputError(
                f"The condition of event {found.index} has no slope where it crosses zero, at t = {t.item():.6g}: it "
                "jumps there, or only touches zero. So the event's time has no gradient. Solve under torch.no_grad(), "
                "or choose a condition that crosses zero with a slope."
            )
        if at.rate != 0:
            warn_of_graze(found.index, t, before, at, slope_at, course.tolerances)
        if value.requires_grad and at.rate != 0:
            mass_matrix = checks.mass_matrix(settings["mass_matrix"], structure)
            t, y = crossing(t, before, *_joint(func, structure, condition, t, before), mass_matrix)
            y = _valued(y, found.y)
    state = structure.unpack(y)
    return EventRecord(t, found.index, state, state)


def _joint(
    func: Dynamic, structure: Structure, condition: Condition, t: Tensor, y: Tensor
) -> tuple[Callable[[Tensor, Tensor], Tensor], Dynamics]:
    """A condition of the flat state, and the dynamics, whose parameters are those of both, as they are at an event."""
    alone = Dynamics(func, structure, Wanted())

    def value(t: Tensor, y: Tensor) -> Tensor:
        return condition(t, structure.unpack_copy(y)).sum()

    def both() -> Tensor:
        return torch.cat([alone.evaluate(t.item(), y.detach()), value(t, y.detach())[None]])

    with torch.enable_grad():
        found = wanted(both, reached((func, condition)), both(), both)
    return value, Dynamics(func, structure, Wanted(found.parameters))
