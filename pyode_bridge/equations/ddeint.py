"""Delay differential equations: `ddeint`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import solution_of, without_gradients
from pyode_bridge.errors import InputError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Delays, Part
from pyode_bridge.problem.settings import ShownSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times

DEFAULT_METHOD = "MethodOfSteps(AutoTsit5(Rosenbrock23()))"

DelayedDynamic = Callable[[Tensor, Any, tuple[Any, ...]], State]
History = Callable[[Tensor], State]


@between_graphs
@with_settings
def ddeint(
    func: DelayedDynamic,
    y0: State,
    t: Times,
    *,
    lags: Sequence[float],
    history: History | None = None,
    **settings: Unpack[ShownSettings],
) -> State:
    """Solve ``dy/dt = func(t, y, (y(t - lags[0]), y(t - lags[1]), ...))``, ``y(t[0]) = y0``; without gradients.

    Solved by DelayDiffEq.jl (``python -m pyode_bridge install DelayDiffEq``), which follows the jumps of derivatives
    that the delays carry on from the start.

    Args:
        func: maps a scalar tensor ``t``, the state, and a tuple of the states at each lag, to the state's derivative.
        y0: initial state, as for `odeint`.
        t: times, shape ``(T,)``, strictly increasing.
        lags: the delays, positive, in the units of ``t``.
        history: maps a time before ``t[0]``, a scalar tensor, to the state; default: ``y0`` at all times.
        **settings: ``method`` is any solver of ordinary differential equations by name, ``"Tsit5"``, ``"Rodas5P"``, or
            ``"MethodOfSteps(Tsit5(), constrained=true)"``; by default ``"MethodOfSteps(AutoTsit5(Rosenbrock23()))"``.
            The rest is as for `odeint`, see `SolverSettings`; the Julia engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: a gradient is required, or the package is not installed.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.ddeint(lambda t, y, past: -past[0], torch.ones(1), torch.linspace(0.0, 2.0, 21), lags=[1.0])
    """
    return solution_of(prepared_dde("ddeint", func, y0, t, lags, history, settings)).y


@between_graphs
@with_settings
def solve_dde(
    func: DelayedDynamic,
    y0: State,
    t: Times,
    *,
    lags: Sequence[float],
    history: History | None = None,
    **settings: Unpack[ShownSettings],
) -> Solution:
    """Solve as `ddeint` does, and return a `Solution`, which says what ran."""
    return solution_of(prepared_dde("solve_dde", func, y0, t, lags, history, settings))


def prepared_dde(
    function: str,
    func: DelayedDynamic,
    y0: State,
    t: Times,
    lags: Sequence[float],
    history: History | None,
    settings: ShownSettings,
) -> Prepared:
    """Check everything; ``function`` is what the user called."""
    checks.function(func, "func", "t, y and the past")
    delays, structure = _lags(lags), Structure.of(y0)
    flat_y0 = structure.pack(y0).detach()

    def traced(s: float, time: Tensor, _: Tensor) -> Tensor:
        return _past(history, structure, flat_y0, s, time)

    def called(s: float, time: Tensor, _: Tensor) -> Tensor:
        flat = traced(s, time, _)
        checks.finite(flat, f"history(t) at t = {s:.6g}")
        return flat

    def past(t: float) -> Tensor:
        with torch.no_grad():
            return called(t, torch.tensor(t, dtype=structure.time_dtype, device=structure.device), flat_y0)

    def at_start(time: Tensor, y: Any) -> Any:
        return func(time, y, tuple(structure.unpack_copy(past(time.item() - lag)) for lag in delays))

    chosen = complete(function, ShownSettings, settings, {"method": DEFAULT_METHOD}, kind="DDE")
    prepared = prepare(at_start, y0, t, chosen)
    problem = prepared.problem
    if problem.dynamics.direction.decreases:
        raise InputError(f"{function} takes increasing times.")
    starts = [past(prepared.t[0].item() - lag) for lag in delays]
    form = Delays(
        _rhs(func, problem.dynamics, starts, problem.y0),
        delays,
        Part(called, (problem.y0,), len(flat_y0), traced),
        (func, flat_y0 if history is None else history),
    )
    return without_gradients(prepared, form, function)


def _rhs(func: DelayedDynamic, dynamics: Dynamics, starts: Sequence[Tensor], y0: Tensor) -> Part:
    structure = dynamics.structure

    def rhs(s: float, t: Tensor, delayed: Tensor, y: Tensor) -> Tensor:
        past = tuple(structure.unpack_copy(state) for state in delayed.view(len(starts), -1))
        return structure.pack_returned(func(t, structure.unpack_copy(y), past), "func(t, y, delayed)", s)

    return Part(rhs, (torch.cat(list(starts)), y0), len(y0))


def _past(history: History | None, structure: Structure, y0: Tensor, s: float, t: Tensor) -> Tensor:
    """The flat state at a time before the start."""
    return y0 if history is None else structure.pack_returned(history(t), "history(t)", s)


def _lags(given: Any) -> list[float]:
    try:
        lags = [float(lag) for lag in given]
    except (TypeError, ValueError):
        lags = []
    if not lags or not all(0 < lag < float("inf") for lag in lags):
        raise InputError(f"lags is {given!r}; expected a list of positive numbers, the delays in the units of t.")
    return lags
