"""Differential-algebraic equations in residual form: `daeint`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.engines import select_engine
from pyode_bridge.equations.odeint import odeint, run_forward
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.residual_states import ResidualFunction, ResidualStates, flat_residual
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Residual
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.settings import (
    Algorithm,
    EngineName,
    ShownSettings,
    check_names,
    complete,
    with_settings,
)
from pyode_bridge.problem.state import State, Structure, Times

DEFAULT_METHOD = "DFBDF"


@between_graphs
@with_settings
def daeint(
    residual: ResidualFunction,
    y0: State,
    t: Times,
    *,
    dy0: State | None = None,
    differential: State | None = None,
    **settings: Unpack[ShownSettings],
) -> State:
    """Solve ``0 = residual(t, y, dy/dt)``, ``y(t[0]) = y0``, at the times ``t``.

    With a solver of `odeint` for stiff equations, the derivatives become states of an equation with a mass matrix, and
    there are gradients, with respect to the differential components of ``y0`` and all parameters in ``residual``.
    Solvers for the residual itself have none.

    Args:
        residual: maps a scalar tensor ``t``, the state and its derivative to a tensor, tuple or dict as the state is.
        y0: initial state, as for `odeint`. Its differential components are kept; the algebraic ones, and all
            derivatives, are found from the equation, from what is given here as a first guess.
        t: times, shape ``(T,)``, strictly monotone.
        dy0: the derivative at the start, or a guess, as the state is; default: zero.
        differential: which components are differential, of the state's structure and non-zero there; default: those
            whose derivative the residual depends on at the start.
        **settings: ``method`` is, for the residual, ``"DFBDF"`` (the default), ``"DImplicitEuler"``, ``"DABDF2"``, or
            ``"IDA"`` of Sundials (``python -m pyode_bridge install Sundials``); for gradients, one that takes a mass
            matrix, such as ``"Rodas5P"`` or ``"FBDF"``. The rest is as for `odeint`, see `SolverSettings`; the Julia
            engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: a gradient is required, and the solver is one for the residual itself.

    Source: DifferentialEquations.jl, "DAE Problems".

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> circle = lambda t, y, dy: torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])
        >>> y0 = torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> y = pb.daeint(circle, y0, torch.linspace(0.0, 1.0, 11))
    """
    check_names("daeint", ShownSettings, settings)
    checks.function(residual, "residual", "t, y and dy")
    structure = Structure.of(y0)
    if structure.is_complex:
        raise InputError("daeint takes a real state; give real and imaginary parts as components.")
    times, flat_y0 = checks.times(t, structure)[0], structure.pack(y0)
    checks.finite(flat_y0, "y0")
    slope = torch.zeros_like(flat_y0).detach() if dy0 is None else _like_state(dy0, structure, "dy0")
    if differential is None:
        start, values = times[0].detach(), flat_y0.detach()
        derivatives = jacobian(lambda point: flat_residual(residual, structure, start, values, point), slope)  # type: ignore[no-untyped-call]
        flags = derivatives.ne(0).any(0)
    else:
        flags = _like_state(differential, structure, "differential").ne(0)
    if not _takes_residuals(settings.get("method"), settings.get("engine")):
        states = ResidualStates(residual, structure, flags)
        return _with_derivatives(states, structure, flat_y0, slope, times, settings)
    chosen = complete("daeint", ShownSettings, settings, {"method": DEFAULT_METHOD}, kind="DAE")
    prepared = prepare(lambda time, y: residual(time, y, structure.unpack_copy(slope)), y0, t, chosen)
    dynamics = prepared.problem.dynamics
    function = _Residual(residual, dynamics)
    return run_forward(
        prepared,
        Residual(function, function.jacobian, dynamics.sign * slope, flags.tolist()),
        "daeint with a solver for the residual itself",
        "name one that takes a mass matrix, such as method='Rodas5P'",
    )


def _takes_residuals(method: str | Algorithm | None, engine: EngineName | None) -> bool:
    """Whether a solver is one for residuals; raises where it is one for nothing that `daeint` solves."""
    if method is None:
        return True
    chosen = select_engine(engine)
    try:
        chosen.check(as_method(method, "DAE"), None)
    except UnsupportedError:
        chosen.check(as_method(method), None)
        return False
    return True


def _with_derivatives(
    states: ResidualStates,
    structure: Structure,
    y0: Tensor,
    dy0: Tensor,
    times: Tensor,
    settings: ShownSettings,
) -> State:
    """Solve the equation that has the derivatives among its states."""
    bounds: ShownSettings = {
        "rtol": states.bound(checks.tolerance(settings.get("rtol"), structure, "rtol")),
        "atol": states.bound(checks.tolerance(settings.get("atol"), structure, "atol")),
    }
    start = states.start(times[0], y0, dy0)
    steps: ShownSettings = {**settings, **bounds}
    values = odeint(states, start, times, mass_matrix=states.mass_matrix, **steps)
    assert isinstance(values, Tensor)
    return structure.unpack(values[:, : structure.size].contiguous())


class _Residual:
    """The residual over flat vectors, in a time that increases: there ``dy/dt = sign * dy/ds``."""

    def __init__(self, residual: ResidualFunction, dynamics: Dynamics) -> None:
        self._residual = residual
        self._dynamics = dynamics

    def __call__(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        """The residual at time ``s``, without autograd."""
        self._dynamics.visit(s)
        with torch.no_grad():
            return self._evaluate(s, slope, y)

    def jacobian(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        """Both Jacobians, each column by column: with respect to the state, then to its derivative."""
        both = jacobian(lambda *point: self._evaluate(s, *point), (slope.clone(), y.clone()))  # type: ignore[no-untyped-call]
        to_slope, to_state = both
        return torch.stack([to_state.mT, to_slope.mT]).reshape(-1)

    def _evaluate(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        dynamics = self._dynamics
        return flat_residual(self._residual, dynamics.structure, dynamics.time(s), y, dynamics.sign * slope)


def _like_state(given: Any, structure: Structure, name: str) -> Tensor:
    if isinstance(given, Tensor) and not given.is_floating_point():
        given = given.to(structure.dtype)
    problem = structure.mismatch(given)
    if problem is not None:
        raise InputError(f"{name} is {problem}.")
    flat = structure.pack(given).detach()
    checks.finite(flat, name)
    return flat
