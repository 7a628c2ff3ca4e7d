"""Steady states: `steady_state`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.equations.odeint import run, values
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.errors import SolverError
from pyode_bridge.problem import checks
from pyode_bridge.problem.forms import Steady
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure

DEFAULT_METHOD = "Rodas5P"
FOREVER = 1e300  # steps that grow tenfold are there after some hundreds


@between_graphs
def steady_state(
    func: Callable[[Tensor, Any], Any],
    y0: State,
    *,
    t0: float = 0.0,
    method: Any = None,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
    engine: str | None = None,
    lane: str = "auto",
    isolation: str | None = None,
) -> State:
    """The state ``y`` with ``func(t, y) = 0`` that ``dy/dt = func(t, y)`` settles in from ``y0``, with autograd.

    It is solved for through time, and differentiated, with respect to all parameters that ``func`` uses, by
    SciMLSensitivity's ``SteadyStateAdjoint``: one linear system with the Jacobian, whatever the way there was. It does
    not depend on ``y0``, but for which of several steady states it is; its gradient there is zero.

    Args:
        func: as for `odeint`; at a steady state, what it does no longer depends on ``t``.
        y0: where to start: a tensor of any shape, or a tuple or dict of tensors; float32 or float64.
        t0: time at the start.
        method: any solver of ordinary differential equations by name. Default: ``"Rodas5P"``; the steps of implicit
            solvers grow without bound as the state settles, those of explicit ones do not.
        rtol, atol: tolerances of the solve; and it has settled where ``|dy/dt|`` is, in each component, at most
            ``atol`` plus ``rtol`` (or 100 rounding errors of the dtype, if that is more) times the largest that it was
            on the way.
        options, adjoint_params, lane, isolation: as for `odeint`.
        engine: as for `odeint`; the Julia engine alone serves it.

    Returns:
        The steady state, of the structure of ``y0``.

    Raises:
        InputError, UnknownSolverError, UnsupportedError: as for `odeint`; also, in the backward pass, UnsupportedError
            where the Jacobian is singular, as it is where something is conserved, and for second derivatives.
        SolverError: it does not settle, within ``options={"maxiters": ...}`` or at all.

    Source: SciML's documentation, "Steady State Solvers" and "Sensitivity Algorithms for Nonlinear Problems".

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> inflow = torch.tensor(2.0, requires_grad=True)
        >>> level = pb.steady_state(lambda t, y: inflow - y**2, torch.ones(1))  # sqrt(inflow)
        >>> level.sum().backward()
    """
    checks.function(func, "func")
    start = checks.finite_time(t0, "t0", Structure.of(y0)).item()
    settings = Settings(
        rtol=rtol,
        atol=atol,
        method=DEFAULT_METHOD if method is None else method,
        options=options,
        sensealg="SteadyStateAdjoint",
        engine=engine,
        adjoint_params=adjoint_params,
        lane=lane,
        isolation=isolation,
        kind="steady",
    )
    prepared = prepare(func, y0, torch.tensor([start, FOREVER], dtype=torch.float64), settings)
    tolerances = prepared.problem.tolerances
    problem = replace(prepared.problem, form=Steady(tolerances.rtol, tolerances.atol))
    ys, trajectory = run(replace(prepared, problem=problem))
    if trajectory.retcode != "Terminated":
        raise SolverError(
            f"{trajectory.algorithm} found no steady state: dy/dt becomes constant, or small but not as small as asked "
            "for. Raise rtol or atol, or solve in torch.float64.",
            retcode=trajectory.retcode,
            t=FOREVER,
            algorithm=trajectory.algorithm,
        )
    return values(ys[-1], prepared.structure)
