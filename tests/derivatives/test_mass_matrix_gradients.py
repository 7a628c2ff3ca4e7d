"""Gradients through equations with a mass matrix, against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL

pytestmark = pytest.mark.julia

ADJOINTS = ["InterpolatingAdjoint", "GaussAdjoint", "GaussKronrodAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"]
SOLVER = {"method": "Rodas5P", "engine": "julia", "rtol": 1e-9, "atol": 1e-9}
TIMES = [0.0, 0.4, 1.0]


def compare(found: Tensor, exact: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Values, and gradients of a loss over all of them."""
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
    weights = torch.linspace(0.5, 2.0, found.numel(), dtype=DOUBLE).view_as(found)
    mine, theirs = (torch.autograd.grad((weights * y.square()).sum(), inputs) for y in (found, exact))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize("sensealg", ADJOINTS)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_a_regular_mass_matrix(sensealg: str, backwards: bool) -> None:
    """``M y' = A y`` has the solution ``exp(M⁻¹ A t) y0``; M is not symmetric, so that it must be transposed."""
    mass = torch.tensor([[2.0, 0.5], [0.0, 1.0]], dtype=DOUBLE)
    matrix, y0 = SPIRAL.clone().requires_grad_(), torch.tensor([1.2, 0.3], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor(TIMES[::-1] if backwards else TIMES, dtype=DOUBLE, requires_grad=True)
    found = pb.odeint(lambda t, y: matrix @ y, y0, t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    generator = torch.linalg.solve(mass, matrix)
    exact = torch.stack([torch.linalg.matrix_exp(generator * (time - t[0])) @ y0 for time in t])
    compare(found, exact, (matrix, y0, t))


def decay(k: Tensor, c: Tensor, start: Tensor, t: Tensor) -> Tensor:
    return start * torch.exp(-k * t)


def decay_of_second_order(k: Tensor, c: Tensor, start: Tensor, t: Tensor) -> Tensor:
    return start / (1 + k * c * start * t)


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize("sensealg", [name for name in ADJOINTS if name != "BacksolveAdjoint"])
@pytest.mark.parametrize(("driver", "exact"), [(0, decay), (1, decay_of_second_order)], ids=["read off", "coupled"])
def test_an_algebraic_equation(driver: int, exact: Callable[..., Tensor], sensealg: str) -> None:
    """``y1' = -k y1`` or ``-k y2``, ``0 = c y1² - y2``: the gradient by the start of ``y2`` is nothing."""
    rates, start = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in ([0.7, 1.3], 1.5))
    t, mass = torch.tensor(TIMES, dtype=DOUBLE), torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    k, c = rates

    def func(_t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([-k * y[driver], c * y[0] ** 2 - y[1]])

    y0 = torch.stack([start, c * start**2])
    found = pb.odeint(func, y0, t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    y1 = exact(k, c, start, t)
    compare(found, torch.stack([y1, c * y1**2], dim=-1), (rates, start))


MIXED = {
    "of other variables": ([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]),
    "of other equations": ([[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    "of both": ([[1.0, 1.0], [2.0, 2.0]], [[1.0, 0.0], [2.0, 1.0]]),
}


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize(
    "sensealg", [None, "GaussAdjoint", "QuadratureAdjoint", "InterpolatingAdjoint(checkpointing=true)"]
)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
@pytest.mark.parametrize("kind", MIXED)
def test_an_algebraic_equation_of_mixtures(kind: str, backwards: bool, sensealg: str | None) -> None:
    """``y1' + y2' = -k y1 - y2 / 2``, ``0 = y1 + t - y2``, so that ``y1' = -(k + 1/2) y1 / 2 - t / 4 - 1/2``."""
    mass, mixing = (torch.tensor(rows, dtype=DOUBLE) for rows in MIXED[kind])
    k, start = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 1.1))
    t = torch.tensor(TIMES[::-1] if backwards else TIMES, dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return mixing @ torch.stack([-k * y[0] - y[1] / 2, y[0] + t - y[1]])

    y = pb.odeint(func, torch.stack([start, start + t[0]]), t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    rate = (k + 0.5) / 2
    particular = lambda t: -t / (4 * rate) + (1 / (4 * rate) - 0.5) / rate  # noqa: E731
    y1 = particular(t) + (start - particular(t[0])) * torch.exp(-rate * (t - t[0]))
    compare(y, torch.stack([y1, y1 + t], -1), (k, start, t))
