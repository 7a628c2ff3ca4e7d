"""From a user's call to a problem for an engine: every check, once, before any solver runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge import checks
from pyode_bridge.dynamics import Dynamics
from pyode_bridge.engines import select_engine
from pyode_bridge.methods import as_method
from pyode_bridge.options import StepOptions
from pyode_bridge.parameters import listed_parameters, reachable_parameters
from pyode_bridge.problem import Engine, Problem, Sensitivity, Tolerances
from pyode_bridge.state import State, Structure

Dynamic = Callable[[Tensor, Any], Any]


@dataclass(frozen=True)
class Settings:
    """The keyword arguments of `odeint` and `solve`, unchecked; their meaning stands there."""

    rtol: Any = 1e-7
    atol: Any = 1e-9
    method: Any = None
    options: Mapping[str, Any] | None = None
    sensealg: str | None = None
    engine: str | None = None
    adjoint_rtol: float | None = None
    adjoint_atol: float | None = None
    adjoint_method: Any = None
    adjoint_options: Mapping[str, Any] | None = None
    adjoint_params: Iterable[Tensor] | None = None
    mass_matrix: Tensor | None = None
    progress: bool = False
    dense: bool = False


@dataclass(frozen=True)
class Prepared:
    """A problem with its engine, and what autograd must see: ``y0``, flat, and ``t``, both as the user gave them."""

    engine: Engine
    problem: Problem
    y0: Tensor
    t: Tensor
    structure: Structure


def prepare(func: Dynamic, y0: State, t: Any, settings: Settings) -> Prepared:
    """Check everything and evaluate the dynamics once; raises what `odeint` raises before a solve."""
    structure = Structure.of(y0)
    times = checks.times(t, structure)
    sign = 1.0 if times[1] > times[0] else -1.0
    method, options = as_method(settings.method), StepOptions.of(settings.options)
    tolerances = Tolerances(
        checks.tolerance(settings.rtol, structure, "rtol"), checks.tolerance(settings.atol, structure, "atol")
    )
    sensitivity = _sensitivity(settings, Sensitivity(settings.sensealg, method, tolerances, options))
    engine = select_engine(settings.engine)
    engine.check(method, sensitivity)
    checks.device(structure, func)
    flat_y0 = structure.pack(y0)
    checks.finite(flat_y0, "y0")
    dynamics = _probe(func, structure, sign * times[0].item(), flat_y0.detach(), sign, settings.adjoint_params)
    differentiable = (flat_y0, times, *dynamics.parameters)
    wants_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in differentiable)
    problem = Problem(
        dynamics=dynamics,
        y0=flat_y0.detach(),
        t=(sign * times.detach()).to("cpu", torch.float64),
        method=method,
        tolerances=tolerances,
        options=options,
        sensitivity=sensitivity if wants_grad else None,
        mass_matrix=checks.mass_matrix(settings.mass_matrix, structure),
        dense=settings.dense,
        progress=settings.progress,
    )
    return Prepared(engine, problem, flat_y0, times, structure)


def _sensitivity(settings: Settings, forward: Sensitivity) -> Sensitivity:
    """How gradients are computed: as the forward solve, but for what the ``adjoint_`` arguments say."""
    method, tolerances, options = forward.method, forward.tolerances, forward.options
    if settings.adjoint_method is not None:
        method = as_method(settings.adjoint_method)
    if settings.adjoint_options:
        options = StepOptions.of(settings.adjoint_options, "adjoint_options")
    bounds = Tolerances(
        checks.scalar_tolerance(settings.adjoint_rtol, tolerances.rtol, "adjoint_rtol"),
        checks.scalar_tolerance(settings.adjoint_atol, tolerances.atol, "adjoint_atol"),
    )
    return Sensitivity(settings.sensealg, method, bounds, options.for_adjoint())


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
