"""Stiff solvers of three families of Julia meet the end values that the Test Set for IVP Solvers publishes.

Those of the Brusselator are computed, by other codes (`examples/support/problems/references.py`).
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from examples.support.problems.brusselator import brusselator
from examples.support.problems.problem import Problem
from examples.support.problems.stiff import PROBLEMS

pytestmark = [pytest.mark.julia, pytest.mark.slow, pytest.mark.timeout(3600)]

RTOL = 1e-8
BOUND = 50  # in units of RTOL, for each component

# Rosenbrock, FIRK and BDF methods. The SDIRK method KenCarp58 is not among them: with these tolerances it misses OREGO
# and VDPOL, and does not come through ROBER.
SOLVERS = ["Rodas4P", "Rodas5", "Rodas5P", "RadauIIA5", "RadauIIA9", "FBDF"]


@pytest.mark.parametrize("problem", [*PROBLEMS, brusselator(32)], ids=lambda problem: problem.name)
@pytest.mark.parametrize("method", SOLVERS)
def test_the_reference_is_met(method: str, problem: Problem) -> None:
    with torch.no_grad():
        solution = pb.solve(
            problem.f, problem.start(), problem.times(), method=method, engine="julia", rtol=RTOL, atol=problem.atol
        )
    assert isinstance(solution.y, Tensor)
    error = problem.error(solution.y[-1]) / RTOL
    print(f"{problem.name:16}{method:14}{error:9.2f} rtol, {solution.stats.accepted} steps")
    assert error < BOUND
