"""Differential-algebraic equations in residual form: `daeint`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from typing_extensions import Unpack

from pyode_bridge.derivatives import transformed
from pyode_bridge.derivatives.captures import Outside
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.engines import select_engine
from pyode_bridge.equations.odeint import solve
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.residuals import with_residual
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import solution_of
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.problem import AS_ASKED
from pyode_bridge.problem.residual_states import ResidualFunction, ResidualStates, flat_residual
from pyode_bridge.problem.settings import (
    AdjointSettings,
    Algorithm,
    check_names,
    complete,
    with_settings,
)
from pyode_bridge.problem.state import State, Structure, Times

FormulationName: TypeAlias = Literal["residual", "mass_matrix"]

# Formulations, each with the solver to take where none is named.
DEFAULT_METHODS: dict[FormulationName, str] = {"residual": "DFBDF", "mass_matrix": "Rodas5P"}


@dataclass(frozen=True, eq=False, repr=False)
class DAESolution(Solution):
    """A `Solution` of a differential-algebraic equation, which says in which formulation it was solved.

    Attributes:
        formulation: ``"residual"``, or ``"mass_matrix"``, with the derivatives as states.
        formulation_reason: why this one, in words.
    """

    formulation: FormulationName
    formulation_reason: str

    def _extent(self) -> str:
        return f"formulation={self.formulation}, {super()._extent()}"

    def _facts(self) -> dict[str, str]:
        return {**super()._facts(), "formulation": f"{self.formulation}: {self.formulation_reason}"}


@between_graphs
@with_settings
def daeint(
    residual: ResidualFunction,
    y0: State,
    t: Times,
    *,
    dy0: State | None = None,
    differential: State | None = None,
    formulation: FormulationName | None = None,
    **settings: Unpack[AdjointSettings],
) -> State:
    """Solve ``0 = residual(t, y, dy/dt)``, ``y(t[0]) = y0``, at the times ``t``.

    There are two formulations: solvers for the residual itself solve that, and solvers of `odeint` for stiff equations
    the equation that has the derivatives among its states, and a mass matrix, which is larger. ``formulation`` says
    which one; without it, it is that which ``method`` solves, and `DAESolution.formulation` of `solve_dae` says which
    one ran, and why.

    Gradients reach the differential components of ``y0``, all that ``residual`` uses, and, with the residual, ``t``.
    The adjoint is that of the ordinary equation over the differential components which a residual of index 1 implies,
    by the implicit function theorem; Newton's method finds their derivatives, from what the solver found.

    Args:
        residual: maps a scalar tensor ``t``, the state and its derivative to a tensor, tuple or dict as the state is.
        y0: initial state, as for `odeint`. Its differential components are kept; the algebraic ones, and all
            derivatives, are found from the equation, from what is given here as a first guess.
        t: times, shape ``(T,)``, strictly monotone.
        dy0: the derivative at the start, or a guess, as the state is; default: zero.
        differential: which components are differential, of the state's structure and non-zero there; default: those
            whose derivative the residual depends on at the start.
        formulation: ``"residual"`` or ``"mass_matrix"``; a ``method`` that is not one for it is refused. Default: that
            which the ``method`` is for, and the residual where none is named.
        **settings: ``method`` is, for the residual, ``"DFBDF"`` (the default), ``"DImplicitEuler"``, ``"DABDF2"``, or
            ``"IDA"`` of Sundials (``python -m pyode_bridge install Sundials``); for the mass matrix, ``"Rodas5P"`` (the
            default), ``"FBDF"`` or another that takes one. The rest is as for `odeint`, see `SolverSettings`; the Julia
            engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: the method is not one for the formulation.

    Source: DifferentialEquations.jl, "DAE Problems".

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> circle = lambda t, y, dy: torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])
        >>> y0 = torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> y = pb.daeint(circle, y0, torch.linspace(0.0, 1.0, 11))
    """
    if levels.active():
        return _transformed(residual, y0, t, dy0, differential, formulation, settings)
    return _solution("daeint", residual, y0, t, dy0, differential, formulation, settings).y


@between_graphs
@with_settings
def solve_dae(
    residual: ResidualFunction,
    y0: State,
    t: Times,
    *,
    dy0: State | None = None,
    differential: State | None = None,
    formulation: FormulationName | None = None,
    **settings: Unpack[AdjointSettings],
) -> DAESolution:
    """Solve as `daeint` does, and return a `DAESolution`, which says what ran, and in which formulation."""
    return _solution("solve_dae", residual, y0, t, dy0, differential, formulation, settings)


def _solution(
    function: str,
    residual: ResidualFunction,
    y0: State,
    t: Times,
    dy0: State | None,
    differential: State | None,
    formulation: FormulationName | None,
    settings: AdjointSettings,
) -> DAESolution:
    check_names(function, AdjointSettings, settings)
    checks.function(residual, "residual", "t, y and dy")
    structure = Structure.of(y0)
    if structure.is_complex:
        raise InputError(f"{function} takes a real state; give real and imaginary parts as components.")
    times, flat_y0 = checks.times(t, structure)[0], structure.pack(y0)
    checks.finite(flat_y0, "y0")
    slope = torch.zeros_like(flat_y0).detach() if dy0 is None else _like_state(dy0, structure, "dy0")
    if differential is None:
        flags = _has_derivative(residual, structure, times[0].detach(), flat_y0.detach(), slope)
    else:
        flags = _like_state(differential, structure, "differential").ne(0)
    chosen, reason = _formulation(settings, formulation)
    if settings.get("method") is None:
        settings["method"] = DEFAULT_METHODS[chosen]
    if chosen == "mass_matrix":
        states = ResidualStates(residual, structure, flags)
        solution = _with_derivatives(states, structure, flat_y0, slope, times, settings)
    else:
        completed = complete(function, AdjointSettings, settings, kind="DAE")
        prepared = prepare(lambda time, y: residual(time, y, structure.unpack_copy(slope)), y0, t, completed)
        solution = solution_of(with_residual(prepared, residual, slope, flags))
    return DAESolution(solution.t, solution.y, solution.trajectory, solution.structure, chosen, reason)


def _transformed(
    residual: ResidualFunction,
    y0: State,
    t: Times,
    dy0: State | None,
    differential: State | None,
    formulation: FormulationName | None,
    settings: AdjointSettings,
) -> State:
    """`daeint` under torch's function transforms."""
    structure = Structure.of(y0)
    flat_y0, times = structure.pack(y0), checks.times(t, structure)[0]
    slope = structure.unpack(torch.zeros_like(flat_y0)) if dy0 is None else dy0
    functions = [Outside(residual, lambda: (times[0], structure.unpack_copy(flat_y0), slope))]

    def solve(residual: ResidualFunction, y0: State, t: Tensor) -> State:
        return daeint(residual, y0, t, dy0=dy0, differential=differential, formulation=formulation, **settings)

    return transformed.solved(solve, functions, structure, flat_y0, times)


