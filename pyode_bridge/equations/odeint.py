"""Solving an initial value problem: `odeint`, its alias `odeint_adjoint`, and `solve`."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives import hooks, transforms
from pyode_bridge.derivatives.autograd import OdeSolve
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.event import Condition
from pyode_bridge.equations.parts import refuse_parts
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem import progress as progress_bar
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.forms import Form
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.settings import Settings, SolverSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times


@between_graphs
@with_settings
def odeint(
    func: Dynamic,
    y0: State,
    t: Times,
    *,
    event_fn: Condition | None = None,
    **settings: Unpack[SolverSettings],
) -> State:
    """Solve ``dy/dt = func(t, y)``, ``y(t[0]) = y0``, and return the values at ``t``, with autograd.

    A drop-in for ``torchdiffeq.odeint`` whose gradients come from an adjoint solve (Chen et al. 2018), with respect
    to ``y0``, ``t`` and every parameter that ``func`` uses.

    ``torch.func`` and ``torch.vmap`` go through it: forward mode solves the forward sensitivities, with the settings of
    the solve, and a batch is solved as one system, which shares its steps and its ``t``. ``torch.compile`` leaves the
    solve between its graphs.

    Args:
        func: maps a scalar tensor ``t`` and the state to the state's derivative, of the same structure. It may
            change its arguments in place and keep them. `SecondOrder`, `Partitioned`, `Split` and `Quasilinear` say
            which parts it has, for solvers that treat them differently.
        y0: initial state: a tensor of any shape, or a tuple or dict of tensors; float32 or float64.
        t: times, shape ``(T,)``, ``T >= 2``, strictly increasing or decreasing; ``y0`` belongs to ``t[0]``.
        event_fn: raises; events are the business of `odeint_event` and `solve_events`.
        **settings: how to solve: ``method``, ``rtol``, ``atol``, ``sensealg``, ...; see `SolverSettings`.

    Returns:
        Values at ``t``, shape ``(T, *y0.shape)``, or a tuple or dict of such; the first row is ``y0``.

    Raises:
        InputError: unusable input, before any solver runs.
        UnknownSolverError, UnknownSensealgError, UnsupportedError: the name is not one the engine serves.
        EngineUnavailableError: the engine cannot start.
        SolverError: the solve ended early; carries the retcode and the time reached.
        WorkerError: the process of ``isolation="process"`` ended.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]))
    """
    return _solution(func, y0, t, event_fn, complete("odeint", SolverSettings, settings)).y


odeint_adjoint = odeint


@between_graphs
@with_settings
def solve(
    func: Dynamic,
    y0: State,
    t: Times,
    *,
    event_fn: Condition | None = None,
    dense: bool = False,
    **settings: Unpack[SolverSettings],
) -> Solution:
    """Solve as `odeint` does, and return a `Solution`: values, statistics, retcode, engine, algorithm and lane.

    With ``dense``, the solution can be called at any time within the span (on the Julia engine).
    """
    return _solution(func, y0, t, event_fn, complete("solve", SolverSettings, settings, dense=dense))


def _solution(func: Dynamic, y0: State, t: Times, event_fn: Condition | None, settings: Settings) -> Solution:
    if event_fn is not None:
        raise UnsupportedError("event_fn is an argument of pyode_bridge.odeint_event; see solve_events for more.")
    checks.function(func, "func")
    if levels.active():
        refuse_parts(func)
        times, y, trajectory, structure = transforms.solved(func, y0, t, settings, prepare)
        return Solution(t=times, y=y, trajectory=trajectory, structure=structure)
    return solution_of(prepare(func, y0, t, settings))


def solution_of(prepared: Prepared) -> Solution:
    """Solve, with autograd."""
    ys, trajectory = run(prepared)
    structure = prepared.structure
    return Solution(t=prepared.t, y=values(ys, structure), trajectory=trajectory, structure=structure)


def run(prepared: Prepared) -> tuple[Tensor, Trajectory]:
    """Solve; returns the values over the flat state, shape ``(T, n)``, with autograd, and what the engine returned."""
    engine, problem = prepared.engine, prepared.problem
    if problem.sensitivity is None:
        with progress_bar.shown(problem), hooks.apart():
            trajectory = engine.solve(problem)
        trajectory.tolerances = problem.tolerances
        return trajectory.ys, trajectory
    trajectories: list[Trajectory] = []
    wanted = problem.dynamics.wanted
    ys = OdeSolve.apply(  # type: ignore[no-untyped-call]
        engine, problem, trajectories, prepared.y0, prepared.t, *wanted.parameters, *wanted.unmet
    )
    trajectories[0].tolerances = problem.tolerances
    return ys, trajectories[0]


def solution_without_gradients(
    prepared: Prepared, form: Form, function: str, advice: str = "call it under torch.no_grad()"
) -> Solution:
    """Solve an equation of another form, of which there is no adjoint; ``function`` is what the user called."""
    problem = prepared.problem
    wanted = (prepared.y0, prepared.t, *problem.dynamics.parameters)
    if problem.sensitivity is not None and any(tensor.requires_grad for tensor in wanted):
        raise UnsupportedError(
            f"{function} gives no gradients, but y0, t or a parameter of the dynamics requires one; {advice}."
        )
    return solution_of(replace(prepared, problem=replace(problem, form=form, sensitivity=None)))


def values(ys: Tensor, structure: Structure) -> State:
    """What the user gets: memory of its own where autograd's graph keeps ``ys``, so that it may be changed in place."""
    return structure.unpack_copy(ys) if ys.requires_grad else structure.unpack(ys)
