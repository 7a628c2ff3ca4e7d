"""Who takes part: each makes an `Entry` of a case, or raises SkipError with the reason."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchdiffeq
from scipy.integrate import solve_ivp
from torch import Tensor

import pyode_bridge as pb

from . import diffsl, gradients, handwritten, others, replay
from .cases import Case
from .entry import Entry, SkipError, training_step

warnings.filterwarnings("ignore", message=".*no effect for a chosen solver")  # torchdiffeq's over SciPy's

MAXITERS = 10_000_000
PACK = 128  # trajectories that share their steps
EMBEDDED_METHODS = ("DP5", "RadauIIA5")  # for what is not stiff, and what is


def bridge(
    case: Case,
    *,
    engine: str,
    lane: str = "auto",
    batched: bool = False,
    named: bool = True,
    sensealg: str | None = None,
    shared_steps: int | None = None,
) -> Entry:
    """pyode_bridge itself; ``batched`` takes an ensemble as one system, whose trajectories share their steps.

    Without a name for the method, the bridge chooses. So many trajectories have ``shared_steps``.
    """
    if (batched or shared_steps) and case.kind != "ensemble":
        raise SkipError("it is for ensembles")
    if sensealg is not None and case.kind != "training":
        raise SkipError("it is for training")
    method = case.method if engine == "julia" else EMBEDDED_METHODS[case.stiff]
    if not named:
        method = None
    settings: dict[str, Any] = {"method": method, "engine": engine, "lane": lane, "options": {"maxiters": MAXITERS}}
    settings |= {"rtol": case.rtol, "atol": case.atol, "sensealg": sensealg}
    if case.kind == "ensemble":
        return _ensemble(case, settings, batched, shared_steps)

    def values() -> Tensor:
        return pb.odeint(case.func, case.y0, case.t, **settings)

    return _torch_entry(_name(method), case, values)


def _name(method: str | None) -> str:
    return method or "none named"


def _ensemble(case: Case, settings: dict[str, Any], batched: bool, shared_steps: int | None) -> Entry:
    (p,) = case.weights
    method = _name(settings["method"])
    if batched:
        return _torch_entry(
            f"{method}, one system", case, lambda: pb.odeint(_together(case), case.y0, case.t, **settings)
        )
    if settings["lane"] != "compiled":
        raise SkipError("one trajectory after another takes minutes")
    if shared_steps:
        method, settings = f"{method}, packs of {shared_steps}", settings | {"shared_steps": shared_steps}
    return _torch_entry(method, case, lambda: pb.solve_ensemble(case.func, case.y0, case.t, p, **settings).y)


def _together(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    (p,) = case.weights
    return lambda t, y: case.func(t, y, p)


def _torch_entry(method: str, case: Case, values: Callable[[], Tensor]) -> Entry:
    """What torch's users do with the values at all times."""
    if case.kind == "training":
        parameters = tuple(case.func.parameters())  # type: ignore[attr-defined]
        return Entry(method, lambda: training_step(values, case.loss, parameters))

    def last() -> Tensor:
        with torch.no_grad():
            return values()[-1]

    return Entry(method, last)


def torchdiffeq_entry(case: Case, *, adjoint: bool = False, compiled: bool = False) -> Entry:
    if adjoint and case.kind != "training":
        raise SkipError("it is for training")
    solve = torchdiffeq.odeint_adjoint if adjoint else torchdiffeq.odeint
    settings: dict[str, Any] = {"method": "dopri5", "rtol": case.rtol, "atol": case.atol}
    if case.stiff:
        settings |= {"method": "scipy_solver", "options": {"solver": "Radau"}}
    func = _together(case) if case.kind == "ensemble" else case.func
    if compiled:
        func = torch.compile(func)
    method = "SciPy's Radau" if case.stiff else "dopri5, one system" if case.kind == "ensemble" else "dopri5"
    return _torch_entry(method, case, lambda: solve(func, case.y0, case.t, **settings))


