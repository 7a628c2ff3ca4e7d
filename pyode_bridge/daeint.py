"""Differential-algebraic equations in residual form: `daeint`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pyode_bridge import checks
from pyode_bridge.compilation import between_graphs
from pyode_bridge.dynamics import Dynamics
from pyode_bridge.errors import InputError
from pyode_bridge.forms import Residual
from pyode_bridge.odeint import run_forward
from pyode_bridge.preparation import Settings, prepare
from pyode_bridge.state import State, Structure

DEFAULT_METHOD = "DFBDF"

ResidualFunction = Callable[[Tensor, Any, Any], Any]


@between_graphs
def daeint(
    residual: ResidualFunction,
    y0: State,
    t: Tensor,
    *,
    dy0: State | None = None,
    differential: State | None = None,
    method: Any = None,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    options: Mapping[str, Any] | None = None,
    engine: str | None = None,
    progress: bool = False,
) -> State:
    """Solve ``0 = residual(t, y, dy/dt)``, ``y(t[0]) = y0``, at the times ``t``; without gradients.

    For ``M dy/dt = f(t, y)``, `odeint` with a mass matrix has more solvers, and gradients.

    Args:
        residual: maps a scalar tensor ``t``, the state and its derivative to a tensor, tuple or dict as the state is.
        y0: initial state, as for `odeint`. Its differential components are kept; the algebraic ones, and all
            derivatives, are found from the equation, from what is given here as a first guess.
        t: times, shape ``(T,)``, strictly monotone.
        dy0: the derivative at the start, or a guess, as the state is; default: zero.
        differential: which components are differential, of the state's structure and non-zero there; default: those
            whose derivative the residual depends on at the start.
        method: ``"DFBDF"`` (the default), ``"DImplicitEuler"``, ``"DABDF2"``, or ``"IDA"`` of Sundials
            (``python -m pyode_bridge install Sundials``).
        rtol, atol, options, engine, progress: as for `odeint`; the Julia engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: a gradient is required.

    Source: DifferentialEquations.jl, "DAE Problems".

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> circle = lambda t, y, dy: torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])
        >>> y0 = torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> y = pb.daeint(circle, y0, torch.linspace(0.0, 1.0, 11))
    """
    checks.function(residual, "residual", "t, y and dy")
    slope = _zeros(Structure.of(y0)) if dy0 is None else dy0
    settings = Settings(
        rtol=rtol,
        atol=atol,
        method=DEFAULT_METHOD if method is None else method,
        options=options,
        engine=engine,
        progress=progress,
        kind="DAE",
    )
    prepared = prepare(lambda time, y: residual(time, y, slope), y0, t, settings)
    dynamics, structure = prepared.problem.dynamics, prepared.structure
    flat_slope = dynamics.sign * _like_state(slope, dynamics, "dy0")
    function = _Residual(residual, dynamics)
    if differential is None:
        start = prepared.problem.t[0].item()
        flags = function.to_slope(start, flat_slope, prepared.problem.y0).ne(0).any(0)
    else:
        flags = _like_state(differential, dynamics, "differential").ne(0)
    if structure.is_complex:
        raise InputError("daeint takes a real state; give real and imaginary parts as components.")
    form = Residual(function, function.jacobian, flat_slope, flags.tolist())
    return run_forward(prepared, form, "daeint")


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
        return torch.stack([self.to_state(s, slope, y).mT, self.to_slope(s, slope, y).mT]).reshape(-1)

    def to_state(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        """``∂F/∂y``, shape ``(n, n)``."""
        return self._derivative(lambda point: self._evaluate(s, slope, point), y)

    def to_slope(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        """``∂F/∂(dy/ds)``, shape ``(n, n)``."""
        return self._derivative(lambda point: self._evaluate(s, point, y), slope)

    def _derivative(self, function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
        with torch.enable_grad():
            return torch.autograd.functional.jacobian(function, point.clone())  # type: ignore[no-any-return, no-untyped-call]

    def _evaluate(self, s: float, slope: Tensor, y: Tensor) -> Tensor:
        dynamics, structure = self._dynamics, self._dynamics.structure
        value = self._residual(dynamics.time(s), structure.unpack(y), structure.unpack(dynamics.sign * slope))
        return structure.pack_returned(value, "residual(t, y, dy)", dynamics.sign * s)


def _like_state(given: Any, dynamics: Dynamics, name: str) -> Tensor:
    structure = dynamics.structure
    if isinstance(given, Tensor) and not given.is_floating_point():
        given = given.to(structure.dtype)
    problem = structure.mismatch(given)
    if problem is not None:
        raise InputError(f"{name} is {problem}.")
    flat = structure.pack(given).detach()
    checks.finite(flat, name)
    return flat


def _zeros(structure: Structure) -> State:
    return structure.unpack(torch.zeros(structure.size, dtype=structure.dtype, device=structure.device))
