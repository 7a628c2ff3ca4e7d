"""After whatever went wrong, the next solve is right."""

from __future__ import annotations

import torch

import pyode_bridge as pb
from tests.faults.table import METHOD
from tests.problems import DOUBLE, SPIRAL, Linear

LANES = {"julia": ("callback", "auto"), "embedded": ("auto",)}


def assert_next_solve_is_right(engine: str) -> None:
    problem, y0 = Linear(SPIRAL), torch.tensor([1.0, 0.5], dtype=DOUBLE, requires_grad=True)
    t = torch.linspace(0.0, 2.0, 4, dtype=DOUBLE)
    inputs = (y0, problem.matrix)
    exact = problem.exact(y0, t)
    for lane in LANES[engine]:
        y = pb.odeint(problem, y0, t, engine=engine, method=METHOD, lane=lane)
        torch.testing.assert_close(y, exact, rtol=1e-6, atol=1e-7)
        found, expected = (
            torch.autograd.grad(values.square().sum(), inputs, retain_graph=True) for values in (y, exact)
        )
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
