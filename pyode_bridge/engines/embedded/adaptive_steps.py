"""Explicit Runge-Kutta methods that adapt their steps, by torchdiffeq's machinery."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torchdiffeq._impl.misc import Perturb
from torchdiffeq._impl.odeint import SOLVERS
from torchdiffeq._impl.rk_common import RKAdaptiveStepsizeODESolver, _runge_kutta_step

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.steps import Ended, Evaluated, Polynomial, Step
from pyode_bridge.engines.embedded.torchdiffeqs import Heard
from pyode_bridge.engines.embedded.tsit5 import Tsit5

METHODS: dict[str, type[RKAdaptiveStepsizeODESolver]] = {
    **{name: SOLVERS[name] for name in ("dopri5", "bosh3", "adaptive_heun", "dopri8", "fehlberg2")},
    "tsit5": Tsit5,
}

# Methods whose values between the steps are off by hundreds of tolerances: their steps end at the times.
POOR_BETWEEN = ("bosh3", "dopri8")

ROUNDINGS = 10  # of time, that the first step is at least

# torchdiffeq reports failures as assertions; their first words tell which.
FAILURES = {"underflow in dt": "DtLessThanMin", "non-finite values": "Unstable"}


def steps(name: str, problem: InitialValueProblem, work: Work) -> Iterator[Step]:
    """The steps of torchdiffeq's method ``name``; the last may go beyond the end."""
    poor = name in POOR_BETWEEN
    start, *times = problem.t.tolist()
    stops = sorted(stop for stop in {*problem.stops, *problem.jumps, *(times if poor else ())} if stop > start)
    func = Heard(problem, work)
    solver = METHODS[name](func=func, y0=problem.y0, step_t=torch.tensor(stops, dtype=torch.float64), **_as(problem))
    solver._before_integrate(problem.t)
    least = max(
        problem.options.dtmin or 0.0, ROUNDINGS * torch.finfo(problem.t.dtype).eps * abs(problem.t).max().item()
    )
    solver.rk_state = solver.rk_state._replace(dt=solver.rk_state.dt.clamp(min=least))
    while solver.rk_state.t1 < problem.end:
        before = solver.rk_state
        if stops:  # torchdiffeq would look no further than a time that a step happens to meet
            solver.next_step_index = min(bisect_right(stops, before.t1.item()), len(stops) - 1)
        after = _tried(solver)
        if after.t1 == before.t1:  # rejected
            continue
        t1 = after.t1.item()
        if t1 in problem.jumps:
            after = after._replace(f1=func(t1, after.y1, perturb=Perturb.NEXT))
        solver.rk_state = after
        if poor:
            yield Evaluated(before.t1.item(), t1, after.y1, _Shorter(solver, before))
        else:
            yield Polynomial(before.t1.item(), t1, after.y1, after.interp_coeff)


def _tried(solver: RKAdaptiveStepsizeODESolver) -> Any:
    """The solver's state after another step."""
    try:
        solver.rk_state = solver._adaptive_step(solver.rk_state)
    except AssertionError as error:
        for words, retcode in FAILURES.items():
            if str(error).startswith(words):
                raise Ended(retcode) from None
        raise
    return solver.rk_state


class _Shorter:
    """The state at a time within a step, by a step that ends there."""

    def __init__(self, solver: RKAdaptiveStepsizeODESolver, before: Any) -> None:
        self._solver, self._before = solver, before

    def __call__(self, s: float) -> Tensor:
        before, solver = self._before, self._solver
        t: Tensor = before.t1.new_tensor(s)
        y: Tensor
        y, *_ = _runge_kutta_step(solver.func, before.y1, before.f1, before.t1, t - before.t1, t, solver.tableau)
        return y


def _as(problem: InitialValueProblem) -> dict[str, Any]:
    """Tolerances and options by torchdiffeq's names."""
    options = problem.options
    wanted = {
        "first_step": options.dt,
        "min_step": options.dtmin if options.force_dtmin else None,
        "max_step": options.dtmax,
        "safety": options.gamma,
        "ifactor": options.qmax,
        "dfactor": options.qmin,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return {"rtol": problem.tolerances.rtol, "atol": problem.tolerances.atol, "norm": problem.norm, **given}
