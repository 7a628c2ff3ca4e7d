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


@dataclass(frozen=True)
class FollowedTrajectories:
    """What an engine returns for an ensemble of a `Hybrid` problem.

    Attributes:
        ys: values at the problem's times, shape ``(B, T, n)``, as far as each trajectory went.
        stopped: whether its last event ended it, shape ``(B,)``.
        counts: how many events happened in each, shape ``(B,)``; of all together, ``K``, trajectory after trajectory:
        t: when, in the user's time, shape ``(K,)``.
        indices: which event it was, shape ``(K,)``.
        states: the flat ones at it and after it, shape ``(K, 2, n)``.
        stats: work of all solves together.
        algorithm: the algorithm that ran, as the engine names it.
        lane_reason: why the functions could be compiled.
    """

    ys: Tensor
    stopped: Tensor
    counts: Tensor
    t: Tensor
    indices: Tensor
    states: Tensor
    stats: SolverStats
    algorithm: str
    lane_reason: str
