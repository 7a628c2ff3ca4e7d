"""Explicit Runge-Kutta methods from torchdiffeq."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchdiffeq import odeint
from torchdiffeq._impl.fixed_grid import FixedGridODESolver
from torchdiffeq._impl.interp import _interp_evaluate
from torchdiffeq._impl.misc import Perturb
from torchdiffeq._impl.odeint import SOLVERS
from torchdiffeq._impl.rk_common import RKAdaptiveStepsizeODESolver, _runge_kutta_step, rk4_step_func

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration
from pyode_bridge.problem.problem import LOOKS, Happened, SolverStats

# Methods whose values between the steps are off by hundreds of tolerances: their steps end at the times.
POOR_BETWEEN = ("bosh3", "dopri8")

# torchdiffeq reports failures as assertions; their first words tell which.
FAILURES = {"underflow in dt": "DtLessThanMin", "max_num_steps exceeded": "MaxIters", "non-finite values": "Unstable"}


class _Counted(torch.nn.Module):
    """The right-hand side, counting evaluations and, by torchdiffeq's step callbacks, steps and the time reached."""

    def __init__(self, problem: InitialValueProblem) -> None:
        super().__init__()
        self.problem = problem
        self.nfe = 0
        self.accepted = 0
        self.rejected = 0
        self.t = problem.t[0].item()

    def forward(self, t: Tensor, y: Tensor, *, perturb: Perturb = Perturb.NONE) -> Tensor:
        self.nfe += 1
        return self.problem.f(t.item(), y)

    def integration(self, ys: Tensor | None, retcode: str) -> Integration:
        return Integration(ys, SolverStats(self.nfe, 0, self.accepted, self.rejected), retcode, self.t)


class _CountedAdaptive(_Counted):
    def callback_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
        # In place of torchdiffeq's own max_num_steps, which is that between two times.
        if self.accepted + self.rejected >= self.problem.options.maxiters:
            raise AssertionError("max_num_steps exceeded")

    def callback_accept_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
        self.accepted += 1
        self.t = (t0 + dt).item()

    def callback_reject_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
        self.rejected += 1


class _CountedFixed(_Counted):
    def callback_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
        self.t = t0.item()
        if not torch.isfinite(y0).all():
            raise AssertionError("non-finite values")
        self.accepted += 1


def adaptive(name: str, problem: InitialValueProblem) -> Integration:
    """The adaptive method of torchdiffeq called ``name``."""
    func, settings = _CountedAdaptive(problem), _settings(problem)
    if name in POOR_BETWEEN:
        settings["options"]["step_t"] = problem.t[1:]
    try:
        ys = odeint(func, problem.y0, problem.t, method=name, **settings)
    except AssertionError as error:
        return func.integration(None, _retcode(error))
    return _finished(func, ys)


def locate(name: str, problem: InitialValueProblem, happened: Happened) -> Integration:
    """Solve by an adaptive method until something has happened, as `Engine.locate` says; without values."""
    func, settings = _CountedAdaptive(problem), _settings(problem)
    options = settings.pop("options")
    solver = SOLVERS[name](func=func, y0=problem.y0, **settings, **options)
    end = problem.t[-1].item()
    try:
        solver._before_integrate(problem.t)
        while solver.rk_state.t1 < end:
            before = solver.rk_state
            solver.rk_state = solver._adaptive_step(before)
            if solver.rk_state.t1 == before.t1:  # rejected
                continue
            if not torch.isfinite(solver.rk_state.y1).all():
                return func.integration(None, "Unstable")
            step = _Step(solver, before, poor=name in POOR_BETWEEN)
            if _happened_within(happened, step, before.t1.item(), min(solver.rk_state.t1.item(), end)):
                break
    except AssertionError as error:
        return func.integration(None, _retcode(error))
    return func.integration(None, "Success")


class _Step:
    """The state at a time of the solver's last step, by its polynomial, or, if that is poor, by a shorter step."""

    def __init__(self, solver: RKAdaptiveStepsizeODESolver, before: Any, *, poor: bool) -> None:
        self._solver, self._before, self._poor = solver, before, poor

    def __call__(self, s: float) -> Tensor:
        solver, before = self._solver, self._before
        t, state = before.t1.new_tensor(s), solver.rk_state
        if t == state.t1:
            y = state.y1
        elif self._poor:
            y, *_ = _runge_kutta_step(solver.func, before.y1, before.f1, before.t1, t - before.t1, t, solver.tableau)
        else:
            y = _interp_evaluate(state.interp_coeff, state.t0, state.t1, t)
        return y  # type: ignore[no-any-return]


