"""What every solve returns, of whichever equation: the values, and what it took to find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from torch import Tensor

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.problem import AdjointStats, SolverStats, Tolerances, Trajectory
from pyode_bridge.problem.retcodes import SUCCESS
from pyode_bridge.problem.state import State


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What every solve returns.

    Pickled, saved by ``torch.save`` or copied by ``copy.deepcopy``, it keeps values, statistics and names. What solves
    on stays behind, autograd and values between the times, and says so when it is asked for. Two results are equal
    where they are the same object.

    Attributes:
        t: the times of the values, shape ``(T,)``.
        y: the values there, ``(T, *y0.shape)`` or a tuple or dict of such, with autograd.
    """

    t: Tensor
    y: State

    def _solves(self) -> Sequence[Trajectory]:
        """What engines returned, in the order of the solves that this one took."""
        raise NotImplementedError

    def _said(self, name: str, between: str = ", ") -> str:
        """What the solves say of something, each answer once."""
        return between.join(dict.fromkeys(getattr(one, name) for one in self._solves()))

    @property
    def stats(self) -> SolverStats:
        """Work of the forward solves: ``nfe``, ``njac``, ``accepted``, ``rejected``."""
        return SolverStats.total([one.stats for one in self._solves()])

    @property
    def adjoint_stats(self) -> AdjointStats | None:
        """Work of the last backward solves, or None before one ran, and where nobody counts it."""
        done = [getattr(one.pullback, "stats", None) for one in self._solves()]
        known = [one for one in done if one is not None]
        return AdjointStats(sum(one.nfe for one in known), sum(one.nvjp for one in known)) if known else None

    @property
    def retcode(self) -> str:
        """SciMLBase's return code: ``"Success"``, or ``"Terminated"`` of a solve that was to end by itself."""
        return self._said("retcode")

    @property
    def success(self) -> bool:
        """Whether the solve is complete; one that is not raises `SolverError`, so that nobody has to ask."""
        return self.retcode in SUCCESS

    @property
    def engine(self) -> str:
        """The engine that ran, ``"julia"`` or ``"embedded"``."""
        return self._said("engine")

    @property
    def algorithm(self) -> str:
        """The algorithm that ran; of several solves, each that did."""
        return self._said("algorithm")

    @property
    def rtol(self) -> float | Tensor:
        """The relative tolerance of the solve: a number, or a flat tensor with one for each component."""
        return self._tolerances().rtol

    @property
    def atol(self) -> float | Tensor:
        """The absolute tolerance of the solve, likewise."""
        return self._tolerances().atol

    def _tolerances(self) -> Tolerances:
        found = self._solves()[0].tolerances
        assert found is not None
        return found

    @property
    def lane(self) -> str:
        """How the dynamics were evaluated.

        ``"compiled"``: translated to Julia; ``"callback"``: Julia calls Python; ``"native"``: Python alone.
        """
        return self._said("lane")

    @property
    def lane_reason(self) -> str:
        """Why in this way, in words."""
        return self._said("lane_reason", between="; ")

    @property
    def sensealg(self) -> str | None:
        """The sensitivity algorithm that ``backward`` uses, or None where no gradient was wanted."""
        return self._of_pullbacks("sensealg")

    @property
    def sensealg_reason(self) -> str | None:
        """Why it is this one, in words, or None where no gradient was wanted."""
        return self._of_pullbacks("reason", between="; ")

    def _of_pullbacks(self, name: str, between: str = ", ") -> str | None:
        pullbacks = [one.pullback for one in self._solves() if one.pullback is not None]
        return between.join(dict.fromkeys(getattr(one, name) for one in pullbacks)) or None

    def _extent(self) -> str:
        """How much there is, in words."""
        return f"{len(self.t)} times from {self.t[0].item():g} to {self.t[-1].item():g}"

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.algorithm}, engine={self.engine}, lane={self.lane}, retcode={self.retcode}, "
            f"{self._extent()}, {self.stats})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "t": self.t.detach(), "y": detached(self.y)}

    def __copy__(self) -> Result:
        return self


@dataclass
class LeftBehind:
    """In place of a pullback or an interpolant, which do not travel: what is known of it."""

    sensealg: str = ""
    reason: str = ""
    stats: AdjointStats | None = None

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raises UnsupportedError."""
        raise UnsupportedError(
            "This solution was pickled or copied, and what it had of its solver stayed behind: autograd, and values "
            "between the times. Ask the solution that was solved for, or solve again."
        )

    @property
    def steps(self) -> NoReturn:
        """Raises UnsupportedError."""
        self()


def that_travels(trajectory: Trajectory) -> Trajectory:
    """The trajectory without what belongs to its engine."""
    known, pullback = None, trajectory.pullback
    if pullback is not None:
        known = LeftBehind(pullback.sensealg, pullback.reason, getattr(pullback, "stats", None))
    interpolant = None if trajectory.interpolant is None else LeftBehind()
    return replace(trajectory, ys=trajectory.ys.detach(), pullback=known, interpolant=interpolant)


def without_values(trajectory: Trajectory) -> Trajectory:
    """What is kept of one solve of many, whose values stand together elsewhere."""
    return replace(trajectory, ys=trajectory.ys.detach()[:0].clone(), interpolant=None)


def detached(state: State) -> State:
    """The state without autograd."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: leaf.detach() for key, leaf in state.items()}
    return tuple(leaf.detach() for leaf in state)
