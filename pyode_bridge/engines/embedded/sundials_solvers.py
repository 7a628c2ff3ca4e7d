"""CVODE from SUNDIALS, through scikit-sundae (the extra ``pyode_bridge[sundials]``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.problem import SolverStats

Vector = npt.NDArray[np.float64]

# CVODE's return flags (SUNDIALS user guide, "CVode").
RETCODES = {-1: "MaxIters", -2: "Failure", -3: "DtLessThanMin", -4: "ConvergenceFailure"}


def adaptive(name: str, problem: InitialValueProblem) -> Integration:
    """CVODE with the linear multistep method ``name``, ``"BDF"`` or ``"Adams"``; it computes in float64."""
    from sksundae.cvode import CVODE

    times = problem.t.numpy()
    solver = CVODE(_rhs(problem), method=name, **_options(problem))
    result = solver.init_step(times[0], problem.y0.double().numpy())
    values, steps = [result.y], 0
    for time in times[1:]:
        while result.t < time and result.success:
            if steps >= problem.options.maxiters:  # CVODE's own max_num_steps is that between two times
                return Integration(None, _stats(result, steps), "MaxIters", float(result.t))
            result = solver.step(times[-1], method="onestep", tstop=times[-1])
            steps += 1
        if not result.success:
            return Integration(None, _stats(result, steps), RETCODES.get(result.status, "Failure"), float(result.t))
        values.append(solver.step(time, method="normal", tstop=times[-1]).y)  # it has been there: this interpolates
    ys = torch.from_numpy(np.stack(values)).to(problem.y0.dtype)
    retcode = "Success" if torch.isfinite(ys).all() else "Unstable"
    return Integration(ys if retcode == "Success" else None, _stats(result, steps), retcode, float(result.t))


def _stats(result: Any, steps: int) -> SolverStats:
    return SolverStats(int(result.nfev), int(result.njev), steps)


def _rhs(problem: InitialValueProblem) -> Any:
    dtype = problem.y0.dtype

    def f(t: float, y: Vector, dy: Vector) -> None:
        dy[:] = problem.f(float(t), torch.tensor(y, dtype=dtype)).numpy()

    return f


def _options(problem: InitialValueProblem) -> dict[str, Any]:
    tolerances, options, jacobian = problem.tolerances, problem.options, problem.jacobian
    if isinstance(tolerances.rtol, Tensor):
        raise UnsupportedError("CVODE takes one rtol for all components; give a number.")
    values: dict[str, Any] = {
        "rtol": tolerances.rtol,
        "atol": np.asarray(tolerances.atol) if isinstance(tolerances.atol, Tensor) else tolerances.atol,
        "first_step": options.dt or 0.0,
        "min_step": options.dtmin or 0.0,
        "max_step": options.dtmax or max((problem.t[-1] - problem.t[0]).item(), options.dtmin or 0.0),
    }
    if jacobian is not None:
        dtype = problem.y0.dtype

        def jacfn(t: float, y: Vector, dy: Vector, out: Vector) -> None:
            out[:] = jacobian(float(t), torch.tensor(y, dtype=dtype)).numpy()

        values["jacfn"] = jacfn
    return values
