"""What the last solve of a model took."""

from __future__ import annotations

from typing import Any

import torch

from pyode_bridge.equations.solution import Solution
from pyode_bridge.models.evaluations import Evaluations
from pyode_bridge.problem.problem import AdjointStats, SolverStats, Trajectory


class LastSolve(torch.nn.Module):
    """A model with a solve in it, which says what the last one took.

    Copies and pickles go without it: it belongs to an engine.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trajectory: Trajectory | None = None

    @property
    def stats(self) -> SolverStats | None:
        """Work of the last solve, or None before there was one."""
        return None if self._trajectory is None else self._trajectory.stats

    @property
    def adjoint_stats(self) -> AdjointStats | None:
        """Work of the backward pass of the last solve, or None before it ran."""
        return None if self._trajectory is None else getattr(self._trajectory.pullback, "stats", None)

    @property
    def nfe(self) -> Evaluations:
        """Evaluations in the last forward pass, and vector-Jacobian products in its backward pass."""
        forward, backward = self.stats, self.adjoint_stats
        return Evaluations(None if forward is None else forward.nfe, None if backward is None else backward.nvjp)

    def _forget(self) -> None:
        """To be called before a solve, so that what the last one keeps for its gradient is not held meanwhile."""
        self._trajectory = None

    def _noted(self, solution: Solution) -> Solution:
        """The solution, of which is remembered what it took."""
        self._trajectory = solution.trajectory
        return solution

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trajectory": None}
