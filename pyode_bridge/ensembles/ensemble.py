"""`solve_ensemble`: many initial states and parameter sets, each with steps of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from tqdm import tqdm
from typing_extensions import Unpack

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.derivatives import hooks
from pyode_bridge.engines import shared_by
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.ensembles.executors import DaskClient, Work, solve_in_chunks
from pyode_bridge.ensembles.kinds import Kind, kind_of
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.result import LeftBehind, Result, that_travels, without_values
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.problem import Gradients, Problem, Tolerances, Trajectory
from pyode_bridge.problem.retcodes import checked
from pyode_bridge.problem.settings import SolverSettings, check_names, with_settings
from pyode_bridge.problem.state import State, Times, flat_real, real_size, shaped_like
from pyode_bridge.problem.trajectories import Moving, Notify, Trajectories
from pyode_bridge.views import ensemble_figures
from pyode_bridge.views.components import Chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleSolution(Result):
    """The `Result` of an ensemble. Compiled dynamics run on Julia's threads, others one trajectory after another.

    Attributes:
        t: the times asked for, shape ``(T,)``.
        y: the values there, shape ``(T, B, *state)``, or a tuple or dict of such, with autograd.
        trajectories: what the engine returned, without values: of all solves together where they ran together.
    """

    trajectories: tuple[Trajectory, ...]

    def _solves(self) -> tuple[Trajectory, ...]:
        return self.trajectories

    def plot(
        self,
        components: Chosen | None = None,
        *,
        phase: bool = False,
        band: float | None = 0.9,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw as `Result.plot` does: medians and bands against the time, or each trajectory in a phase plane.

        Args:
            components, phase, ax: as for `Result.plot`.
            band: the part of the trajectories, about the median, that the band of a component holds at each time;
                None to draw each trajectory.
        """
        course = self._drawn().chosen(components)
        if phase:
            return ensemble_figures.phase_planes(course, ax)
        if band is None:
            return ensemble_figures.trajectories(course, ax)
        return ensemble_figures.bands(course, band, ax)

    def _dimensions(self) -> tuple[str, ...]:
        return ("t", "trajectory")

    def _extent(self) -> str:
        return f"{Stack.of(self.y, 'y').tensors[0].shape[1]} trajectories, {super()._extent()}"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "trajectories": tuple(map(that_travels, self.trajectories))}


