"""What `solve` returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pyode_bridge.problem import AdjointStats, SolverStats, Trajectory
from pyode_bridge.state import State


@dataclass(frozen=True)
class Solution:
    """The solution of an initial value problem.

    Attributes:
        t: the times asked for, shape ``(T,)``.
        y: the values there, ``(T, *y0.shape)`` or a tuple or dict of such, with autograd.
        trajectory: what the engine returned, over the flat state.
    """

    t: Tensor
    y: State
    trajectory: Trajectory

    @property
    def stats(self) -> SolverStats:
        """Work of the forward solve: ``nfe``, ``njac``, ``accepted``, ``rejected``."""
        return self.trajectory.stats

    @property
    def adjoint_stats(self) -> AdjointStats | None:
        """Work of the last backward solve, or None before one ran."""
        return getattr(self.trajectory.pullback, "stats", None)

    @property
    def retcode(self) -> str:
        """SciMLBase's return code, ``"Success"`` for a complete solve."""
        return self.trajectory.retcode

    @property
    def engine(self) -> str:
        """The engine that ran, ``"julia"`` or ``"embedded"``."""
        return self.trajectory.engine

    @property
    def algorithm(self) -> str:
        """The algorithm that ran."""
        return self.trajectory.algorithm

    @property
    def lane(self) -> str:
        """How the dynamics were evaluated: ``"callback"`` (Julia calls Python) or ``"native"`` (Python alone)."""
        return self.trajectory.lane

    @property
    def sensealg(self) -> str | None:
        """The sensitivity algorithm that ``backward`` uses, or None where no gradient was wanted."""
        pullback = self.trajectory.pullback
        return None if pullback is None else pullback.sensealg

    def __repr__(self) -> str:
        return (
            f"Solution({self.algorithm}, engine={self.engine}, lane={self.lane}, retcode={self.retcode}, "
            f"{len(self.t)} times from {self.t[0].item():g} to {self.t[-1].item():g}, {self.stats})"
        )
