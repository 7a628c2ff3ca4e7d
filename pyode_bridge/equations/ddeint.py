"""Delay differential equations: `ddeint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives import transformed
from pyode_bridge.derivatives.captures import Outside
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.flow import joint_settings
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.delays import with_delays
from pyode_bridge.equations.past import DelayedDynamic, History, Lags, Past
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import solution_of
from pyode_bridge.errors import InputError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.settings import AdjointSettings, Settings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times

DEFAULT_METHOD = "MethodOfSteps(AutoTsit5(Rosenbrock23()))"


@between_graphs
@with_settings
def ddeint(
    func: DelayedDynamic,
    y0: State,
    t: Times,
    *,
    lags: Lags,
    history: History | None = None,
    **settings: Unpack[AdjointSettings],
) -> State:
    """Solve ``dy/dt = func(t, y, (y(t - lags[0]), y(t - lags[1]), ...))``, ``y(t[0]) = y0``.

    Solved by DelayDiffEq.jl (``python -m pyode_bridge install DelayDiffEq``), which follows the jumps of derivatives
    that the delays carry on from the start.

    Gradients reach ``y0``, ``t``, the lags, and whatever ``func`` and ``history`` use, by ``sensealg="DelayAdjoint"``:
    the adjoint equation, which sees later times where this one sees earlier ones, solved backwards by the method of
    steps (as in Zhu, Guo & Lin 2021, "Neural delay differential equations", for several lags).

    Args:
        func: maps a scalar tensor ``t``, the state, and a tuple of the states at each lag, to the state's derivative.
        y0: initial state, as for `odeint`.
        t: times, shape ``(T,)``, strictly increasing.
        lags: the delays, positive, in the units of ``t``: numbers or scalar tensors, or a tensor of shape ``(L,)``.
        history: maps a time before ``t[0]``, a scalar tensor, to the state; default: ``y0`` at all times.
        **settings: ``method`` is any solver of ordinary differential equations by name, ``"Tsit5"``, ``"Rodas5P"``, or
            ``"MethodOfSteps(Tsit5(), constrained=true)"``; by default ``"MethodOfSteps(AutoTsit5(Rosenbrock23()))"``.
            The rest is as for `odeint`, see `SolverSettings`; the Julia engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: the package is not installed; or a second derivative with respect to the lags or the times is
            required where the history does not end in ``y0``.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.ddeint(lambda t, y, past: -past[0], torch.ones(1), torch.linspace(0.0, 2.0, 21), lags=[1.0])
    """
    if levels.active():
        return _transformed(func, y0, t, lags, history, settings)
    return solution_of(prepared_dde("ddeint", func, y0, t, lags, history, settings)).y


@between_graphs
@with_settings
def solve_dde(
    func: DelayedDynamic,
    y0: State,
    t: Times,
    *,
    lags: Lags,
    history: History | None = None,
    **settings: Unpack[AdjointSettings],
) -> Solution:
    """Solve as `ddeint` does, and return a `Solution`, which says what ran."""
    return solution_of(prepared_dde("solve_dde", func, y0, t, lags, history, settings))


def prepared_dde(
    function: str,
    func: DelayedDynamic,
    y0: State,
    t: Times,
    lags: Lags,
    history: History | None,
    settings: AdjointSettings,
) -> Prepared:
    """Check everything; ``function`` is what the user called."""
    checks.function(func, "func", "t, y and the past")
    chosen = complete(function, AdjointSettings, settings, {"method": DEFAULT_METHOD}, kind="DDE")
    return _prepared(function, func, y0, t, lags, history, chosen)


def _prepared(
    function: str,
    func: DelayedDynamic,
    y0: State,
    t: Times,
    lags: Lags,
    history: History | None,
    settings: Settings,
) -> Prepared:
    """The same of settings that are complete."""
    delays, lag_tensor = _lags(lags)
    structure = Structure.of(y0)
    flat_y0 = structure.pack(y0).detach()
    past = Past(history, structure, flat_y0)

    def at_start(time: Tensor, y: Any) -> Any:
        states = (past(time - lag, time.item() - lag) for lag in delays)
        return func(time, y, tuple(map(structure.unpack_copy, states)))

    prepared = prepare(at_start, y0, t, settings, () if lag_tensor is None else (lag_tensor,))
    problem = prepared.problem
    if problem.dynamics.direction.decreases:
        raise InputError(f"{function} takes increasing times.")

    def solve(
        func: DelayedDynamic, z0: Tensor, t: Tensor, lags: Lags, history: History, used: Sequence[Tensor]
    ) -> Tensor:
        joint = _of_joint_states(settings, problem, len(z0) // len(flat_y0))
        made = _prepared(function, func, z0, t, lags, history, {**joint, "adjoint_params": used})
        return cast("Tensor", solution_of(made).y)

    return with_delays(prepared, func, past, delays, lag_tensor, solve)


def _of_joint_states(settings: Settings, problem: Problem, copies: int) -> Settings:
    """The same for so many states one after another, of which the user's functions know the first alone."""
    structure, tolerances = problem.dynamics.structure, problem.tolerances

    def without_norm(name: Literal["options", "adjoint_options"]) -> dict[str, object]:
        return {key: value for key, value in (settings[name] or {}).items() if key != "norm" or not callable(value)}

    flat: Settings = {
        **settings,
        "rtol": tolerances.rtol,
        "atol": tolerances.atol,
        "options": without_norm("options"),
        "adjoint_options": without_norm("adjoint_options"),
    }
    return joint_settings(flat, copies, lambda z: (structure.unpack(z[: structure.size]),))


