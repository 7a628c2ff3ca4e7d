"""Solvers of packages that a user may add to Julia's environment; skipped where a package is not installed."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.julia_packages import skipping_what_is_missing
from tests.problems import DOUBLE, Coupled

pytestmark = [pytest.mark.julia, pytest.mark.slow]

SPAN = torch.linspace(0.1, 1.1, 5, dtype=DOUBLE)
SOLVERS = ["CVODE_BDF", "CVODE_Adams", "CVODE_BDF(linear_solver=:GMRES)", "ARKODE", "IRKGL16", "lsoda"]
TOLERANCES = {"engine": "julia", "rtol": 1e-8, "atol": 1e-8}


def circle(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    return torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])


@pytest.mark.parametrize("method", SOLVERS)
def test_an_optional_solver_solves(method: str) -> None:
    problem = Coupled()
    exact = torch.stack([problem.exact(t) for t in SPAN])
    with skipping_what_is_missing(), torch.no_grad():
        y = pb.odeint(problem, exact[0], SPAN, method=method, **TOLERANCES)
    assert isinstance(y, Tensor)
    torch.testing.assert_close(y, exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", ["IDA"])
def test_an_optional_solver_of_residuals_solves(method: str) -> None:
    with skipping_what_is_missing():
        y = pb.daeint(circle, torch.tensor([0.0, 1.0], dtype=DOUBLE), SPAN - 0.1, method=method, **TOLERANCES)
    torch.testing.assert_close(y, torch.stack([torch.sin(SPAN - 0.1), torch.cos(SPAN - 0.1)], -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["CVODE_BDF", "ARKODE", "IRKGL16", "IDA"])
def test_solvers_of_double_precision_refuse_single(method: str) -> None:
    y0 = torch.tensor([0.0, 1.0])
    refused = rf"{method} takes states of double precision alone, and this one is of float32. Give it y0.double\(\)"
    solve = functools.partial(pb.daeint, circle) if method == "IDA" else functools.partial(pb.odeint, lambda t, y: -y)
    with pytest.raises(pb.UnsupportedError, match=refused), skipping_what_is_missing():
        solve(y0, SPAN, method=method, engine="julia")
