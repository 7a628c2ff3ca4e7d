"""What `solve_events` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pyode_bridge.equations.result import Result, detached, that_travels
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.state import State
from pyode_bridge.views.components import components
from pyode_bridge.views.course import Course, Mark


@dataclass(frozen=True, eq=False, repr=False)
class EventRecord:
    """An event that happened.

    Attributes:
        t: when, a scalar tensor with autograd.
        index: its position among the events.
        y: the state there, before the event's affect, with autograd.
        after: the state after it, with which the solve went on; the same where there was no affect, and at its end.
    """

    t: Tensor
    index: int
    y: State
    after: State

    def __repr__(self) -> str:
        return f"EventRecord(t={self.t.item():g}, index={self.index})"

    def __getstate__(self) -> dict[str, Any]:
        return {"t": self.t.detach(), "index": self.index, "y": detached(self.y), "after": detached(self.after)}


@dataclass(frozen=True, eq=False, repr=False)
class EventSolution(Result):
    """A `Result` with events: its work is that of the solves from each to the next, without the search for them.

    Attributes:
        t: the times asked for, as far as the solve went, shape ``(T,)``.
        y: the values there, ``(T, *y0.shape)`` or a tuple or dict of such; at an event's own time, those before it.
        events: what happened, in order.
        terminated: whether a terminal event ended the solve before the last time.
        trajectories: what the engine returned of each solve.
    """

    events: tuple[EventRecord, ...]
    terminated: bool
    trajectories: tuple[Trajectory, ...]

    @property
    def retcode(self) -> str:
        """``"Terminated"`` where a terminal event ended the solve, else ``"Success"``."""
        return "Terminated" if self.terminated else super().retcode

    def _drawn(self) -> Course:
        marks = [Mark(one.index, one.t.item(), components(one.y, 0), components(one.after, 0)) for one in self.events]
        return self._course().jumping(marks, Direction.of(self.t).sign)

    def _solves(self) -> tuple[Trajectory, ...]:
        return self.trajectories

    def _extent(self) -> str:
        return f"{super()._extent()}, {len(self.events)} events"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "trajectories": tuple(map(that_travels, self.trajectories))}
