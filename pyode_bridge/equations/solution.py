"""What `solve` returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.problem import AdjointStats, Interpolant, SolverStats, Trajectory
from pyode_bridge.problem.state import State, Structure, Times


@dataclass(frozen=True)
class Solution:
    """The solution of an initial value problem.

    Pickled, saved by ``torch.save`` or copied by ``copy.deepcopy``, it keeps values, statistics and names. What solves
    on stays behind, autograd and values between the times, and says so when it is asked for.

    Attributes:
        t: the times asked for, shape ``(T,)``.
        y: the values there, ``(T, *y0.shape)`` or a tuple or dict of such, with autograd.
        trajectory: what the engine returned, over the flat state.
        structure: how the flat state is laid out.
    """

    t: Tensor
    y: State
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
        sign = 1.0 if last > first else -1.0
        flat = interpolant(sign * row, derivative) * sign**derivative
        return self.structure.unpack(flat if times.ndim else flat[0])

    @property
    def steps(self) -> Tensor:
        """Times at which the solver's steps began and ended, shape ``(N,)``, float64; needs ``dense=True``."""
        sign = 1.0 if self.t[-1] > self.t[0] else -1.0
        return sign * self._interpolant().steps

    def __getstate__(self) -> dict[str, Any]:
        trajectory = self.trajectory
        pullback, interpolant = trajectory.pullback, trajectory.interpolant
        kept = replace(
            trajectory,
            ys=trajectory.ys.detach(),
            pullback=None if pullback is None else _LeftBehind(pullback.sensealg, pullback.reason, self.adjoint_stats),
            interpolant=None if interpolant is None else _LeftBehind(),
        )
        return {"t": self.t.detach(), "y": _detached(self.y), "trajectory": kept, "structure": self.structure}

    def __copy__(self) -> Solution:
        return self

    def _interpolant(self) -> Interpolant:
        if self.trajectory.interpolant is None:
            raise UnsupportedError("This solution holds the values at t alone; solve with dense=True for others.")
        return self.trajectory.interpolant

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
        """How the dynamics were evaluated.

        ``"compiled"``: translated to Julia; ``"callback"``: Julia calls Python; ``"native"``: Python alone.
        """
        return self.trajectory.lane

    @property
    def lane_reason(self) -> str:
        """Why in this way, in words."""
        return self.trajectory.lane_reason

    @property
    def sensealg(self) -> str | None:
        """The sensitivity algorithm that ``backward`` uses, or None where no gradient was wanted."""
        pullback = self.trajectory.pullback
        return None if pullback is None else pullback.sensealg

    @property
    def sensealg_reason(self) -> str | None:
        """Why it is this one, in words, or None where no gradient was wanted."""
        pullback = self.trajectory.pullback
        return None if pullback is None else pullback.reason

    def __repr__(self) -> str:
        return (
            f"Solution({self.algorithm}, engine={self.engine}, lane={self.lane}, retcode={self.retcode}, "
            f"{len(self.t)} times from {self.t[0].item():g} to {self.t[-1].item():g}, {self.stats})"
        )


@dataclass
class _LeftBehind:
    """In place of a pullback or an interpolant, which do not travel: what is known of it."""

    sensealg: str = ""
    reason: str = ""
    stats: AdjointStats | None = None

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsupportedError(
            "This solution was pickled or copied, and what it had of its solver stayed behind: autograd, and values "
            "between the times. Ask the solution that was solved for, or solve again."
        )

    @property
    def steps(self) -> NoReturn:
        self()


def _detached(state: State) -> State:
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: leaf.detach() for key, leaf in state.items()}
    return tuple(leaf.detach() for leaf in state)