def _transformed(
    func: DelayedDynamic, y0: State, t: Times, lags: Lags, history: History | None, settings: AdjointSettings
) -> State:
    """`ddeint` under torch's function transforms."""
    structure = Structure.of(y0)
    flat_y0, times = structure.pack(y0), checks.times(t, structure)[0]
    moving = [lags.reshape(-1)] if isinstance(lags, Tensor) else []
    if not moving and any(isinstance(lag, Tensor) for lag in lags):
        moving = [torch.stack([torch.as_tensor(lag).to(torch.float64).reshape(()) for lag in lags])]
    past = Past(history, structure, flat_y0)

    def at_start() -> tuple[Any, ...]:
        start = times[0].to(structure.time_dtype)
        delays = moving[0] if moving else lags
        states = (past.at((start - lag).to(start.dtype), start) for lag in delays)
        return start.clone(), structure.unpack_copy(flat_y0), tuple(map(structure.unpack_copy, states))

    functions = [Outside(func, at_start)]
    if history is not None:
        functions.append(Outside(history, lambda: (times[0].to(structure.time_dtype),)))

    def solve(func: DelayedDynamic, *given: Any) -> State:
        *before, y0, t, delays = given if moving else (*given, lags)
        return ddeint(func, y0, t, lags=delays, history=before[0] if before else None, **settings)

    return transformed.solved(solve, functions, structure, flat_y0, times, *moving)


def _lags(given: Lags) -> tuple[list[float], Tensor | None]:
    """The lags, and, where a gradient with respect to them may be wanted, as a tensor, shape ``(L,)``."""
    try:
        lags = [float(lag.detach() if isinstance(lag, Tensor) else lag) for lag in given]
    except (TypeError, ValueError, RuntimeError):
        lags = []
    if not lags or not all(0 < lag < float("inf") for lag in lags):
        raise InputError(f"lags is {given!r}; expected a list of positive numbers, the delays in the units of t.")
    if isinstance(given, Tensor):
        return lags, given.reshape(-1)
    if not any(isinstance(lag, Tensor) for lag in given):
        return lags, None
    return lags, torch.stack([torch.as_tensor(lag).to(torch.float64).reshape(()) for lag in given])
