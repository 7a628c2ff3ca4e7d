"""First and second derivatives by gradcheck: a solver of each family with each sensitivity algorithm."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE
from tests.sensealgs import SENSEALGS, serves

# Every pair compiles for ten seconds or more.
FAMILIES = ["Tsit5", "Vern7", "DP8", "VCABM", "ROCK4", "Rodas5P", "KenCarp4", "FBDF", "QNDF", "RadauIIA5"]
REFUSED = [("VCABM", "InterpolatingAdjoint(checkpointing=true)")]
WARNED = [(method, "GaussAdjoint") for method in ("VCABM", "FBDF", "QNDF")]  # see "Between the steps" in the docs
PAIRS = [
    (method, sensealg)
    for method, sensealg in itertools.product(FAMILIES, SENSEALGS)
    if serves(sensealg, method) and (method, sensealg) not in REFUSED + WARNED
]
TOLERANCE = 1e-9
CLOSER = dict.fromkeys(["VCABM", "ROCK4", "QNDF"], 1e-11)  # errors change most with the input: differences magnify it
EPS = 1e-3


def check(method: str, size: int = 2, **solver: object) -> None:
    layer = nn.Linear(size, size).double()
    y0 = torch.tensor([0.6, -0.4][:size], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.3, 0.8], dtype=DOUBLE, requires_grad=True)
    tolerance = CLOSER.get(method, TOLERANCE)

    def values(y0: Tensor, t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        func = lambda t, y: torch.tanh(nn.functional.linear(y, weight, bias) + t)  # noqa: E731
        return pb.odeint(func, y0, t, method=method, rtol=tolerance, atol=tolerance, **solver)

    inputs = (y0, t, *layer.parameters())
    assert torch.autograd.gradcheck(values, inputs, eps=EPS, atol=1e-5, rtol=1e-4)
    # Along random directions: each row of the second derivative would be a solve of its own.
    assert torch.autograd.gradgradcheck(values, inputs, eps=EPS, atol=1e-4, rtol=1e-3, fast_mode=True)


@pytest.mark.slow
@pytest.mark.julia
@pytest.mark.parametrize(("method", "sensealg"), PAIRS)
def test_julia(method: str, sensealg: str) -> None:
    # A hundred thousand evaluations for a second derivative of two components: they are called back.
    size = 1 if (method, sensealg) == ("ROCK4", "ForwardDiffSensitivity") else 2
    check(method, size, sensealg=sensealg, engine="julia", lane="compiled")


@pytest.mark.slow
@pytest.mark.julia
@pytest.mark.parametrize(("method", "sensealg"), [pair for pair in PAIRS if pair[0] in ("Tsit5", "Rodas5P")])
def test_callbacks_of_julia(method: str, sensealg: str) -> None:
    # An implicit solver differentiates the equations of all sensitivities by differences, each a call of Python.
    size = 1 if (method, sensealg) == ("Rodas5P", "ForwardSensitivity") else 2
    check(method, size, sensealg=sensealg, engine="julia", lane="callback")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["DP5", "BS3", "DP8", "RadauIIA5", "lsoda"])
def test_embedded(method: str) -> None:
    check(method, engine="embedded")
