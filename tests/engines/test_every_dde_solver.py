"""Every ODE solver of the running Julia without a known limit serves delay equations too."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines.julia.limits import WRONG_WITH_DELAYS
from tests.engines.bounds import bound_of
from tests.engines.test_every_solver import FAMILIES, FIXED_STEPS, OPTIONS, TOLERANCE, ode_solvers
from tests.problems import DOUBLE

pytestmark = [pytest.mark.julia, pytest.mark.slow]

T = torch.linspace(0, 2.5, 6, dtype=DOUBLE)
LAGS = [1.0, math.pi / 2]


def delayed(t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
    """``y1' = -y1(t - 1)`` and ``y2' = -y2(t - pi/2)``."""
    return torch.stack([-past[0][0], -past[1][1]])


def history(t: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(t), torch.sin(t)])


def exact(t: Tensor) -> Tensor:
    """A polynomial on each interval, with jumps of its derivatives at 0, 1 and 2; and ``sin t``."""
    jumping = 1 - t + (t - 1).clamp(min=0) ** 2 / 2 - (t - 2).clamp(min=0) ** 3 / 6
    return torch.stack([jumping, torch.sin(t)], dim=-1)


def fault(solver: pb.SolverInfo) -> str:
    """An empty string for a solution within the bound, else what is wrong."""
    try:
        y = pb.ddeint(
            delayed,
            exact(T[0]),
            T,
            lags=LAGS,
            history=history,
            method=solver.name,
            engine="julia",
            rtol=TOLERANCE,
            atol=TOLERANCE,
            options=OPTIONS if solver.adaptive else {**OPTIONS, **FIXED_STEPS},
        )
    except pb.BridgeError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    assert isinstance(y, Tensor)
    reached = (y - exact(T)).abs().max().item()
    return "" if reached < bound_of(solver) else f"error {reached:.1e}"


@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_solver_serves_delays(family: str) -> None:
    if not pb.solvers("julia", problem="DDE"):
        pytest.skip("DelayDiffEq is not installed")
    wrong: dict[str, str] = {}
    for solver in ode_solvers():
        if solver.family != family or solver.limit or solver.name in WRONG_WITH_DELAYS:
            continue
        start = time.perf_counter()
        found = fault(solver)
        if found:
            wrong[solver.name] = found
        print(f"{solver.name:36} {time.perf_counter() - start:6.1f} s  {found or 'works'}", flush=True)
    assert not wrong