def scipy_entry(case: Case, *, stiff_method: str) -> Entry:
    if case.kind != "forward":
        raise SkipError("it has no gradients" if case.kind == "training" else "one after another takes minutes")
    if not case.stiff and stiff_method != "Radau":
        raise SkipError("it is for stiff problems")
    import numpy as np

    method = stiff_method if case.stiff else "RK45"
    start, weights = case.y0.numpy(), [weight.numpy() for weight in case.weights]
    times = case.t.numpy()

    def f(_t: float, y: Any) -> Any:
        return case.side(np, y.astype(start.dtype, copy=False).reshape(start.shape), *weights).ravel()

    def last() -> Any:
        span = (times[0], times[-1])
        found = solve_ivp(f, span, start.ravel(), method=method, t_eval=times, rtol=case.rtol, atol=case.atol)
        if not found.success:
            raise SkipError(found.message)
        return found.y[:, -1]

    return Entry(method, last)


def handwritten_entry(case: Case) -> Entry:
    return gradients.entry(case, products="by_hand") if case.kind == "training" else handwritten.entry(case)


Contestant = Callable[[Case], Entry]

EVERYWHERE: dict[str, Contestant] = {
    "embedded": functools.partial(bridge, engine="embedded"),
    "torchdiffeq": torchdiffeq_entry,
    "torchdiffeq adjoint": functools.partial(torchdiffeq_entry, adjoint=True),
    "torchdiffeq compiled": functools.partial(torchdiffeq_entry, compiled=True),
    "torchode": others.torchode_entry,
    "diffrax": others.diffrax_entry,
    "diffrax direct": functools.partial(others.diffrax_entry, adjoint="DirectAdjoint"),
    "diffrax backsolve": functools.partial(others.diffrax_entry, adjoint="BacksolveAdjoint"),
    "SciPy": functools.partial(scipy_entry, stiff_method="Radau"),
    "SciPy LSODA": functools.partial(scipy_entry, stiff_method="LSODA"),
    "gradsolve": replay.entry,
    "gradsolve replay": functools.partial(replay.entry, record_once=True),
    "pydiffsol": diffsl.entry,
}
WITH_JULIA: dict[str, Contestant] = {
    "compiled": functools.partial(bridge, engine="julia", lane="compiled"),
    "unnamed": functools.partial(bridge, engine="julia", lane="compiled", named=False),
    "discrete": functools.partial(bridge, engine="julia", lane="compiled", sensealg="DiscreteAdjoint"),
    "callback": functools.partial(bridge, engine="julia", lane="callback"),
    "batched": functools.partial(bridge, engine="julia", lane="compiled", batched=True),
    "packs": functools.partial(bridge, engine="julia", lane="compiled", shared_steps=PACK),
    "handwritten": handwritten_entry,
    "SciML with Zygote": functools.partial(gradients.entry, products="by_zygote"),
    "diffeqpy": others.diffeqpy_entry,
}
WHAT = {
    "compiled": "pyode_bridge, dynamics translated to Julia",
    "unnamed": "the same without a name for the method",
    "discrete": "the same with the gradient of its steps, DiscreteAdjoint",
    "callback": "pyode_bridge, dynamics called back from Julia",
    "batched": "pyode_bridge, an ensemble as one system, translated to Julia",
    "packs": f"pyode_bridge, an ensemble in packs of {PACK} trajectories that share their steps",
    "embedded": "pyode_bridge without Julia",
    "handwritten": "Julia written by hand, in place, with its derivatives, timed inside Julia",
    "diffeqpy": "diffeqpy, with dynamics in Python",
    "torchdiffeq": "torchdiffeq's odeint",
    "torchdiffeq adjoint": "torchdiffeq's odeint_adjoint",
    "torchdiffeq compiled": "torchdiffeq's odeint over dynamics under torch.compile",
    "torchode": "torchode's AutoDiffAdjoint",
    "diffrax": "diffrax under jax.jit",
    "diffrax direct": "the same with its DirectAdjoint",
    "diffrax backsolve": "the same with its BacksolveAdjoint",
    "SciPy": "SciPy's solve_ivp over NumPy",
    "SciPy LSODA": "the same with LSODA",
    "gradsolve": "gradsolve's record of the steps and its replay under jax.jit, in double precision",
    "gradsolve replay": "the same without the record: the steps of an earlier solve",
    "pydiffsol": "pydiffsol, with dynamics in its language DiffSL",
    "SciML with Zygote": "SciMLSensitivity's adjoint in Julia, with Zygote for the derivatives of a network",
}
