"""Implicit and high-order methods from SciPy, stepped one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import BDF, DOP853, LSODA, OdeSolver, Radau

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration
from pyode_bridge.problem.problem import SolverStats

Vector = npt.NDArray[np.float64]

SOLVERS: dict[str, type[OdeSolver]] = {"DOP853": DOP853, "Radau": Radau, "BDF": BDF, "LSODA": LSODA}
WITH_JACOBIAN = (Radau, BDF, LSODA)
OVERFLOWN = "array must not contain infs or NaNs"  # how the factorisation of a Jacobian that is not finite begins


def adaptive(name: str, problem: InitialValueProblem) -> Integration:
    """SciPy's solver class ``name``; it computes in float64 whatever the state's dtype."""
    dtype = problem.y0.dtype
    times = problem.t.numpy()
    solver = SOLVERS[name](
        _rhs(problem), times[0], problem.y0.double().numpy(), times[-1], **_options(SOLVERS[name], problem)
    )
    ys = np.empty((len(times), solver.n))
    ys[0] = solver.y
    filled, steps, retcode = 1, 0, "Success"
    while solver.status == "running" and retcode == "Success":
        if steps >= problem.options.maxiters:
            retcode = "MaxIters"
        elif not np.isfinite(solver.y).all():
            retcode = "Unstable"
        else:
            retcode = _stepped(solver)
            steps += 1
            reached = int(np.searchsorted(times, solver.t, side="right"))
            if retcode == "Success" and reached > filled:
                ys[filled:reached] = solver.dense_output()(times[filled:reached]).T
                filled = reached
    if retcode == "Success" and not np.isfinite(ys).all():
        retcode = "Unstable"
    values = torch.from_numpy(ys).to(dtype) if retcode == "Success" else None
    return Integration(values, SolverStats(int(solver.nfev), int(solver.njev), steps), retcode, float(solver.t))


def _stepped(solver: OdeSolver) -> str:
    """Step, and return how that went."""
    try:
        solver.step()
    except ValueError as error:
        if not str(error).startswith(OVERFLOWN):
            raise
        return "Unstable"
    return "DtLessThanMin" if solver.status == "failed" else "Success"


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
        "first_step": None if options.dt is None else min(options.dt, (problem.t[-1] - problem.t[0]).item()),
    }
    if solver is LSODA:
        values["min_step"] = options.dtmin or 0.0
    if jacobian is not None and solver in WITH_JACOBIAN:
        dtype = problem.y0.dtype
        values["jac"] = lambda t, y: jacobian(float(t), torch.from_numpy(y).to(dtype)).double().numpy()
    return values
