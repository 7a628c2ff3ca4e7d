"""Every solver of the running Julia for residuals solves equations with a constraint, or is listed with the reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines.julia.limits import LIMITED
from tests.engines.bounds import bound_of
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.linspace(0, 1, 5, dtype=DOUBLE)
TOLERANCE = 1e-6


def circle(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """``y0' = y1`` on the unit circle: ``sin t, cos t``."""
    return torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])


def driven(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """``y0' = -2 t y1`` with ``y1 = y0^2``: ``1 / (1 + t^2)`` and its square."""
    return torch.stack([dy[0] + 2 * t * y[1], y[1] - y[0] ** 2])


Known = tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Tensor]
KNOWN: list[Known] = [
    (circle, torch.stack([torch.sin(T), torch.cos(T)], -1)),
    (driven, torch.stack([1 / (1 + T**2), 1 / (1 + T**2) ** 2], -1)),
]


def fault(solver: pb.SolverInfo, residual: Callable[[Tensor, Tensor, Tensor], Tensor], exact: Tensor) -> str:
    """An empty string for a solution within the bound, else what is wrong."""
    try:
        y = pb.daeint(residual, exact[0], T, method=solver.name, engine="julia", rtol=TOLERANCE, atol=TOLERANCE)
    except pb.BridgeError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    assert isinstance(y, Tensor)
    reached = (y - exact).abs().max().item()
    return "" if reached < bound_of(solver) else f"error {reached:.1e}"


def test_every_solver_of_residuals_works_or_is_listed() -> None:
    solvers = pb.solvers("julia", problem="DAE")
    assert {"DFBDF", "DABDF2", "DImplicitEuler"} <= {solver.name for solver in solvers}
    wrong = {}
    for solver in solvers:
        found = [said for residual, exact in KNOWN if (said := fault(solver, residual, exact))]
        print(f"{solver.name:20} {'; '.join(found) or 'works'}", flush=True)
        if bool(found) != (solver.name in LIMITED):
            wrong[solver.name] = found or "is listed as limited, but works"
    assert not wrong