@with_settings
def solve_ensemble(
    func: Callable[..., State] | Kind,
    y0: State,
    t: Times,
    params: State | None = None,
    *,
    workers: int | None = None,
    executor: Executor | DaskClient | None = None,
    chunk_size: int | None = None,
    **settings: Unpack[SolverSettings],
) -> EnsembleSolution:
    """Solve ``dy/dt = func(t, y)``, or another equation, for many initial states, each by a solve with its own steps.

    Dynamics that translate to Julia run on all of Julia's threads, with no Python in between (SciML's
    ``EnsembleThreads``); others, and what Python evaluates beside them (``jac_sparsity``, ``isoutofdomain``, ...), are
    solved one after another. Gradients reach ``y0``, ``params``, ``t`` and the parameters of ``func``. For a batch that
    may share its steps, `odeint` of the whole batch as one system is another choice.

    Args:
        func: dynamics of one trajectory: ``func(t, y)``, or ``func(t, y, p)`` where ``params`` are given; or another
            equation, `SDE` with noise for each trajectory, or `DDE` with delays.
        y0: initial states with a leading dimension ``B``: a tensor ``(B, *state)``, or a tuple or dict of such.
        t: times, shape ``(T,)``, the same for all.
        params: what ``func`` takes as its third argument, or a `JuliaDynamics` as its ``p``, with a leading dimension
            ``B``: a tensor, or a tuple or dict of such.
        workers: with ``isolation="process"``, how many workers solve, each with its share of the cores; a chunk whose
            worker ends is solved again by a new one. By default, one worker solves, on all of Julia's threads.
        executor: who solves: a ``concurrent.futures.Executor`` of any kind, or dask's ``Client``; None for this
            process. Each of its workers solves chunks of the ensemble as this function does, with a Julia of its own,
            and once more for the gradient. ``func`` has to be picklable.
        chunk_size: trajectories that a worker is given at once; by default there are 64 chunks, or one for each
            trajectory where there are fewer.
        **settings: as for `odeint`: ``method``, ``rtol``, ``atol``, ``sensealg``, ``engine``, ...; see
            `SolverSettings`. ``progress`` shows how many trajectories are done. Another equation takes those that its
            own function takes.

    Raises:
        InputError: leading dimensions differ, or what `odeint` calls unusable.
        SolverError: a trajectory ended early; the message says which.
        UnsupportedError: ``lane="compiled"``, and the dynamics do not translate; says why.
        WorkerError: a worker of ``executor`` ended early, or that of ``isolation="process"``; one of several
            ``workers`` three times over the same chunk.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> rates = torch.linspace(0.5, 1.5, 10)[:, None]
        >>> sol = pb.solve_ensemble(lambda t, y, p: -p * y, torch.ones(10, 1), torch.tensor([0.0, 1.0]), rates)
    """
    kind = kind_of(func)
    check_names("solve_ensemble", kind.settings, settings)
    states, parameters = Stack.of(y0, "y0"), None if params is None else Stack.of(params, "params")
    count = states.count
    if parameters is not None and parameters.count != count:
        raise InputError(f"params has {parameters.count} sets, but y0 has {count} states; expected as many of both.")
    kind = kind.for_count(count)
    progress, isolation = settings.pop("progress", False), settings.get("isolation")
    settings["lane"] = lane = checks.lane(settings.get("lane"))
    _check_workers(workers, isolation, executor)
    if executor is not None:
        settings["isolation"] = checks.isolation(isolation)
        bar = functools.partial(_bar, shown=progress)
        work = Work(solve_ensemble, kind, states, t, parameters, settings)
        return EnsembleSolution(*solve_in_chunks(work, executor, chunk_size, bar))
    with _bar(count, progress) as notify, shared_by(workers):
        if lane == "callback":
            return _one_by_one(kind, states, t, parameters, settings, notify)
        try:
            return _at_once(kind, states, t, parameters, settings, notify)
        except UnsupportedDynamicsError as refusal:
            if lane == "compiled":
                raise UnsupportedError(f"lane='compiled' cannot serve this ensemble, because {refusal}.") from refusal
            found = _one_by_one(kind, states, t, parameters, {**settings, "lane": "auto"}, notify)
            return _with_reason(found, f"{found.lane_reason}; solved one after another, because {refusal}")


def _one_by_one(
    kind: Kind, states: Stack, t: Times, parameters: Stack | None, settings: SolverSettings, notify: Any
) -> EnsembleSolution:
    solutions = []
    for place in range(states.count):
        one = kind if parameters is None else kind.bound(parameters.row(place))
        solutions.append(one.solved(place, states.row(place), t, settings))
        notify(place + 1)
    y = _stacked([solution.y for solution in solutions])
    return EnsembleSolution(solutions[0].t, y, tuple(without_values(solution.trajectory) for solution in solutions))


def _with_reason(solution: EnsembleSolution, reason: str) -> EnsembleSolution:
    """With another reason for the lane."""
    return replace(solution, trajectories=tuple(replace(one, lane_reason=reason) for one in solution.trajectories))


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values), dim=1)
    if isinstance(first, dict):
        return {key: _stacked([value[key] for value in values]) for key in first}
    return tuple(_stacked(parts) for parts in zip(*values, strict=True))


def _check_workers(workers: Any, isolation: str | None, executor: Any) -> None:
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError(f"workers is {workers!r}; expected a number of processes, 1 or more.")
    if executor is not None:
        raise InputError("workers and executor are both given; an executor has workers of its own.")
    if checks.isolation(isolation) != "process":
        raise InputError(f"workers={workers} is for isolation='process'; without it, Julia's threads solve.")


