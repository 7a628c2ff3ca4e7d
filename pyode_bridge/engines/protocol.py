"""What an engine is to all that have problems solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.runtime.cache_hits import CacheHit
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.problem import Followed, Happened, Problem, Sensitivity, SolverInfo, Trajectory
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.trajectories import FollowedTrajectories, Moving, Notify, Trajectories


class Solver(Protocol):
    """Something that solves problems.

    Attributes:
        compiles: whether it has a compiled lane.
    """

    compiles: bool

    def recall(self, guards: Guards, structure: Structure, direction: Direction) -> CacheHit | None:
        """What is known of dynamics that were compiled before; None where they have to be looked at."""

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""

    def adjoint_method(self, problem: Problem) -> Method:
        """What solves the adjoint of a problem that wants a gradient: an ordinary equation, whatever the problem is."""


class Engine(Solver, Protocol):
    """A solver of all problems, by methods that users name.

    Attributes:
        name: what users call it.
    """

    name: str

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise if the solver or the sensitivity algorithm is unknown or unsupported here."""

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span; raises as `solve` does.

        ``happened`` is asked at times that increase, several of each step, the last of which is the step's end. Once it
        is true, it is asked between the last two times, by bisection to the resolution of the numbers. A time that is
        not later than one at which it was false tells it that the solve has begun anew.
        """

    def follow(self, problem: Problem) -> Followed | None:
        """Solve a `Hybrid` problem from event to event, with no Python in between; raises as `solve` does.

        None where that cannot be done, because a function is not compiled, or because of the method.
        """

    def ensemble(self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify) -> Trajectories:
        """Solve like ``problem``, the first, from each row of ``y0s``, shape ``(B, n)``, with no Python in between.

        Raises UnsupportedDynamicsError where the dynamics would call Python, and as `solve` does.
        """

    def follow_ensemble(
        self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify
    ) -> FollowedTrajectories:
        """As `ensemble`, for a `Hybrid` problem, from event to event; no gradients are wanted."""

    def call(self, name: str, dynamics: Dynamics, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        """Call a function of dynamics that are written in Julia, outside of a solve; it writes ``out``."""

    def solvers(self) -> Sequence[SolverInfo]:
        """The solvers on offer."""