def _happened_within(happened: Happened, state: Callable[[float], Tensor], start: float, end: float) -> bool:
    """Ask about a step, as `Engine.locate` says."""
    resolution, earlier = math.ulp(max(abs(start), abs(end))), start
    for look in range(1, LOOKS + 1):
        later = end if look == LOOKS else start + (end - start) * look / LOOKS
        if happened(later, state(later)):
            while later - earlier > resolution:
                middle = earlier + (later - earlier) / 2
                if happened(middle, state(middle)):
                    later = middle
                else:
                    earlier = middle
            return True
        earlier = later
    return False


def _settings(problem: InitialValueProblem) -> dict[str, Any]:
    options: dict[str, Any] = {
        "norm": _block_norm(problem.blocks),
        "dtype": torch.float64,
    }
    if problem.options.dt is not None:
        options["first_step"] = problem.options.dt
    if problem.options.dtmin is not None:
        options["min_step"] = problem.options.dtmin
    if problem.options.dtmax is not None:
        options["max_step"] = problem.options.dtmax
    return {"rtol": problem.tolerances.rtol, "atol": problem.tolerances.atol, "options": options}


def fixed(name: str, problem: InitialValueProblem) -> Integration:
    """The fixed-step method of torchdiffeq called ``name``, stepping from time to time or by ``dt``."""
    func = _CountedFixed(problem)
    dt, span = problem.options.dt, (problem.t[-1] - problem.t[0]).item()
    steps = len(problem.t) - 1 if dt is None else span / dt
    if steps > problem.options.maxiters:  # torchdiffeq makes all times before the first step
        return func.integration(None, "MaxIters")
    options: dict[str, Any] = {"grid_constructor": lambda func, y0, t: _Times(t)}
    if dt is not None:
        equidistant = FixedGridODESolver._grid_constructor_from_step_size(dt)
        options = {"grid_constructor": lambda *args: _Times(equidistant(*args)), "interp": "cubic"}
    try:
        if name == "rk4":
            ys = _ClassicalRK4(func=func, y0=problem.y0, rtol=0.0, atol=0.0, **options).integrate(problem.t)
        else:
            ys = odeint(func, problem.y0, problem.t, method=name, options=options)
    except AssertionError as error:
        return func.integration(None, _retcode(error))
    return _finished(func, ys)


@dataclass(frozen=True)
class _Times:
    """Times of steps, each a tensor no sooner than its turn: a tensor's own iterator makes them all at once.

    They take eight bytes a step then, and not a thousand.
    """

    values: Tensor

    def __getitem__(self, index: int | slice) -> Any:
        found = self.values[index]
        return _Times(found) if isinstance(index, slice) else found

    def __iter__(self) -> Iterator[Tensor]:
        return (self.values[position] for position in range(len(self.values)))


class _ClassicalRK4(FixedGridODESolver):  # type: ignore[misc]
    """Kutta's classical method; torchdiffeq's own "rk4" is the 3/8 rule."""

    order = 4

    def _step_func(self, func: Any, t0: Tensor, dt: Tensor, t1: Tensor, y0: Tensor) -> tuple[Tensor, Tensor]:
        f0 = func(t0, y0)
        return rk4_step_func(func, t0, dt, t1, y0, f0=f0), f0


def _finished(func: _Counted, ys: Tensor) -> Integration:
    finite = torch.isfinite(ys).all(dim=-1)
    if finite.all():
        return func.integration(ys, "Success")
    func.t = func.problem.t[int(finite.long().argmin())].item()
    return func.integration(None, "Unstable")


def _retcode(error: AssertionError) -> str:
    for words, retcode in FAILURES.items():
        if str(error).startswith(words):
            return retcode
    raise error


def _block_norm(blocks: tuple[int, ...]) -> Any:
    """Of an error; without autograd, so that a discrete adjoint takes the lengths of steps for given."""

    @torch.no_grad()
    def norm(flat: Tensor) -> Tensor:
        parts = [part for part in torch.split(flat, list(blocks), dim=-1) if part.numel()]
        return torch.stack([part.square().mean().sqrt() for part in parts]).amax()

    return norm
