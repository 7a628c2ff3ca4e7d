"""What every embedded solver takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import Happened, SolverStats, Tolerances


@dataclass(frozen=True)
class InitialValueProblem:
    """``dy/ds = f(s, y)`` from ``t[0]``, wanted at ``t``; the jacobian is there where it is cheap to have.

    ``blocks`` are the sizes of the parts of the state whose errors are controlled separately.
    """

    f: Callable[[float, Tensor], Tensor]
    jacobian: Callable[[float, Tensor], Tensor] | None
    y0: Tensor
    t: Tensor
    tolerances: Tolerances
    options: StepOptions
    fixed_step: bool
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Integration:
    """Values at the times, shape ``(T, n)``, the work done, and how it ended; ``ys`` is None unless it succeeded."""

    ys: Tensor | None
    stats: SolverStats
    retcode: str
    t_reached: float


class Integrator(Protocol):
    """A solver from PyPI."""

    def __call__(self, problem: InitialValueProblem) -> Integration:
        """Solve; exceptions of ``f`` pass through."""


class Locator(Protocol):
    """A solver from PyPI that finds events."""

    def __call__(self, problem: InitialValueProblem, happened: Happened) -> Integration:
        """Solve until something has happened; how it ended, without values."""
