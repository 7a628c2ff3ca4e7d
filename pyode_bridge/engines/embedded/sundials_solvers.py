"""CVODE from SUNDIALS, through scikit-sundae (the extra ``pyode_bridge[sundials]``); it computes in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.steps import Ended, Evaluated, Step
from pyode_bridge.errors import UnsupportedError

Vector = npt.NDArray[np.float64]

# CVODE's return flags (SUNDIALS user guide, "CVode").
RETCODES = {-1: "MaxIters", -2: "Failure", -3: "DtLessThanMin", -4: "ConvergenceFailure"}


def steps(name: str, problem: InitialValueProblem, work: Work) -> Iterator[Step]:
    """Those of CVODE with the linear multistep method ``name``, ``"BDF"`` or ``"Adams"``."""
    from sksundae.cvode import CVODE

    end, dtype = problem.end, problem.y0.dtype
    solver = CVODE(_rhs(problem), method=name, **_options(problem))
    work.rejected = None  # which it does not tell
    result = solver.init_step(problem.t[0].item(), problem.y0.double().numpy())

    def state(s: float) -> Tensor:
        """Within the last step: CVODE has been there, so that this interpolates."""
        return torch.from_numpy(np.array(solver.step(s, method="normal", tstop=end).y)).to(dtype)

    while result.t < end:
        if work.accepted >= problem.options.maxiters:  # CVODE's own max_num_steps is that between two times
            raise Ended("MaxIters")
        before, result = result, solver.step(end, method="onestep", tstop=end)
        work.nfe, work.njac = int(result.nfev), int(result.njev)
        if not result.success:
            raise Ended(RETCODES.get(result.status, "Failure"))
        work.accepted += 1
        yield Evaluated(float(before.t), float(result.t), torch.from_numpy(np.array(result.y)).to(dtype), state)


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
        "max_step": options.dtmax or max(problem.end - problem.t[0].item(), options.dtmin or 0.0),
    }
    if jacobian is not None:
        dtype = problem.y0.dtype

        def jacfn(t: float, y: Vector, dy: Vector, out: Vector) -> None:
            out[:] = jacobian(float(t), torch.tensor(y, dtype=dtype)).numpy()

        values["jacfn"] = jacfn
    return values
