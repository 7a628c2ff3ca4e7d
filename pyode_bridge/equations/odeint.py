"""Solving an initial value problem: `odeint`, its alias `odeint_adjoint`, and `solve`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from pyode_bridge.derivatives import hooks, transforms
from pyode_bridge.derivatives.autograd import OdeSolve
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.parts import refuse_parts
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem import progress as progress_bar
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.forms import Form
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure


@between_graphs
def odeint(
    func: Dynamic,
    y0: State,
    t: Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: Any = None,
    options: Mapping[str, Any] | None = None,
    event_fn: Callable[[Tensor, Any], Tensor] | None = None,
    sensealg: str | None = None,
    engine: str | None = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    adjoint_method: Any = None,
    adjoint_options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
    mass_matrix: Tensor | None = None,
    jac_sparsity: Tensor | None = None,
    progress: bool = False,
    lane: str = "auto",
    isolation: str | None = None,
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
        rtol, atol: relative and absolute tolerance: numbers, tensors of the state's shape, or one such per tensor of
            a tuple or dict state.
        method: any Julia solver by name, ``"Tsit5"``, ``"Rodas5P"``, ``"AutoTsit5(Rosenbrock23())"``; or torchdiffeq's
            names ``"dopri5"``, ``"rk4"``, ...; see `pyode_bridge.solvers`. Default: an explicit
            solver (``"DP5"``, as torchdiffeq's), and one for stiff problems where that finds the problem stiff:
            ``"Rodas5P"``, ``"FBDF"`` from 200 components on, and an error that says what to name from 1,000 on, where
            no dense matrix is made unasked; ``"DP5"`` on the embedded engine. The solution says what ran.
        options: step options ``dt``, ``dtmin``, ``dtmax``, ``maxiters``, ``adaptive``, ``tstops``, ``norm``,
            ``controller``, ``isoutofdomain``, ``unstable_check``; see `StepOptions`.
        event_fn: raises; events are the business of `odeint_event` and `solve_events`.
        sensealg: sensitivity algorithm by SciMLSensitivity's name, with options, such as ``"GaussAdjoint"`` or
            ``"BacksolveAdjoint(checkpointing=true)"``. Default, ``"auto"``: the Julia engine chooses by the solver and
            the number of parameters, and `Solution.sensealg_reason` says why; the embedded engine has the paper's
            adjoint, ``"BacksolveAdjoint"``, which ``"auto"`` is there, and the discrete one, ``"TorchAdjoint"``. With
            torchdiffeq's fixed-step names, ``"auto"`` is the gradient of the steps on either engine.
        engine: ``"julia"``, ``"embedded"`` or ``"auto"`` (the default; also the variable PYODE_BRIDGE_ENGINE).
        adjoint_rtol, adjoint_atol, adjoint_method, adjoint_options: the same for the backward solve; they default to
            the forward solve's (the tightest, where tolerances differ between components).
        adjoint_params: tensors that gradients shall reach; default: every tensor that requires a gradient and that
            ``func`` reaches as its parameter or attribute, in a closure or as a global variable, and others that it
            uses at the start.
        mass_matrix: ``M`` of ``M dy/dt = func(t, y)``, shape ``(n, n)`` with ``n`` the state's number of elements;
            singular for a differential-algebraic equation. For implicit solvers such as ``"Rodas5P"`` and ``"FBDF"``.
        jac_sparsity: pattern of the Jacobian over the flat state, shape ``(n, n)``, dense or sparse, non-zero where a
            component of ``func`` (row) depends on one of the state (column). Implicit solvers then work with sparse
            matrices, which torch fills by a few vector-Jacobian products.
        progress: whether to show a progress bar.
        lane: ``"compiled"`` translates ``func`` to Julia, once for each shape and each Python value that it uses, and
            no Python runs within the solve; ``"callback"`` has Julia call Python, which any ``func`` allows; ``"auto"``
            (the default; also the variable PYODE_BRIDGE_LANE) compiles where it can, and `Solution.lane_reason` says
            why it did not.
        isolation: ``"none"`` runs Julia in this process, ``"process"`` in a worker process without torch, for compiled
            dynamics alone: what the worker's end loses is an exception. Default: what the variable
            PYODE_BRIDGE_ISOLATION says, else ``"none"``.

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
    settings = Settings(
        rtol=rtol,
        atol=atol,
        method=method,
        options=options,
        sensealg=sensealg,
        engine=engine,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        adjoint_method=adjoint_method,
        adjoint_options=adjoint_options,
        adjoint_params=adjoint_params,
        mass_matrix=mass_matrix,
        jac_sparsity=jac_sparsity,
        progress=progress,
        lane=lane,
        isolation=isolation,
    )
    return _solution(func, y0, t, event_fn, settings).y


odeint_adjoint = odeint


@between_graphs
def solve(
    func: Dynamic,
    y0: State,
    t: Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: Any = None,
    options: Mapping[str, Any] | None = None,
    event_fn: Callable[[Tensor, Any], Tensor] | None = None,
    sensealg: str | None = None,
    engine: str | None = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    adjoint_method: Any = None,
    adjoint_options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
    mass_matrix: Tensor | None = None,
    jac_sparsity: Tensor | None = None,
    progress: bool = False,
    dense: bool = False,
    lane: str = "auto",
    isolation: str | None = None,
) -> Solution:
    """Solve as `odeint` does, and return a `Solution`: values, statistics, retcode, engine, algorithm and lane.

    With ``dense``, the solution can be called at any time within the span (on the Julia engine).
    """
    settings = Settings(
        rtol=rtol,
        atol=atol,
        method=method,
        options=options,
        sensealg=sensealg,
        engine=engine,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        adjoint_method=adjoint_method,
        adjoint_options=adjoint_options,
        adjoint_params=adjoint_params,
        mass_matrix=mass_matrix,
        jac_sparsity=jac_sparsity,
        progress=progress,
        dense=dense,
        lane=lane,
        isolation=isolation,
    )
    return _solution(func, y0, t, event_fn, settings)


def _solution(func: Dynamic, y0: State, t: Tensor, event_fn: Any, settings: Settings) -> Solution:
    if event_fn is not None:
        raise UnsupportedError("event_fn is an argument of pyode_bridge.odeint_event; see solve_events for more.")
    checks.function(func, "func")
    if levels.active():
        refuse_parts(func)
        times, y, trajectory, structure = transforms.solved(func, y0, t, settings, prepare)
        return Solution(t=times, y=y, trajectory=trajectory, structure=structure)
    prepared = prepare(func, y0, t, settings)
    ys, trajectory = run(prepared)
    structure = prepared.structure
    return Solution(t=prepared.t, y=values(ys, structure), trajectory=trajectory, structure=structure)


def run(prepared: Prepared) -> tuple[Tensor, Trajectory]:
    """Solve; returns the values over the flat state, shape ``(T, n)``, with autograd, and what the engine returned."""
    engine, problem = prepared.engine, prepared.problem
    if problem.sensitivity is None:
        with progress_bar.shown(problem), hooks.apart():
            trajectory = engine.solve(problem)
        return trajectory.ys, trajectory
    wanted = problem.dynamics.wanted
    solved: tuple[Tensor, Trajectory] = OdeSolve.apply(  # type: ignore[no-untyped-call]
        engine, problem, prepared.y0, prepared.t, *wanted.parameters, *wanted.unmet
    )
    return solved


def run_forward(prepared: Prepared, form: Form, function: str, advice: str = "call it under torch.no_grad()") -> State:
    """Solve an equation of another form, of which there is no adjoint; ``function`` is what the user called."""
    problem = prepared.problem
    wanted = (prepared.y0, prepared.t, *problem.dynamics.parameters)
    if problem.sensitivity is not None and any(tensor.requires_grad for tensor in wanted):
        raise UnsupportedError(
            f"{function} gives no gradients, but y0, t or a parameter of the dynamics requires one; {advice}."
        )
    ys, _ = run(replace(prepared, problem=replace(problem, form=form, sensitivity=None)))
    return values(ys, prepared.structure)


def values(ys: Tensor, structure: Structure) -> State:
    """What the user gets: memory of its own where autograd's graph keeps ``ys``, so that it may be changed in place."""
    return structure.unpack_copy(ys) if ys.requires_grad else structure.unpack(ys)
