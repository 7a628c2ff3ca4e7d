"""Solvers of packages that a user may add to Julia's environment; skipped where a package is not installed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Coupled

pytestmark = [pytest.mark.julia, pytest.mark.slow]

SPAN = torch.linspace(0.1, 1.1, 5, dtype=DOUBLE)
NO_INIT = pytest.mark.xfail(reason="its package has `solve` alone, and a solve here starts with `init`", strict=True)
SOLVERS = [
    *("CVODE_BDF", "CVODE_Adams", "CVODE_BDF(linear_solver=:GMRES)", "ARKODE", "lsoda"),
    pytest.param("IRKGL16", marks=NO_INIT),
]


@pytest.mark.parametrize("method", SOLVERS)
def test_an_optional_solver_solves(method: str) -> None:
    problem = Coupled()
    exact = torch.stack([problem.exact(t) for t in SPAN])
    try:
        with torch.no_grad():
            y = pb.odeint(problem, exact[0], SPAN, method=method, engine="julia", rtol=1e-8, atol=1e-8)
    except pb.UnsupportedError as error:
        if "which this Julia environment lacks" in str(error):
            pytest.skip(str(error))
        raise
    assert isinstance(y, Tensor)
    torch.testing.assert_close(y, exact, rtol=1e-4, atol=0)
