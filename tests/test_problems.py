"""The stiff problems' equations, solved by the embedded engine, reproduce the Test Set's published end values."""

from __future__ import annotations

import pytest
import torch

import pyode_bridge as pb
from examples.problems.stiff import PROBLEMS, StiffProblem

RTOL = 1e-8


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_radau_meets_the_published_reference(problem: StiffProblem) -> None:
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    t = torch.tensor([0.0, problem.t_end], dtype=torch.float64)
    with torch.no_grad():
        y = pb.odeint(problem.f, y0, t, method="RadauIIA5", engine="embedded", rtol=RTOL, atol=problem.atol)
    expected = torch.tensor(problem.y_end, dtype=torch.float64)
    error = ((y[-1] - expected) / expected).abs().max().item()
    print(f"{problem.name} {error:.3e}")
    assert error < 50 * RTOL
