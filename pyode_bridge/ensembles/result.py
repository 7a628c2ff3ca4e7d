"""What `solve_ensemble` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pyode_bridge.engines.protocol import Engine
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.result import Result, detached, that_travels
from pyode_bridge.problem.problem import Pullback, Tolerances, Trajectory
from pyode_bridge.problem.state import State
from pyode_bridge.problem.trajectories import FollowedTrajectories, Trajectories
from pyode_bridge.views import ensemble_figures
from pyode_bridge.views.components import Chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleSolution(Result):
    """The `Result` of an ensemble. Compiled dynamics run on Julia's threads, others one trajectory after another.

    Attributes:
        t: the times asked for, shape ``(T,)``.
        y: the values there, shape ``(T, B, *state)``, or a tuple or dict of such, with autograd.
        trajectories: what the engine returned, without values: of all solves together where they ran together.
    """

    trajectories: tuple[Trajectory, ...]

    def _solves(self) -> tuple[Trajectory, ...]:
        return self.trajectories

    def plot(
        self,
        components: Chosen | None = None,
        *,
        phase: bool = False,
        band: float | None = 0.9,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw as `Result.plot` does: medians and bands against the time, or each trajectory in a phase plane.

        Args:
            components, phase, ax: as for `Result.plot`.
            band: the part of the trajectories, about the median, that the band of a component holds at each time;
                None to draw each trajectory.
        """
        course = self._drawn().chosen(components)
        if phase:
            return ensemble_figures.phase_planes(course, ax)
        if band is None:
            return ensemble_figures.trajectories(course, ax)
        return ensemble_figures.bands(course, band, ax)

    def _dimensions(self) -> tuple[str, ...]:
        return ("t", "trajectory")

    def _extent(self) -> str:
        return f"{Stack.of(self.y, 'y').tensors[0].shape[1]} trajectories, {super()._extent()}"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "trajectories": tuple(map(that_travels, self.trajectories))}


@dataclass(frozen=True, eq=False, repr=False)
class EventTable:
    """The ``K`` events of all trajectories, a row for each: trajectory after trajectory, each as time goes on.

    Attributes:
        trajectory: in which it happened, counted from 0, shape ``(K,)``.
        t: when, shape ``(K,)``, with autograd.
        index: its position among the events, shape ``(K,)``.
        y: the states there, before the event's affect, ``(K, *state)`` or a tuple or dict of such, with autograd.
        after: those after it; the same where there was no affect, and where the event ended the solve.
    """

    trajectory: Tensor
    t: Tensor
    index: Tensor
    y: State
    after: State

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"EventTable({len(self)} events)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: detached(value) for name, value in self.__dict__.items()}


@dataclass(frozen=True, eq=False, repr=False)
class EventEnsembleSolution(EnsembleSolution):
    """The `EnsembleSolution` of an equation with events.

    Attributes:
        y: values as of any ensemble; NaN where a trajectory had been ended by an event, at its time and from then on.
        events: what happened, in all trajectories.
        terminated: whether a terminal event ended a trajectory before the last time, shape ``(B,)``.
    """

    events: EventTable
    terminated: Tensor

    @property
    def retcode(self) -> str:
        """``"Terminated"`` where terminal events ended some trajectories, else ``"Success"``."""
        return "Terminated" if self.terminated.any() else "Success"

    def _extent(self) -> str:
        return f"{super()._extent()}, {len(self.events)} events"


def of_all(
    found: Trajectories | FollowedTrajectories, engine: Engine, tolerances: Tolerances, pullback: Pullback | None = None
) -> Trajectory:
    """What there is to say of all solves together, which succeeded."""
    return Trajectory(
        found.ys.new_empty(0, found.ys.shape[2]),
        found.stats,
        "Success",
        engine.name,
        found.algorithm,
        "compiled",
        pullback,
        lane_reason=found.lane_reason,
        tolerances=tolerances,
    )