def _has_derivative(residual: ResidualFunction, structure: Structure, t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """Which components the residual takes the derivative of, shape ``(n,)``."""
    derivatives = jacobian(lambda point: flat_residual(residual, structure, t, y, point), slope)  # type: ignore[no-untyped-call]
    flags: Tensor = derivatives.ne(0).any(0)
    return flags


def _formulation(settings: AdjointSettings, asked: FormulationName | None) -> tuple[FormulationName, str]:
    """The formulation, and why this one."""
    if asked is not None and asked not in DEFAULT_METHODS:
        raise InputError(f"formulation is {asked!r}; expected one of {', '.join(map(repr, DEFAULT_METHODS))}.")
    method = settings.get("method")
    if method is None:
        return asked or "residual", AS_ASKED if asked else "no method is named"
    suits: FormulationName = "residual" if _takes_residuals(method, settings) else "mass_matrix"
    if asked is not None and asked != suits:
        raise UnsupportedError(
            f"formulation={asked!r} cannot be solved by {method}, which is a solver for formulation={suits!r}; name "
            f"another, such as {DEFAULT_METHODS[asked]!r}."
        )
    return suits, AS_ASKED if asked else f"{method} is a solver for it"


def _takes_residuals(method: str | Algorithm, settings: AdjointSettings) -> bool:
    """Whether a solver is one for residuals; raises where it is one for nothing that `daeint` solves."""
    chosen = select_engine(settings.get("engine"), settings.get("isolation"))
    try:
        chosen.check(as_method(method, "DAE"), None)
    except UnsupportedError:
        chosen.check(as_method(method), None)
        return False
    return True


def _with_derivatives(
    states: ResidualStates, structure: Structure, y0: Tensor, dy0: Tensor, times: Tensor, settings: AdjointSettings
) -> Solution:
    """Solve the equation that has the derivatives among its states."""
    start = states.start(times[0], y0, dy0)
    of_states: AdjointSettings = {
        **settings,
        "rtol": states.bound(checks.tolerance(settings.get("rtol"), structure, "rtol")),
        "atol": states.bound(checks.tolerance(settings.get("atol"), structure, "atol")),
    }
    solution = solve(states, start, times, mass_matrix=states.mass_matrix, **of_states)
    assert isinstance(solution.y, Tensor)
    y = structure.unpack(solution.y[:, : structure.size].contiguous())
    return replace(solution, y=y, structure=structure)


def _like_state(given: Any, structure: Structure, name: str) -> Tensor:
    if isinstance(given, Tensor) and not given.is_floating_point():
        given = given.to(structure.dtype)
    problem = structure.mismatch(given)
    if problem is not None:
        raise InputError(f"{name} is {problem}.")
    flat = structure.pack(given).detach()
    checks.finite(flat, name)
    return flat
