"""What an engine is to all that have problems solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.problem import Happened, Problem, Sensitivity, SolverInfo, Trajectory


class Engine(Protocol):
    """Something that solves problems.

    Attributes:
        name: what users call it.
        translations: the dynamics that it has compiled so far; None for an engine that compiles none.
    """

    name: str
    translations: Translations | None

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise if the solver or the sensitivity algorithm is unknown or unsupported here."""

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span; raises as `solve` does.

        ``happened`` is asked at times that increase, several of each step, the last of which is the step's end. Once it
        is true, it is asked between the last two times, by bisection to the resolution of the numbers. A time that is
        not later than one at which it was false tells it that the solve has begun anew.
        """

    def solvers(self) -> Sequence[SolverInfo]:
        """The solvers on offer."""
