"""An ensemble in chunks, each solved by a worker of an executor.

A task is all that a chunk needs, as bytes, and a worker remembers nothing that it could not do without: a task whose
worker died may be given to another. The backward pass sends each chunk once more, with its loss gradients, and the
worker solves it again: one more solve costs less than to hold every solution where its worker is, and to lose it there.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.ensembles.kinds import Kind
from pyode_bridge.ensembles.shipping import revived
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.result import that_travels
from pyode_bridge.errors import SolverError
from pyode_bridge.problem.problem import Trajectory


@dataclass(frozen=True)
class Task:
    """A chunk of an ensemble.

    Attributes:
        first: number of its first trajectory.
        solve: `solve_ensemble`.
        code, shared: its equation and settings with the tensors in them, see `Shipped`.
        states, params: rows of these trajectories.
        t: the times.
        dtype: torch's default dtype.
        recorded: whether gradients are wanted.
        grads: loss gradients with respect to the values, where these are asked for; else None.
    """

    first: int
    solve: Callable[..., Any]
    code: bytes
    shared: tuple[Tensor, ...]
    states: Stack
    params: Stack | None
    t: Tensor
    dtype: torch.dtype
    recorded: bool
    grads: tuple[Tensor, ...] | None = None

    @property
    def count(self) -> int:
        """Number of trajectories."""
        return self.states.count


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        tensors: the values, or the gradients with respect to states, params, times and shared tensors.
        trajectories: what the engine returned, without values.
        warned: category and text of each warning.
    """

    tensors: tuple[Tensor | None, ...]
    trajectories: tuple[Trajectory, ...]
    warned: tuple[tuple[type[Warning], str], ...]


def work(task: bytes) -> bytes:
    """What a worker does."""
    chunk: Task = pickle.loads(task)
    before = torch.get_default_dtype()
    torch.set_default_dtype(chunk.dtype)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            torch.set_grad_enabled(chunk.recorded),
            revived(chunk.code, chunk.shared) as ((kind, settings), shared),
        ):
            warnings.simplefilter("always")
            tensors, trajectories = _solved(chunk, kind.beginning_at(chunk.first), settings, shared)
    finally:
        torch.set_default_dtype(before)
    warned = tuple((one.category, str(one.message)) for one in caught)
    return pickle.dumps(Done(tensors, trajectories, warned))


def _solved(
    chunk: Task, kind: Kind, settings: dict[str, Any], shared: tuple[Tensor, ...]
) -> tuple[tuple[Tensor | None, ...], tuple[Trajectory, ...]]:
    states, params, t = chunk.states, chunk.params, chunk.t
    try:
        solution = chunk.solve(
            kind,
            states.rebuild(states.tensors),
            t,
            None if params is None else params.rebuild(params.tensors),
            **settings,
        )
        values = Stack.of(solution.y, "y").tensors
        if chunk.grads is None:
            return tuple(value.detach() for value in values), tuple(map(that_travels, solution.trajectories))
        inputs = (*states.tensors, *(() if params is None else params.tensors), t, *shared)
        return _gradients(values, inputs, chunk.grads), ()
    except SolverError as error:
        last = chunk.first + chunk.count - 1
        where = f"Among {kind.members} {chunk.first} to {last}, in a worker, which counts from its first: {error}"
        raise SolverError(where, retcode=error.retcode, t=error.t, algorithm=error.algorithm) from error


def _gradients(
    values: tuple[Tensor, ...], inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    """For each of the inputs; None where it needs none or nothing depends on it."""
    pairs = [(value, grad) for value, grad in zip(values, grads, strict=True) if value.requires_grad]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    if not pairs or not wanted:
        return (None,) * len(inputs)
    outputs, cotangents = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, cotangents, allow_unused=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in inputs)
