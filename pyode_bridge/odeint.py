"""Solving an initial value problem: `odeint`, its alias `odeint_adjoint`, and `solve`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from pyode_bridge import checks
from pyode_bridge.autograd import OdeSolve
from pyode_bridge.dynamics import Dynamics
from pyode_bridge.engines import select_engine
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.methods import as_method
from pyode_bridge.options import StepOptions
from pyode_bridge.parameters import listed_parameters, reachable_parameters
from pyode_bridge.problem import Engine, Problem, Sensitivity, Tolerances, Trajectory
from pyode_bridge.solution import Solution
from pyode_bridge.state import State, Structure

Dynamic = Callable[[Tensor, Any], Any]


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
) -> State:
    """Solve ``dy/dt = func(t, y)``, ``y(t[0]) = y0``, and return the values at ``t``, with autograd.

    A drop-in for ``torchdiffeq.odeint`` whose gradients come from an adjoint solve (Chen et al. 2018), with respect
    to ``y0``, ``t`` and every parameter that ``func`` uses.

    Args:
        func: maps a scalar tensor ``t`` and the state to the state's derivative, of the same structure. It sees views
            of the solver's memory: clone ``y`` to keep it, and do not change it in place.
        y0: initial state: a tensor of any shape, or a tuple or dict of tensors; float32 or float64.
        t: times, shape ``(T,)``, ``T >= 2``, strictly increasing or decreasing; ``y0`` belongs to ``t[0]``.
        rtol, atol: relative and absolute tolerance: numbers, tensors of the state's shape, or one such per tensor of
            a tuple or dict state.
        method: any Julia solver by name, ``"Tsit5"``, ``"Rodas5P"``, ``"AutoTsit5(Rosenbrock23())"``; or torchdiffeq's
            names ``"dopri5"`` (the default), ``"rk4"``, ...; see `pyode_bridge.solvers`.
        options: step options ``dt``, ``dtmin``, ``dtmax``, ``maxiters``, ``adaptive`` (`pyode_bridge.options`).
        event_fn: not supported; raises.
        sensealg: sensitivity algorithm by SciMLSensitivity's name, with options, such as ``"GaussAdjoint"`` or
            ``"BacksolveAdjoint(checkpointing=true)"``. Default: ``"InterpolatingAdjoint"`` on the Julia engine, the
            paper's adjoint (``"BacksolveAdjoint"``) on the embedded one.
        engine: ``"julia"``, ``"embedded"`` or ``"auto"`` (the default; also the variable PYODE_BRIDGE_ENGINE).
        adjoint_rtol, adjoint_atol, adjoint_method, adjoint_options: the same for the backward solve; they default to
            the forward solve's (the tightest, where tolerances differ between components).
        adjoint_params: tensors that gradients shall reach; default: the module's parameters and whatever leaf tensors
            ``func`` is found to use.

    Returns:
        Values at ``t``: shape ``(T, *y0.shape)``, or a tuple or dict of such; the first row is ``y0``.

    Raises:
        InputError: unusable input, before any solver runs.
        UnknownSolverError, UnknownSensealgError, UnsupportedError: the name is not one the engine serves.
        EngineUnavailableError: the engine cannot start.
        SolverError: the solve ended early; carries the retcode and the time reached.

    Example:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]))
    """
    solution = solve(
        func,
        y0,
        t,
        rtol=rtol,
        atol=atol,
        method=method,
        options=options,
        event_fn=event_fn,
        sensealg=sensealg,
        engine=engine,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        adjoint_method=adjoint_method,
        adjoint_options=adjoint_options,
        adjoint_params=adjoint_params,
    )
    return solution.y


odeint_adjoint = odeint


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
) -> Solution:
    """Solve as `odeint` does, and return a `Solution`: values, statistics, retcode, engine, algorithm and lane."""
    if event_fn is not None:
        raise UnsupportedError("event_fn is not supported yet; solve to fixed times and locate the event yourself.")
    structure = Structure.of(y0)
    times = checks.times(t, structure)
    sign = 1.0 if times[1] > times[0] else -1.0
    tolerances = Tolerances(checks.tolerance(rtol, structure, "rtol"), checks.tolerance(atol, structure, "atol"))
    forward_method = as_method(method)
    forward_options = StepOptions.of(options)
    sensitivity = Sensitivity(
        sensealg=sensealg,
        method=as_method(adjoint_method) if adjoint_method is not None else forward_method,
        tolerances=Tolerances(
            checks.scalar_tolerance(adjoint_rtol, tolerances.rtol, "adjoint_rtol"),
            checks.scalar_tolerance(adjoint_atol, tolerances.atol, "adjoint_atol"),
        ),
        options=StepOptions.of(adjoint_options, "adjoint_options") if adjoint_options else forward_options,
    )
    running = select_engine(engine)
    running.check(forward_method, sensitivity)
    checks.device(structure, func)
    flat_y0 = structure.pack(y0)
    checks.finite(flat_y0, "y0")
    dynamics = _probe(func, structure, sign * times[0].item(), flat_y0.detach(), sign, adjoint_params)
    wants_grad = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (flat_y0, times, *dynamics.parameters)
    )
    problem = Problem(
        dynamics=dynamics,
        y0=flat_y0.detach(),
        t=(sign * times.detach()).to("cpu", torch.float64),
        method=forward_method,
        tolerances=tolerances,
        options=forward_options,
        sensitivity=sensitivity if wants_grad else None,
    )
    ys, trajectory = _run(running, problem, flat_y0, times)
    return Solution(t=times, y=structure.unpack(ys), trajectory=trajectory)


def _run(engine: Engine, problem: Problem, y0: Tensor, t: Tensor) -> tuple[Tensor, Trajectory]:
    if problem.sensitivity is None:
        trajectory = engine.solve(problem)
        return trajectory.ys, trajectory
    trajectories: list[Trajectory] = []
    ys = OdeSolve.apply(  # type: ignore[no-untyped-call]
        engine, problem, trajectories, y0, t, *problem.dynamics.parameters
    )
    return ys, trajectories[0]


def _probe(
    func: Dynamic,
    structure: Structure,
    s0: float,
    y0: Tensor,
    sign: float,
    adjoint_params: Iterable[Tensor] | None,
) -> Dynamics:
    """The dynamics after one trial evaluation, which checks the output and finds the parameters in use."""
    trial = Dynamics(func, structure, (), sign)
    value = trial.trial(s0, y0)
    checks.finite(value, f"func(t, y) at t = {sign * s0:.6g}, y = y0,")
    if not torch.is_grad_enabled():
        return trial
    if adjoint_params is not None:
        return Dynamics(func, structure, listed_parameters(adjoint_params), sign)
    return Dynamics(func, structure, reachable_parameters(func, value), sign)
