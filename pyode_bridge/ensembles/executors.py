"""An ensemble in chunks on the caller's side: they are given to an executor, and what its workers return is joined."""

from __future__ import annotations

import itertools
import pickle
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyode_bridge.derivatives.parameters import listed_parameters
from pyode_bridge.engines import engine_name
from pyode_bridge.ensembles.chunks import Done, Task, work
from pyode_bridge.ensembles.kinds import Kind
from pyode_bridge.ensembles.shipping import Shipped
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.errors import InputError, WorkerError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.graph import lost_leaves
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.settings import SolverSettings
from pyode_bridge.problem.state import State, Structure
from pyode_bridge.problem.wanted import Wanted

MOST_CHUNKS = 64  # by default: enough to keep many workers busy to the end, and to lose little with one of them


class DaskClient(Protocol):
    """What is used of dask's ``distributed.Client``."""

    def get_executor(self, *, pure: bool) -> Executor:
        """Its workers, as an executor."""

    def register_plugin(self, plugin: object) -> object:
        """What each worker is to do as it starts."""


@dataclass(frozen=True)
class Work:
    """What `solve_ensemble` is called with: ``solve``, in each worker, and ``func``, ``y0``, ``t``, ``params``, ..."""

    solve: Callable[..., Any]
    kind: Kind
    states: Stack
    t: Any
    params: Stack | None
    settings: SolverSettings


def solve_in_chunks(
    work: Work, executor: Executor | DaskClient, size: int | None, bar: Callable[[int], Any]
) -> tuple[Tensor, State, tuple[Trajectory, ...]]:
    """Times, values with autograd, and what the engines of all workers returned, without values.

    Args:
        work: to be done.
        executor: a ``concurrent.futures.Executor``, or dask's ``Client``.
        size: trajectories a chunk, or None.
        bar: for a number of trajectories, a context that gives what to tell how many are done.

    Raises:
        InputError: ``func`` cannot be pickled, or uses a tensor that a gradient would not reach.
        WorkerError: a worker ended early.
    """
    settings: SolverSettings = {**work.settings}
    engine, _ = engine_name(settings.get("engine"))
    settings["engine"] = engine
    adjoint_params = settings.get("adjoint_params")
    if adjoint_params is not None:
        settings["adjoint_params"] = listed_parameters(adjoint_params)
    size = _chunk_size(size, work.states.count)
    shipped = Shipped.of((work.kind, settings), "func, or a setting beside it,")
    t, times = checks.times(work.t, Structure.of(work.states.row(0)))
    work = replace(work, t=t, settings=settings)
    _check_that_gradients_arrive(work, shipped, times[0])
    params = () if work.params is None else work.params.tensors
    inputs = (*work.states.tensors, *params, t, *shipped.tensors)
    recorded = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    tasks = [_task(work, shipped, slice(first, first + size), recorded) for first in range(0, work.states.count, size)]
    chunked = Chunked(_as_executor(executor, engine), tasks, bar)
    y: State = work.states.rebuild(chunked.solve(inputs))
    return t, y, chunked.trajectories


def _task(work: Work, shipped: Shipped, rows: slice, recorded: bool) -> Task:
    return Task(
        first=rows.start,
        solve=work.solve,
        code=shipped.code,
        shared=tuple(tensor.detach() for tensor in shipped.tensors),
        states=work.states.copy(rows),
        params=None if work.params is None else work.params.copy(rows),
        t=work.t.detach().requires_grad_(work.t.requires_grad),
        dtype=torch.get_default_dtype(),
        recorded=recorded,
    )


def _check_that_gradients_arrive(work: Work, shipped: Shipped, start: float) -> None:
    """Raise InputError where ``func`` uses a tensor that requires a gradient, and that workers do not get from here."""
    if not torch.is_grad_enabled() or work.settings.get("adjoint_params") is not None:
        return
    state = work.states.detached().row(0)
    kind = work.kind if work.params is None else work.kind.bound(work.params.detached().row(0))
    structure = Structure.of(state)
    dynamics = Dynamics(kind.whole(), structure, Wanted())
    flat = structure.pack(state)
    lost = lost_leaves(dynamics.evaluate(start, flat), shipped.tensors, lambda: dynamics.evaluate(start, flat))
    if lost:
        raise InputError(
            f"func uses a tensor of shape {tuple(lost[0].shape)} that requires a gradient and is no part of it, such "
            "as a global variable of a module: workers have one of their own, and the gradient would not come back. "
            "Make it a parameter of a module that you pass as func, or part of params."
        )


