"""Ensembles of equations with events: all at once by the engine, or one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.derivatives import hooks
from pyode_bridge.derivatives.side_effects import is_alone
from pyode_bridge.ensembles.kinds import Hybrid, first_of
from pyode_bridge.ensembles.result import EventEnsembleSolution, EventTable, of_all
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.event_solution import EventRecord, EventSolution
from pyode_bridge.equations.events import not_before, requires_grad
from pyode_bridge.problem import checks
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.settings import SolverSettings
from pyode_bridge.problem.state import Structure, Times
from pyode_bridge.problem.trajectories import FollowedTrajectories, Moving, Notify


@dataclass(frozen=True)
class Course:
    """One trajectory, over the flat state.

    Attributes:
        ys: values at the times, shape ``(T, n)``; NaN where an event had ended it.
        t, index: when which events happened, each of shape ``(K,)``.
        at, after: the states there and after them, each of shape ``(K, n)``.
        terminated: whether an event ended it.
    """

    ys: Tensor
    t: Tensor
    index: Tensor
    at: Tensor
    after: Tensor
    terminated: bool


def one_by_one(
    kind: Hybrid, states: Stack, t: Times, parameters: Stack | None, settings: SolverSettings, notify: Notify
) -> EventEnsembleSolution:
    """One trajectory after another, each as it would be alone."""
    ensemble = _Ensemble(kind, states, t, parameters, settings, notify)
    ensemble.solve_alone(range(states.count))
    return ensemble.solution()


def at_once(
    kind: Hybrid, states: Stack, t: Times, parameters: Stack | None, settings: SolverSettings, notify: Notify
) -> EventEnsembleSolution:
    """All by the engine, but for those with an event whose effect Python has to call.

    An effect is compiled once it was seen to do nothing else, at an event that happened: where it happens, one
    trajectory is solved alone, and then the others at once.

    Raises UnsupportedDynamicsError where Python would be called otherwise.
    """
    ensemble = _Ensemble(kind, states, t, parameters, settings, notify)
    one, moving = first_of(kind, states, parameters)
    assert isinstance(one, Hybrid)
    if ensemble.requires_grad(one):
        raise UnsupportedDynamicsError("gradients through events are found with torch")
    if _unknown(one):
        ensemble.solve_alone([0])
    pending = [place for place in range(states.count) if place not in ensemble.courses]
    while pending:
        unknown = _unknown(one)
        left = ensemble.follow(one, moving, pending)
        ensemble.solve_alone(left[:1])
        pending = left[1:]
        if left and _unknown(one) == unknown:
            if settings["lane"] == "compiled":
                raise UnsupportedDynamicsError("the affect of an event does more than return a state, as it seems")
            ensemble.solve_alone(pending)
            break
    return ensemble.solution()


def _unknown(kind: Hybrid) -> list[int]:
    """Events whose effects have yet to be seen to do nothing else."""
    return [
        place
        for place, event in enumerate(kind.events)
        if event.affect is not None and not event.terminal and not is_alone(event.affect)
    ]


class _Ensemble:
    """An ensemble as far as it is solved; ``courses`` are by trajectory."""

    def __init__(
        self,
        kind: Hybrid,
        states: Stack,
        t: Times,
        parameters: Stack | None,
        settings: SolverSettings,
        notify: Notify,
    ) -> None:
        self._kind, self._states, self._parameters = kind, states, parameters
        self._settings, self._notify = settings, notify
        self._structure = Structure.of(states.row(0))
        self._times, _ = checks.times(t, self._structure)
        self._direction = Direction.of(self._times)
        self._solves: list[Trajectory] = []
        self.courses: dict[int, Course] = {}

    def requires_grad(self, one: Hybrid) -> bool:
        """Whether a gradient may be asked of the solution, as far as can be told of the first trajectory."""
        start = torch.cat([tensor.reshape(-1) for tensor in self._states.tensors])
        return requires_grad(one.func, start, self._times, one.events)

    def solve_alone(self, places: Sequence[int]) -> None:
        """Solve these trajectories one after another."""
        for place in places:
            one = self._kind if self._parameters is None else self._kind.bound(self._parameters.row(place))
            solution = one.solved(place, self._states.row(place), self._times, self._settings)
            self.courses[place] = self._course(solution)
            self._solves += solution.trajectories
            self._notify(len(self.courses))

    def _course(self, solution: EventSolution) -> Course:
        ys, events = Stack.of(solution.y, "y").flat(), solution.events
        missing = ys.new_full((len(self._times) - len(ys), ys.shape[1]), torch.nan)
        at, after = (self._flat([getattr(event, name) for event in events], ys) for name in ("y", "after"))
        t = torch.stack([event.t for event in events]) if events else self._times.new_empty(0)
        index = torch.tensor([event.index for event in events], dtype=torch.int64)
        return Course(torch.cat([ys, missing]), t, index, at, after, solution.terminated)

    def _flat(self, states: Sequence[EventRecord], like: Tensor) -> Tensor:
        return torch.stack([self._structure.pack(state) for state in states]) if states else like[:0]

    def follow(self, one: Hybrid, moving: Sequence[Moving], places: Sequence[int]) -> list[int]:
        """Solve these trajectories at once; returns those that an effect has ended which Python has to call."""
        prepared = one.prepared(self._states.row(0), self._times, self._settings)
        rows, done = torch.tensor(places), len(self.courses)
        own = [Moving(item.first, item.all[rows]) for item in moving]
        with torch.no_grad(), hooks.apart(prepared.problem.dynamics.parameters):
            found = prepared.engine.follow_ensemble(
                prepared.problem, self._states.flat()[rows], own, lambda count: self._notify(done + count)
            )
        self._solves.append(of_all(found, prepared.engine, prepared.problem.tolerances))
        left = []
        for place, course in zip(places, self._courses(found), strict=True):
            if course.terminated and not one.events[int(course.index[-1])].terminal:
                left.append(place)
            else:
                self.courses[place] = course
        return left

    def _courses(self, found: FollowedTrajectories) -> list[Course]:
        """Those of all trajectories, by the rules of `solve_events`: at an event's own time, values before it."""
        counts, direction = found.counts, self._direction
        t = not_before(found.t, self._times, direction)
        s, event_s = direction.solver_time(self._times.double()), direction.solver_time(t.double())
        trajectory = torch.repeat_interleave(torch.arange(len(counts)), counts)
        row = torch.searchsorted(s, event_s)
        meets = s[row.clamp(max=len(s) - 1)] == event_s
        found.ys[trajectory[meets], row[meets]] = found.states[meets, 0]
        last = event_s[(counts.cumsum(0) - 1)[found.stopped]]
        ended = s >= torch.full((len(counts),), torch.inf, dtype=s.dtype).masked_scatter(found.stopped, last)[:, None]
        found.ys[ended] = torch.nan
        sizes = counts.tolist()
        columns = (torch.split(column, sizes) for column in (t, found.indices, *found.states.unbind(1)))
        return [Course(*parts) for parts in zip(found.ys, *columns, found.stopped.tolist(), strict=True)]

    def solution(self) -> EventEnsembleSolution:
        """That of all trajectories."""
        courses, unpack = [self.courses[place] for place in range(self._states.count)], self._structure.unpack
        counts = torch.tensor([len(course.t) for course in courses])
        t, index, at, after = (
            torch.cat([getattr(course, name) for course in courses]) for name in ("t", "index", "at", "after")
        )
        trajectory = torch.repeat_interleave(torch.arange(len(courses)), counts)
        return EventEnsembleSolution(
            t=self._times,
            y=unpack(torch.stack([course.ys for course in courses], dim=1)),
            trajectories=tuple(self._solves),
            events=EventTable(trajectory, t, index, unpack(at), unpack(after)),
            terminated=torch.tensor([course.terminated for course in courses]),
        )
