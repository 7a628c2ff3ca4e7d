"""`solve_ensemble`: many initial states and parameter sets, each with steps of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from tqdm import tqdm
from typing_extensions import Unpack

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.engines import select_engine, shared_by
from pyode_bridge.ensembles import hybrid, together
from pyode_bridge.ensembles.executors import DaskClient, Work, solve_in_chunks
from pyode_bridge.ensembles.kinds import Hybrid, Kind, kind_of
from pyode_bridge.ensembles.packs import Packed, Packs
from pyode_bridge.ensembles.result import EnsembleSolution
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.settings import SolverSettings, check_names, with_settings
from pyode_bridge.problem.state import State, Times
from pyode_bridge.problem.trajectories import Notify


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
    shared_steps: int | None = None,
    **settings: Unpack[SolverSettings],
) -> EnsembleSolution:
    """Solve ``dy/dt = func(t, y)``, or another equation, for many initial states, each by a solve with its own steps.

    Dynamics that translate to Julia run on all of Julia's threads, with no Python in between (SciML's
    ``EnsembleThreads``); others, and what Python evaluates beside them (``jac_sparsity``, ``isoutofdomain``, ...), are
    solved one after another. Gradients reach ``y0``, ``params``, ``t`` and the parameters of ``func``. Trajectories of
    small systems are solved much faster in packs that share their steps: ``shared_steps=64``.

    Args:
        func: dynamics of one trajectory: ``func(t, y)``, or ``func(t, y, p)`` where ``params`` are given; or another
            equation: `SDE` with noise for each trajectory, `DDE` with delays, or `Hybrid` with events, which gives an
            `EventEnsembleSolution`.
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
        shared_steps: how many trajectories share their steps, such as 64; None for steps of its own for each. They are
            one system then, of which one instruction computes several: those that begin alike, as ``y0`` and ``params``
            say. A step is taken if the error of every one of them, measured as in a solve of it alone, is within the
            tolerances, so that each is as accurate as alone, by shorter steps than it needs. ``func`` goes through
            `torch.vmap`, and with Julia has to be one that translates; the solver is an explicit one. ``options`` have
            no functions of the state. `EnsembleSolution.stats` count for a pack what they would for a trajectory.
        **settings: as for `odeint`: ``method``, ``rtol``, ``atol``, ``sensealg``, ``engine``, ...; see
            `SolverSettings`. ``progress`` shows how many trajectories are done. Another equation takes those that its
            own function takes.

    Raises:
        InputError: leading dimensions differ, or what `odeint` calls unusable.
        SolverError: a trajectory, or a pack of them, ended early; the message says which.
        UnsupportedError: ``lane="compiled"``, and the dynamics do not translate; says why. Or ``shared_steps``, and
            they do not translate or do not go through `torch.vmap`, or the equation, the state, the solver or a setting
            is none that trajectories can share.
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
    _check_workers(workers, settings.get("isolation"), executor)
    if isinstance(kind, Hybrid) and (workers is not None or executor is not None):
        raise InputError("Equations with events are solved in one process: leave workers and executor out.")
    if shared_steps is None:
        return _solved(kind, states, t, parameters, settings, workers, executor, chunk_size)
    packs = Packs.of(shared_steps, states, parameters)
    found = _solved(
        packs.kind(kind),
        packs.packed(states),
        t,
        None if parameters is None else packs.packed(parameters),
        packs.settings(settings, states),
        workers,
        executor,
        packs.chunk_size(chunk_size),
    )
    return replace(found, y=packs.unpacked(found.y))


def _solved(
    kind: Kind,
    states: Stack,
    t: Times,
    parameters: Stack | None,
    settings: SolverSettings,
    workers: int | None,
    executor: Executor | DaskClient | None,
    chunk_size: int | None,
) -> EnsembleSolution:
    """All members of an ensemble, where they are to be solved."""
    progress = settings.pop("progress", False)
    settings["lane"] = checks.lane(settings.get("lane"))
    if executor is not None:
        settings["isolation"] = checks.isolation(settings.get("isolation"))
        bar = functools.partial(_bar, shown=progress)
        work = Work(solve_ensemble, kind, states, t, parameters, settings)
        return EnsembleSolution(*solve_in_chunks(work, executor, chunk_size, bar))
    with _bar(states.count, progress) as notify, shared_by(workers):
        return _solved_here(kind, states, t, parameters, settings, notify)


def _solved_here(
    kind: Kind, states: Stack, t: Times, parameters: Stack | None, settings: SolverSettings, notify: Notify
) -> EnsembleSolution:
    """At once where no Python is called, else one after another, if the lane and the kind leave that open."""
    lane = settings["lane"]
    at_once, one_by_one = _ways(kind)
    alone = states.count == 1 and not isinstance(kind, Packed)  # which has nothing to share out
    if alone or lane == "callback":
        return one_by_one(kind, states, t, parameters, settings, notify)
    try:
        return at_once(kind, states, t, parameters, settings, notify)
    except UnsupportedDynamicsError as refusal:
        if lane == "compiled":
            raise UnsupportedError(f"lane='compiled' cannot serve this ensemble, because {refusal}.") from refusal
        _check_one_by_one(kind, settings, refusal)
        found = one_by_one(kind, states, t, parameters, {**settings, "lane": "auto"}, notify)
        return _with_reason(found, f"{found.lane_reason}; solved one after another, because {refusal}")


def _check_one_by_one(kind: Kind, settings: SolverSettings, refusal: UnsupportedDynamicsError) -> None:
    """Raise UnsupportedError for packs that an engine was to solve by itself, as is asked of them for speed."""
    if isinstance(kind, Packed) and select_engine(settings.get("engine"), settings.get("isolation")).compiles:
        raise UnsupportedError(
            f"shared_steps cannot serve this ensemble, because {refusal}. Leave it out, and each trajectory has steps "
            "of its own; or have Python called for each pack by lane='callback'."
        ) from refusal


Way = Callable[[Any, Stack, Times, Stack | None, SolverSettings, Notify], EnsembleSolution]


def _ways(kind: Kind) -> tuple[Way, Way]:
    """How to solve: all at once by the engine, and one after another."""
    ways = hybrid if isinstance(kind, Hybrid) else together
    return ways.at_once, ways.one_by_one


def _with_reason(solution: EnsembleSolution, reason: str) -> EnsembleSolution:
    """With another reason for the lane."""
    return replace(solution, trajectories=tuple(replace(one, lane_reason=reason) for one in solution.trajectories))


def _check_workers(workers: Any, isolation: str | None, executor: Any) -> None:
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError(f"workers is {workers!r}; expected a number of processes, 1 or more.")
    if executor is not None:
        raise InputError("workers and executor are both given; an executor has workers of its own.")
    if checks.isolation(isolation) != "process":
        raise InputError(f"workers={workers} is for isolation='process'; without it, Julia's threads solve.")


@contextlib.contextmanager
def _bar(count: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """What notes how many trajectories are done."""
    if not shown:
        yield lambda done: None
        return
    with tqdm(total=count, desc="ensemble", unit="solve") as bar:
        yield lambda done: bar.update(done - bar.n) and None
        bar.update(count - bar.n)
