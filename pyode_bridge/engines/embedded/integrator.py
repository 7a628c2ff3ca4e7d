"""What every embedded solver takes, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pyode_bridge.engines.embedded.steps import Step
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import Interpolant, SolverStats, Tolerances
from pyode_bridge.problem.step_callbacks import StepCallbacks

Derivative = Callable[[float, Tensor], Tensor]
NOBODY = StepCallbacks()


@dataclass(frozen=True)
class InitialValueProblem:
    """``dy/ds = f(s, y)`` from ``t[0]``, wanted at ``t``; ``s`` increases.

    Attributes:
        f: the right-hand side.
        jacobian: its derivative by ``y``; None where it is not cheap to have.
        newton: the same for Newton's method, which may leave out what lies below the diagonal, and components at the
            end whose derivative is none.
        y0, t: the start, and the times.
        tolerances, options: as in `Problem`; ``tstops`` and ``d_discontinuities`` are here as ``stops`` and ``jumps``.
        norm: of errors, a scalar tensor.
        grid: times of the steps, where they are fixed; else None.
        stops: times that steps end on.
        jumps: such times where ``f`` jumps.
        listeners: who hears of each step.
        dense: whether steps are kept.
    """

    f: Derivative
    jacobian: Derivative | None
    newton: Derivative
    y0: Tensor
    t: Tensor
    tolerances: Tolerances
    options: StepOptions
    norm: Callable[[Tensor], Tensor]
    grid: Tensor | None = None
    stops: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    listeners: StepCallbacks = NOBODY
    dense: bool = False

    @property
    def end(self) -> float:
        """The last time."""
        return self.t[-1].item()


@dataclass
class Work:
    """What a solve has done so far, and the time that it has reached."""

    t: float
    nfe: int = 0
    njac: int = 0
    accepted: int = 0
    rejected: int | None = 0

    @property
    def stats(self) -> SolverStats:
        """The same, of a solve that has ended."""
        return SolverStats(self.nfe, self.njac, self.accepted, self.rejected)


class Stepping(Protocol):
    """A solver: accepted steps, one after the other, up to the end or beyond."""

    def __call__(self, problem: InitialValueProblem, work: Work) -> Iterator[Step]:
        """The steps; raises `Ended` where there are no more, and what ``f`` raises. It keeps account of its work."""


@dataclass(frozen=True)
class Integration:
    """Values at the times, shape ``(T, n)``, the work done, and how it ended; ``ys`` is None unless it succeeded."""

    ys: Tensor | None
    stats: SolverStats
    retcode: str
    t_reached: float
    interpolant: Interpolant | None = None
