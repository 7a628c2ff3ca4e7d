"""Solvers of packages that a user may add to Julia's environment; skipped where a package is not installed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Coupled

pytestmark = [pytest.mark.julia, pytest.mark.slow]

SPAN = torch.linspace(0.1, 1.1, 5, dtype=DOUBLE)
SOLVERS = ["CVODE_BDF", "CVODE_Adams", "CVODE_BDF(linear_solver=:GMRES)", "ARKODE", "IRKGL16", "lsoda"]


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


@pytest.mark.parametrize("method", ["IDA"])
def test_an_optional_solver_of_residuals_solves(method: str) -> None:
    def circle(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])

    try:
        y = pb.daeint(
            circle,
            torch.tensor([0.0, 1.0], dtype=DOUBLE),
            SPAN - 0.1,
            method=method,
            engine="julia",
            rtol=1e-8,
            atol=1e-8,
        )
    except pb.UnsupportedError as error:
        if "which this Julia environment lacks" in str(error):
            pytest.skip(str(error))
        raise
    torch.testing.assert_close(y, torch.stack([torch.sin(SPAN - 0.1), torch.cos(SPAN - 0.1)], -1), rtol=0, atol=1e-5)
