"""Steady states: `steady_state`."""

from __future__ import annotations

from dataclasses import replace

import torch
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import run, values
from pyode_bridge.errors import SolverError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.forms import Steady
from pyode_bridge.problem.settings import SteadySettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure

DEFAULT_METHOD = "Rodas5P"
FOREVER = 1e300  # steps that grow tenfold are there after some hundreds


@between_graphs
@with_settings
def steady_state(
    func: Dynamic,
    y0: State,
    *,
    t0: float = 0.0,
    **settings: Unpack[SteadySettings],
) -> State:
    """The state ``y`` with ``func(t, y) = 0`` that ``dy/dt = func(t, y)`` settles in from ``y0``, with autograd.

    It is solved for through time, and differentiated, with respect to all parameters that ``func`` uses, by
    SciMLSensitivity's ``SteadyStateAdjoint``: one linear system with the Jacobian, whatever the way there was. It does
    not depend on ``y0``, but for which of several steady states it is; its gradient there is zero.

    Args:
        func: as for `odeint`; at a steady state, what it does no longer depends on ``t``.
        y0: where to start: a tensor of any shape, or a tuple or dict of tensors; float32 or float64.
        t0: time at the start.
        **settings: ``method`` is ``"Rodas5P"`` by default; the steps of implicit solvers grow without bound as the
            state settles, those of explicit ones do not. It has settled where ``|dy/dt|`` is, in each component, at
            most ``atol`` plus ``rtol`` (or 100 rounding errors of the dtype, if that is more) times the largest that it
            was on the way. The rest is as for `odeint`, see `SolverSettings`; the Julia engine alone serves it.

    Returns:
        The steady state, of the structure of ``y0``.

    Raises:
        InputError, UnknownSolverError, UnsupportedError: as for `odeint`; also, in the backward pass, UnsupportedError
            where the Jacobian is singular, as it is where something is conserved.
        SolverError: it does not settle, within ``options={"maxiters": ...}`` or at all.

    Source: SciML's documentation, "Steady State Solvers" and "Sensitivity Algorithms for Nonlinear Problems".

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> inflow = torch.tensor(2.0, requires_grad=True)
        >>> level = pb.steady_state(lambda t, y: inflow - y**2, torch.ones(1))  # sqrt(inflow)
        >>> level.sum().backward()
    """
    return _solution("steady_state", func, y0, t0, settings).y


@between_graphs
@with_settings
def solve_steady_state(func: Dynamic, y0: State, *, t0: float = 0.0, **settings: Unpack[SteadySettings]) -> Solution:
    """Find it as `steady_state` does, and return a `Solution`, which says what ran."""
    return _solution("solve_steady_state", func, y0, t0, settings)


def _solution(function: str, func: Dynamic, y0: State, t0: float, settings: SteadySettings) -> Solution:
    checks.function(func, "func")
    start = checks.finite_time(t0, "t0", Structure.of(y0)).item()
    rules: SteadySettings = {"method": DEFAULT_METHOD}
    chosen = complete(function, SteadySettings, settings, rules, sensealg="SteadyStateAdjoint", kind="steady")
    prepared = prepare(func, y0, torch.tensor([start, FOREVER], dtype=torch.float64), chosen)
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
    structure = prepared.structure
    forever = torch.tensor(torch.inf, dtype=structure.dtype)
    return Solution(t=forever, y=values(ys[-1], structure), trajectory=trajectory, structure=structure)