def _at_once(
    kind: Kind,
    states: Stack,
    t: Times,
    parameters: Stack | None,
    settings: SolverSettings,
    notify: Notify,
) -> EnsembleSolution:
    """All by the engine, without Python; raises UnsupportedDynamicsError where the dynamics would call it."""
    given: list[Moving] = []
    if parameters is not None:
        given = [Moving(_own(tensor), tensor) for tensor in parameters.tensors]
        kind = kind.bound(parameters.rebuild([item.first for item in given]))
    one, own = kind.of_first(states)
    moving = [*given, *own]
    prepared = one.prepared(states.row(0), t, settings)
    if prepared.t.requires_grad and torch.is_grad_enabled():
        raise UnsupportedDynamicsError("t requires a gradient, which is found with torch")
    y0s = torch.cat([flat_real(tensor).view(states.count, -1) for tensor in states.tensors], dim=1)
    run = _Run(prepared.engine, prepared.problem, moving, notify)
    if prepared.problem.sensitivity is None:
        ys = run.forward(y0s.detach())
    else:
        ys = _Solve.apply(run, y0s, *(item.all for item in moving), *run.shared)  # type: ignore[no-untyped-call]
    found = run.found
    assert found is not None
    y = prepared.structure.unpack(ys.movedim(0, 1))
    return EnsembleSolution(prepared.t, y, (_trajectory(found, prepared.engine, prepared.problem.tolerances),))


def _trajectory(found: Trajectories, engine: Engine, tolerances: Tolerances) -> Trajectory:
    """What there is to say of all solves together, which succeeded; nobody counts the work of their adjoints."""
    pullback: Any = None if found.sensealg is None else LeftBehind(found.sensealg, found.sensealg_reason)
    return Trajectory(
        found.ys.new_empty(0, found.ys.shape[2]),
        found.stats,
        "Success",
        engine.name,
        found.algorithm,
        "compiled",
        pullback,
        lane_reason=found.lane_reason,
        tolerances=tolerances,
    )


class _Run:
    """One solve of an ensemble, and its adjoint.

    Attributes:
        shared: the parameters that all trajectories have in common.
        found: what came of the solve.
    """

    def __init__(self, engine: Engine, problem: Problem, moving: Sequence[Moving], notify: Notify) -> None:
        self._engine, self._problem, self._moving, self._notify = engine, problem, moving, notify
        own = {id(item.first) for item in moving}
        self.shared = [parameter for parameter in problem.dynamics.parameters if id(parameter) not in own]
        self.found: Trajectories | None = None

    def forward(self, y0s: Tensor) -> Tensor:
        """Values, shape ``(B, T, n)``, from states of shape ``(B, n)``."""
        with hooks.apart(self._problem.dynamics.parameters):
            self.found = self._engine.ensemble(self._problem, y0s, self._moving, self._notify)
        return self.found.ys

    def backward(self, grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the states, to each tensor that moves, and to each that is shared."""
        assert self.found is not None
        assert self.found.pullbacks is not None
        pulled_back = Gradients(*self.found.pullbacks(grads))
        dy0s, dps = checked(pulled_back, grads, self._problem, str(self.found.sensealg))
        parameters = self._problem.dynamics.parameters
        columns = torch.split(dps, [real_size(parameter) for parameter in parameters], dim=1)
        found = {id(parameter): column for parameter, column in zip(parameters, columns, strict=True)}
        moving = [
            found[id(item.first)].view(item.all.shape).to(item.all.dtype) if id(item.first) in found else None
            for item in self._moving
        ]
        shared = [shaped_like(parameter, found[id(parameter)].sum(0)) for parameter in self.shared]
        return dy0s, *moving, *shared


class _Solve(torch.autograd.Function):
    """An ensemble as a node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, run: _Run, y0s: Tensor, *tensors: Tensor) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(*tensors)  # so that torch refuses a backward pass after they were changed in place
        # Another tensor of the same memory: a node that holds its own output, here by run.found, lives until Python's
        # garbage collector looks for cycles, and with it all that Julia keeps for the backward solves.
        return run.forward(y0s.detach()).detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grads: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        return None, *ctx.run.backward(grads)


@contextlib.contextmanager
def _bar(count: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """What notes how many trajectories are done."""
    if not shown:
        yield lambda done: None
        return
    with tqdm(total=count, desc="ensemble", unit="solve") as bar:
        yield lambda done: bar.update(done - bar.n) and None
        bar.update(count - bar.n)


def _own(tensor: Tensor) -> Tensor:
    """The first row as a leaf of its own, laid out as each row of the contiguous whole."""
    first = tensor[0].detach().clone(memory_format=torch.contiguous_format)
    return first.requires_grad_(tensor.requires_grad and torch.is_grad_enabled())
