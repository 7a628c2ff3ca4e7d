"""What every solve returns, of whichever equation: the values, and what it took to find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from torch import Tensor

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.problem import AdjointStats, SolverStats, Tolerances, Trajectory
from pyode_bridge.problem.retcodes import SUCCESS
from pyode_bridge.problem.state import State
from pyode_bridge.views import figures, markup
from pyode_bridge.views.components import Chosen, as_array, leaves
from pyode_bridge.views.course import Course
from pyode_bridge.views.data_frame import data_frame
from pyode_bridge.views.dataset import dataset

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes


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
    def jacobian(self) -> str | None:
        """Of a sparse Jacobian its entries, the products that fill it, whence the pattern is, and what factorises it.

        None for a full one, and where there was none.
        """
        return self._said("jacobian", between="; ") or None

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

    def plot(self, components: Chosen | None = None, *, phase: bool = False, ax: Axes | None = None) -> Axes:
        """Draw the components with matplotlib, against the time or in a phase plane.

        Components have the names by which code takes them out of a state: ``"y[0]"``, ``"y[1, 2]"``; in a tuple
        ``"y[0][2]"``, and in a dict ``"velocity[2]"``. A complex one is drawn as its real part and, dashed, its
        imaginary part. Points stand at the times `t`, if they are not many; of a solve with ``dense=True`` the curves
        follow the solver's interpolant. Events are marked. Of a steady state there is a point for each component.

        Args:
            components: names, or positions in the flat state; the name of a tensor, ``"y"`` or ``"velocity"``, stands
                for all its components. Default: all.
            phase: whether to draw one component against another, or the imaginary part of one against its real part.
            ax: axes of matplotlib to draw into. Default: those of a new figure.

        Returns:
            The axes, on which titles, scales and the rest may be set.

        Raises:
            InputError: no such component, too many, or for a phase plane not two.
            MissingPackageError: matplotlib is not installed.
        """
        course = self._drawn().chosen(components)
        if phase:
            return figures.phase_plane(course, ax)
        return figures.over_time(course, ax) if self.t.ndim else figures.at_rest(course.y, ax)

    def to_pandas(self) -> pandas.DataFrame:
        """The values as a table of pandas: a row for each time, and a column for each component, named as in `plot`.

        That of an ensemble has a row for each trajectory and time, that of a steady state has one row, at infinity.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return data_frame(self._course())

    def to_xarray(self) -> xarray.Dataset:
        """The values as a dataset of xarray: a variable for each tensor of the state, along ``t``.

        The tensors are named as in `plot`, ``y``, ``y[0]`` or ``velocity``, and their dimensions after them, as in
        ``y_dim_0``; an ensemble has the dimension ``trajectory`` behind ``t``. Attributes say what ran.

        Raises:
            MissingPackageError: xarray is not installed.
        """
        ran = {name: getattr(self, name) for name in ("algorithm", "engine", "lane", "retcode")}
        return dataset(as_array(self.t), leaves(self.y), self._dimensions(), ran)

    def _dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions of ``y`` before those of a state."""
        return ("t",)

    def _course(self) -> Course:
        """The components at the times."""
        return Course.of(self.t, self.y, len(self._dimensions()))

    def _drawn(self) -> Course:
        """The components where a figure has them."""
        return self._course()

    def _extent(self) -> str:
        """How much there is, in words."""
        return f"{len(self.t)} times from {self.t[0].item():g} to {self.t[-1].item():g}"

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.algorithm}, engine={self.engine}, lane={self.lane}, retcode={self.retcode}, "
            f"{self._extent()}, {self.stats})"
        )

    def _repr_html_(self) -> str:
        return markup.titled(type(self).__name__, markup.table(self._facts().items()))

    def _facts(self) -> dict[str, str]:
        """What is to be said of the solve, by subject."""
        stats = self.stats
        facts = {
            "solver": self.algorithm,
            "engine": self.engine,
            "lane": f"{self.lane}: {self.lane_reason}",
            "times": self._extent(),
            "tolerances": f"rtol {_bound(self.rtol)}, atol {_bound(self.atol)}",
            "steps": f"{_count(stats.accepted)} accepted, {_count(stats.rejected)} rejected",
            "evaluations": f"{stats.nfe} of the dynamics, {_count(stats.njac)} Jacobians",
            "retcode": self.retcode,
        }
        if self.jacobian is not None:
            facts["Jacobian"] = self.jacobian
        if stats.compile_seconds:
            facts["compiled in"] = f"{stats.compile_seconds:.1f} s"
        if self.sensealg is not None:
            facts["gradient"] = f"{self.sensealg}: {self.sensealg_reason}"
        return facts

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
    return replace(trajectory, ys=trajectory.ys.detach(), pullback=known, interpolant=interpolant, path=None)


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


def _bound(tolerance: float | Tensor) -> str:
    return "for each component" if isinstance(tolerance, Tensor) else f"{tolerance:g}"


def _count(count: int | None) -> str:
    return "unknown" if count is None else str(count)
