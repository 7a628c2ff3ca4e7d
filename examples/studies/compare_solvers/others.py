"""Solvers of other libraries, in the same picture; their right-hand sides are written in torch but for diffrax's."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from examples.support.problems import arrays
from examples.support.problems.problem import Problem

MOST_STEPS = 1_000_000  # that diffrax may take
SIDES = {  # of diffrax's problems
    "Lotka-Volterra": arrays.lotka_volterra,
    "Lorenz": arrays.lorenz,
    "Kepler": arrays.kepler,
    "ROBER": arrays.rober,
    "OREGO": arrays.orego,
    "VDPOL": arrays.vdpol,
    "HIRES": arrays.hires,
}

Solver = Callable[[float], tuple[Tensor, int | None]]  # of a tolerance: the last state, and evaluations if known


class FailedError(RuntimeError):
    """Another library's solver did not come to the end, with what it says."""


def torchdiffeq_solver(problem: Problem, method: str) -> Solver:
    import torchdiffeq

    def solve(rtol: float) -> tuple[Tensor, int | None]:
        counted = Counted(problem.f)
        y = torchdiffeq.odeint(
            counted, problem.start(), problem.times(), method=method, rtol=rtol, atol=problem.atol_at(rtol)
        )
        return y[-1], counted.calls

    return solve


def torchode_solver(problem: Problem, method: str) -> Solver:
    import torchode

    def solve(rtol: float) -> tuple[Tensor, int | None]:
        counted = Counted(problem.f)
        term = torchode.ODETerm(lambda t, y: counted(t[0], y[0])[None])
        controller = torchode.IntegralController(atol=problem.atol_at(rtol), rtol=rtol, term=term)
        solver = torchode.AutoDiffAdjoint(getattr(torchode, method)(term=term), controller)
        start = torchode.InitialValueProblem(y0=problem.start()[None], t_eval=problem.times()[None])
        found = solver.solve(start)
        if int(found.status[0]) != 0:
            raise FailedError(f"torchode ended with status {int(found.status[0])}")
        return found.ys[0, -1], counted.calls

    return solve


def scipy_solver(problem: Problem, method: str) -> Solver:
    from scipy.integrate import solve_ivp

    def f(t: float, y: Any) -> Any:
        return problem.f(torch.tensor(t), torch.from_numpy(y)).numpy()

    def solve(rtol: float) -> tuple[Tensor, int | None]:
        span, atol = (0.0, problem.t_end), problem.atol_at(rtol)
        found = solve_ivp(f, span, np.array(problem.y0), method=method, rtol=rtol, atol=atol)
        if not found.success:
            raise FailedError(found.message)
        return torch.from_numpy(found.y[:, -1]), found.nfev

    return solve


def diffrax_solver(problem: Problem, method: str) -> Solver:
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)
    side = SIDES[problem.name]
    y0 = jax.numpy.asarray(problem.y0)

    @jax.jit
    def run(rtol: float, atol: float) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: side(jax.numpy, y)),
            getattr(diffrax, method)(),
            t0=0.0,
            t1=problem.t_end,
            dt0=None,
            y0=y0,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=MOST_STEPS,
            throw=False,
        )

    def solve(rtol: float) -> tuple[Tensor, int | None]:
        found = jax.block_until_ready(run(rtol, problem.atol_at(rtol)))
        if found.result != diffrax.RESULTS.successful:
            raise FailedError(diffrax.RESULTS[found.result])
        return torch.from_numpy(np.array(found.ys[-1])), None

    return solve


class Counted:
    """A right-hand side that counts its calls."""

    def __init__(self, f: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.f = f
        self.calls = 0

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return self.f(t, y)


LIBRARIES: dict[str, tuple[str, Callable[[Problem, str], Solver]]] = {  # the module, and what makes its solvers
    "torchdiffeq": ("torchdiffeq", torchdiffeq_solver),
    "torchode": ("torchode", torchode_solver),
    "SciPy": ("scipy", scipy_solver),
    "diffrax": ("diffrax", diffrax_solver),
}
METHODS = {  # by whether the problem is stiff
    False: {
        "torchdiffeq": ("dopri5", "dopri8"),
        "torchode": ("Tsit5",),
        "SciPy": ("RK45", "DOP853"),
        "diffrax": ("Tsit5", "Dopri8"),
    },
    True: {"SciPy": ("Radau", "BDF", "LSODA"), "diffrax": ("Kvaerno5",)},
}


def installed(libraries: list[str] | None) -> list[str]:
    """Those of ``libraries``, or of all where it is None, that are installed."""
    return [
        name
        for name in (LIBRARIES if libraries is None else libraries)
        if importlib.util.find_spec(LIBRARIES[name][0]) is not None
    ]


def solvers_of(problem: Problem, libraries: list[str]) -> dict[str, Callable[[], Solver]]:
    """What makes each solver that other libraries have for a problem, by its name in tables."""
    return {
        f"{library} {method}": functools.partial(LIBRARIES[library][1], problem, method)
        for library, methods in METHODS[problem.stiff].items()
        if library in libraries and (library != "diffrax" or problem.name in SIDES)
        for method in methods
    }