def _chunk_size(given: object, count: int) -> int:
    if given is None:
        return -(-count // MOST_CHUNKS)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InputError(f"chunk_size is {given!r}; expected a number of trajectories, 1 or more.")
    return given


def _as_executor(given: Executor | DaskClient, engine: str) -> Executor:
    if isinstance(given, Executor):
        return given
    if hasattr(given, "get_executor") and hasattr(given, "register_plugin"):
        from pyode_bridge.ensembles.dask import StartEngine

        given.register_plugin(StartEngine(engine))
        executor: Executor = given.get_executor(pure=False)
        return executor
    raise InputError(
        f"executor is a {type(given).__name__}; expected a concurrent.futures.Executor, such as ProcessPoolExecutor, "
        "or dask's Client."
    )


class Chunked:
    """An ensemble in tasks for an executor.

    Args:
        executor: whose workers solve.
        tasks: in the order of the trajectories.
        bar: shows how many of so many trajectories are done.

    Attributes:
        trajectories: what the engines returned, without values, after the solve.
    """

    def __init__(self, executor: Executor, tasks: Sequence[Task], bar: Callable[[int], Any]) -> None:
        self._executor, self._tasks, self._bar = executor, tasks, bar
        self.trajectories: tuple[Trajectory, ...] = ()

    def solve(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Values of all, each of shape ``(T, B, ...)``, with autograd with respect to the ``inputs`` of the tasks."""
        values: tuple[Tensor, ...] = _Solve.apply(self, *inputs)  # type: ignore[no-untyped-call]
        return values

    def forward(self) -> tuple[Tensor, ...]:
        """The values."""
        done = self._all_done(self._tasks)
        self.trajectories = tuple(itertools.chain.from_iterable(one.trajectories for one in done))
        return tuple(torch.cat(parts, dim=1) for parts in zip(*(_present(one) for one in done), strict=True))

    def backward(self, grads: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradients with respect to states, params, times and shared tensors."""
        tasks = []
        for task in self._tasks:
            rows = slice(task.first, task.first + task.count)
            tasks.append(replace(task, grads=tuple(grad[:, rows].clone() for grad in grads)))
        one = self._tasks[0]
        own = len(one.states.tensors) + (0 if one.params is None else len(one.params.tensors))
        columns = zip(*(done.tensors for done in self._all_done(tasks)), strict=True)
        return [_joined(column, tasks, own=place < own) for place, column in enumerate(columns)]

    def _all_done(self, tasks: Sequence[Task]) -> list[Done]:
        total, done, count = sum(task.count for task in tasks), dict[int, Done](), 0
        futures: dict[Future[bytes], Task] = {}
        with self._bar(total) as notify:
            try:
                for task in tasks:
                    futures[self._executor.submit(work, pickle.dumps(task))] = task
                for future in as_completed(futures):
                    task = futures[future]
                    done[task.first] = pickle.loads(future.result())
                    count += task.count
                    notify(count)
            except BrokenExecutor as error:
                raise WorkerError(
                    f"A worker of {type(self._executor).__name__} ended before its chunk was solved; {len(done)} of "
                    f"{len(tasks)} chunks were, and are lost with it ({error}). It may have run out of memory or "
                    "crashed, and a script that starts processes needs `if __name__ == '__main__':` around what it "
                    "does. Make a new executor; dask's Client gives a lost chunk to another worker by itself."
                ) from error
            finally:
                for future in futures:
                    future.cancel()  # those that have not begun, where something went wrong
        finished = [done[task.first] for task in tasks]
        for category, text in dict.fromkeys(warning for one in finished for warning in one.warned):
            warnings.warn(text, category, stacklevel=2)
        return finished


class _Solve(torch.autograd.Function):
    """An ensemble in chunks as a node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, chunked: Chunked, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.chunked = chunked
        ctx.save_for_backward(*inputs)  # so that torch refuses a backward pass after they were changed in place
        return chunked.forward()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        return None, *ctx.chunked.backward(grads)


def _present(done: Done) -> list[Tensor]:
    return [tensor for tensor in done.tensors if tensor is not None]


def _joined(column: Sequence[Tensor | None], tasks: Sequence[Task], *, own: bool) -> Tensor | None:
    """Gradients of all chunks: those of each trajectory's ``own`` tensors side by side, those of others added."""
    present = [grad for grad in column if grad is not None]
    if not present:
        return None
    if not own:
        return torch.stack(present).sum(0)
    like = present[0]
    parts = [
        like.new_zeros(task.count, *like.shape[1:]) if grad is None else grad
        for grad, task in zip(column, tasks, strict=True)
    ]
    return torch.cat(parts)
