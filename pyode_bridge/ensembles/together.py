"""Ensembles of equations without events: all at once by the engine, or one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.derivatives import hooks
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.ensembles.kinds import Kind, first_of
from pyode_bridge.ensembles.result import EnsembleSolution, of_all
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.result import LeftBehind, without_values
from pyode_bridge.equations.solution import Solution
from pyode_bridge.problem.problem import Gradients, Problem
from pyode_bridge.problem.retcodes import checked
from pyode_bridge.problem.settings import SolverSettings
from pyode_bridge.problem.state import Times, real_size, shaped_like
from pyode_bridge.problem.trajectories import Moving, Notify, Trajectories


def at_once(
    kind: Kind,
    states: Stack,
    t: Times,
    parameters: Stack | None,
    settings: SolverSettings,
    notify: Notify,
) -> EnsembleSolution:
    """All by the engine, without Python; raises UnsupportedDynamicsError where the dynamics would call it."""
    one, moving = first_of(kind, states, parameters)
    prepared = one.prepared(states.row(0), t, settings)
    if prepared.t.requires_grad and torch.is_grad_enabled():
        raise UnsupportedDynamicsError("t requires a gradient, which is found with torch")
    y0s = states.flat()
    run = _Run(prepared.engine, prepared.problem, moving, notify)
    if prepared.problem.sensitivity is None:
        ys = run.forward(y0s.detach())
    else:
        ys = _Solve.apply(run, y0s, *(item.all for item in moving), *run.shared)  # type: ignore[no-untyped-call]
    found = run.found
    assert found is not None
    y = prepared.structure.unpack(ys.movedim(0, 1))
    # Nobody counts the work of their adjoints.
    pullback: Any = None if found.sensealg is None else LeftBehind(found.sensealg, found.sensealg_reason)
    return EnsembleSolution(prepared.t, y, (of_all(found, prepared.engine, prepared.problem.tolerances, pullback),))


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
        dy0s, dps, _ = checked(pulled_back, grads, self._problem, str(self.found.sensealg))
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


def one_by_one(
    kind: Kind, states: Stack, t: Times, parameters: Stack | None, settings: SolverSettings, notify: Notify
) -> EnsembleSolution:
    """One trajectory after another, each as it would be alone."""
    solutions: list[Solution] = []
    for place in range(states.count):
        one = kind if parameters is None else kind.bound(parameters.row(place))
        solution = one.solved(place, states.row(place), t, settings)
        assert isinstance(solution, Solution)
        solutions.append(solution)
        notify(place + 1)
    y = _stacked([solution.y for solution in solutions])
    return EnsembleSolution(solutions[0].t, y, tuple(without_values(solution.trajectory) for solution in solutions))


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values), dim=1)
    if isinstance(first, dict):
        return {key: _stacked([value[key] for value in values]) for key in first}
    return tuple(_stacked(parts) for parts in zip(*values, strict=True))
