"""What `solve` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.equations.result import LeftBehind, Result, that_travels
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.problem import Interpolant, Trajectory
from pyode_bridge.problem.state import State, Structure, Times
from pyode_bridge.views.course import Course, within


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Result):
    """A `Result` of one solve: of an ordinary equation, a stochastic one, one with delays, a residual, a steady state.

    Attributes:
        t: the times asked for, shape ``(T,)``; of a steady state, infinity, shape ``()``.
        y: the values there, ``(T, *y0.shape)`` or a tuple or dict of such, with autograd; of a steady state, of the
            shape of ``y0``.
        trajectory: what the engine returned, over the flat state.
        structure: how the flat state is laid out.
    """

    trajectory: Trajectory
    structure: Structure

    def __call__(self, t: float | Times, derivative: int = 0) -> State:
        """Values at other times, by the solver's own interpolant; needs ``dense=True``.

        Args:
            t: one time, or a tensor of times of shape ``(T,)``, within the span that was solved.
            derivative: 1 for ``dy/dt``, 2 for its derivative, ... as far as the solver's interpolant goes.

        Returns:
            The state at one time, or with a leading dimension ``T``; without autograd: for gradients, put the times
            into ``t`` of the solve.

        Raises:
            UnsupportedError: the solve was not dense, or the interpolant has no such derivative.
            InputError: a time is outside the span.
        """
        interpolant = self._interpolant()
        times = torch.as_tensor(t, dtype=torch.float64, device="cpu").detach()
        first, last = self.t[0].item(), self.t[-1].item()
        low, high = min(first, last), max(first, last)
        if times.ndim > 1:
            raise InputError(f"t has shape {tuple(times.shape)}; expected one time or a 1-D tensor of times.")
        row = times.reshape(-1)
        outside = row[~((row >= low) & (row <= high))]
        if outside.numel():
            raise InputError(f"t = {outside[0].item():g} is outside of the span that was solved, [{low:g}, {high:g}].")
        direction = Direction.of(self.t)
        flat = direction.turned(interpolant(direction.solver_time(row), derivative), derivative)
        return self.structure.unpack(flat if times.ndim else flat[0])

    @property
    def steps(self) -> Tensor:
        """Times at which the solver's steps began and ended, shape ``(N,)``, float64; needs ``dense=True``."""
        return Direction.of(self.t).user_time(self._interpolant().steps)

    def _interpolant(self) -> Interpolant:
        if self.trajectory.interpolant is None:
            raise UnsupportedError("This solution holds the values at t alone; solve with dense=True for others.")
        return self.trajectory.interpolant

    def _dimensions(self) -> tuple[str, ...]:
        return ("t",) if self.t.ndim else ()

    def _drawn(self) -> Course:
        interpolant = self.trajectory.interpolant
        if interpolant is None or isinstance(interpolant, LeftBehind):
            return super()._drawn()
        t = within(self.steps).clamp(*sorted((self.t[0].item(), self.t[-1].item())))
        return Course.of(t, self(t), 1, smooth=True)

    def _solves(self) -> tuple[Trajectory]:
        return (self.trajectory,)

    def _extent(self) -> str:
        return super()._extent() if self.t.ndim else "settled"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "trajectory": that_travels(self.trajectory)}
