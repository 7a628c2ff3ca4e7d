"""Many solves at once, as engines see them: like one problem, but for the state at the start and some tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from pyode_bridge.problem.problem import SolverStats


@dataclass(frozen=True)
class Moving:
    """A tensor that differs between trajectories: that of the first, which the dynamics use, and all, ``(B, ...)``."""

    first: Tensor
    all: Tensor


# Gradients with respect to each state, ``(B, n)``, and to all parameters of each, ``(B, p)``, for those with respect to
# the values, ``(B, T, n)``.
Pullbacks = Callable[[Tensor], tuple[Tensor, Tensor]]

# Is told now and then how many solves are done; what it raises ends them all.
Notify = Callable[[int], None]


@dataclass(frozen=True)
class Trajectories:
    """What an engine returns for an ensemble.

    Attributes:
        ys: values at the problem's times, shape ``(B, T, n)``.
        stats: work of all solves together.
        algorithm: the algorithm that ran, as the engine names it.
        lane_reason: why the dynamics could be compiled.
        sensealg: the sensitivity algorithm; None where no gradient was wanted.
        sensealg_reason: why this one.
        pullbacks: present if the problem asked for sensitivities.
    """

    ys: Tensor
    stats: SolverStats
    algorithm: str
    lane_reason: str
    sensealg: str | None = None
    sensealg_reason: str = ""
    pullbacks: Pullbacks | None = field(default=None, repr=False)
