"""Solvers from SciPy; they compute in float64 whatever the state's dtype."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import BDF, DOP853, LSODA, RK23, RK45, OdeSolver, Radau
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.steps import Ended, Evaluated, Step
from pyode_bridge.errors import OptionWarning

Vector = npt.NDArray[np.float64]

SOLVERS: dict[str, type[OdeSolver]] = {
    "RK45": RK45,
    "RK23": RK23,
    "DOP853": DOP853,
    "Radau": Radau,
    "BDF": BDF,
    "LSODA": LSODA,
}
WITH_JACOBIAN = (Radau, BDF, LSODA)
OVERFLOWN = "array must not contain infs or NaNs"  # how the factorisation of a Jacobian that is not finite begins


def steps(name: str, problem: InitialValueProblem, work: Work) -> Iterator[Step]:
    """Those of SciPy's solver class ``name``."""
    kind, dtype = SOLVERS[name], problem.y0.dtype
    work.rejected = None  # which it does not tell
    solver = kind(
        _rhs(problem), problem.t[0].item(), problem.y0.double().numpy(), problem.end, **_options(kind, problem)
    )
    while solver.status == "running":
        if work.accepted >= problem.options.maxiters:
            raise Ended("MaxIters")
        try:
            _step(solver)
        finally:
            work.nfe, work.njac = int(solver.nfev), int(solver.njev)
        work.accepted += 1
        y1 = torch.from_numpy(np.array(solver.y)).to(dtype)
        yield Evaluated(solver.t_old, solver.t, y1, _between(solver, dtype, kept=problem.dense))


def _step(solver: OdeSolver) -> None:
    try:
        solver.step()
    except ValueError as error:
        if not str(error).startswith(OVERFLOWN):
            raise
        raise Ended("Unstable") from None
    if solver.status == "failed":
        raise Ended("DtLessThanMin")


def _between(solver: OdeSolver, dtype: torch.dtype, *, kept: bool) -> Callable[[float], Tensor]:
    """The solution within the last step, for as long as it is that, or to be kept."""
    found = [solver.dense_output()] if kept else []

    def state(s: float) -> Tensor:
        if not found:
            found.append(solver.dense_output())
        return torch.from_numpy(found[0](s)).to(dtype)

    return state


def _rhs(problem: InitialValueProblem) -> Any:
    dtype = problem.y0.dtype

    def f(t: float, y: Vector) -> Vector:
        return problem.f(float(t), torch.from_numpy(y).to(dtype)).double().numpy()

    return f


def _options(solver: type[OdeSolver], problem: InitialValueProblem) -> dict[str, Any]:
    tolerances, options, jacobian = problem.tolerances, problem.options, problem.jacobian
    values: dict[str, Any] = {
        "rtol": np.asarray(tolerances.rtol),
        "atol": np.asarray(tolerances.atol),
        "max_step": options.dtmax or np.inf,
        "first_step": None if options.dt is None else min(options.dt, problem.end - problem.t[0].item()),
    }
    if solver is LSODA:
        values["min_step"] = options.dtmin or 0.0
    elif options.dtmin is not None:
        warnings.warn(
            f"SciPy's {solver.__name__} has no least step: min_step is left out.", OptionWarning, stacklevel=2
        )
    if jacobian is not None and solver in WITH_JACOBIAN:
        dtype = problem.y0.dtype
        values["jac"] = lambda t, y: jacobian(float(t), torch.from_numpy(y).to(dtype)).double().numpy()
    return values
