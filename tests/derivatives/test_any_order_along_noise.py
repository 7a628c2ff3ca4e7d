"""Second and third derivatives of steps along noise: their products in closed form, loops in torch, and paths."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.derivatives.test_any_order import compare, leaf
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.tensor([0.0, 0.3, 1.0], dtype=DOUBLE)
STEPS = {"options": {"dt": 0.1, "adaptive": False}, "engine": "julia", "seed": 5}
ENDS = (0, 3, 10)  # of the steps at the times


def seen(increments: Any, y: Tensor, **settings: Any) -> Tensor:
    """The increments of one process over each of ten steps, shape ``(10, n)``, from a path of the noise alone."""
    t = torch.linspace(0.0, 1.0, 11, dtype=DOUBLE)
    path = pb.sdeint(lambda t, y: 0 * y, increments, y, t, method="EM", **{**STEPS, **settings})
    return path.diff(dim=0)


@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_geometric_brownian_motion_by_the_simplest_steps(lane: str) -> None:
    """They multiply by ``(1 + a h) (1 + b dW)``: the solver takes the diffusion behind the step of the drift."""
    a, b, y0 = leaf(0.4), leaf(0.5), leaf([1.2, 0.7])
    y = pb.sdeint(lambda t, y: a * y, lambda t, y: b * y, y0, T, method="EM", lane=lane, **STEPS)
    increments = seen(lambda t, y: torch.ones_like(y), torch.zeros(2, dtype=DOUBLE))
    growth = torch.cat([torch.ones(1, 2, dtype=DOUBLE), (1 + a * 0.1) * (1 + b * increments)]).cumprod(0)
    exact = y0 * growth[list(ENDS)]
    torch.testing.assert_close(y, exact, rtol=1e-10, atol=0)
    for order in ((a, a, a), (b, a, y0), (b, b, b), (y0, y0, b)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-10)


def test_scalar_noise() -> None:
    a, b, y0 = leaf(0.4), leaf(0.5), leaf([1.2, 0.7])
    y = pb.sdeint(lambda t, y: torch.sin(a * y), lambda t, y: b * y**2, y0, T, noise="scalar", method="EM", **STEPS)
    increments = seen(lambda t, y: torch.ones_like(y), torch.zeros(1, dtype=DOUBLE), noise="scalar")
    states = [y0]
    for dw in increments:
        behind = states[-1] + 0.1 * torch.sin(a * states[-1])
        states.append(behind + b * behind**2 * dw)
    exact = torch.stack([states[end] for end in ENDS])
    for order in ((a, b, y0), (b, b, a)):
        compare(y.pow(2).sum(), exact.pow(2).sum(), order, rtol=1e-10)


def test_general_noise() -> None:
    mixing, y0 = leaf([[0.3, 0.1, -0.2], [0.2, -0.4, 0.1]]), leaf([1.2, 0.7])
    diffusion = lambda t, y: mixing * y[:, None] ** 2  # noqa: E731
    y = pb.sdeint(lambda t, y: -y * t, diffusion, y0, T, noise="general", method="EM", **STEPS)
    identity = lambda t, y: torch.eye(3, dtype=DOUBLE)  # noqa: E731
    increments = seen(identity, torch.zeros(3, dtype=DOUBLE), noise="general")
    states = [y0]
    for number, dw in enumerate(increments):
        behind = states[-1] * (1 - 0.1 * 0.1 * number)
        states.append(behind + diffusion(0.0, behind) @ dw)
    exact = torch.stack([states[end] for end in ENDS])
    for order in ((mixing, y0, mixing), (y0, y0)):
        compare(y.pow(2).sum(), exact.pow(2).sum(), order, rtol=1e-10)


def test_heun_steps_in_the_sense_of_stratonovich() -> None:
    """They take the mean of the diffusion at the start and where Euler's step would end: the drift is at the start."""
    a, b, y0 = leaf(0.4), leaf(0.5), leaf([1.2])
    y = pb.sdeint(lambda t, y: a * y, lambda t, y: b * y, y0, T, method="EulerHeun", **STEPS)
    dw = seen(lambda t, y: torch.ones_like(y), torch.zeros(1, dtype=DOUBLE))
    step = a * 0.1 + b * dw
    growth = torch.cat([torch.ones(1, 1, dtype=DOUBLE), 1 + step + step**2 / 2]).cumprod(0)
    exact = y0 * growth[list(ENDS)]
    torch.testing.assert_close(y, exact, rtol=1e-10, atol=0)
    for order in ((a, a, a), (b, a, y0), (b, b, b)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-10)


CHOSEN = {"seed": 3, "engine": "julia", "rtol": 1e-3, "atol": 1e-3}


@pytest.mark.parametrize("method", ["SOSRI", "SRIW1"])
def test_geometric_brownian_motion_by_steps_that_are_chosen(method: str) -> None:
    """``y0 exp((a - b²/2) t + b W)``, with the ``W`` that the values tell of."""
    a, b, y0 = leaf(0.4), leaf(0.5), leaf([1.2, 0.7])
    y = pb.sdeint(lambda t, y: a * y, lambda t, y: b * y, y0, T, method=method, **CHOSEN)
    drift = (a - b**2 / 2) * T[:, None]
    process = ((torch.log(y / y0) - drift) / b).detach()
    exact = y0 * torch.exp(drift + b * process)
    for order in ((a, b), (b, b)):
        compare(y.square().sum(), exact.square().sum(), order, rtol=1e-2)


@pytest.mark.parametrize("method", ["SOSRA", "SRA1"])
def test_additive_noise(method: str) -> None:
    """``y0 + a² t + b² W``, which the steps hit."""
    a, b, y0 = leaf(0.4), leaf(0.5), leaf([1.2, 0.7])
    y = pb.sdeint(lambda t, y: a**2 + 0 * y, lambda t, y: b**2 * torch.ones_like(y), y0, T, method=method, **CHOSEN)
    process = ((y - y0 - a**2 * T[:, None]) / b**2).detach()
    exact = y0 + a**2 * T[:, None] + b**2 * process
    for order in ((b, a), (b, b)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-10)


def test_fixed_steps_of_higher_order_by_differences() -> None:
    y0 = torch.tensor([1.2, 0.7], dtype=DOUBLE)

    def first(a: Tensor, b: Tensor) -> Tensor:
        drift, diffusion = (lambda t, y: torch.sin(a * y + t)), (lambda t, y: b * torch.cos(y))
        y = pb.sdeint(drift, diffusion, y0, T, method="SRIW1", **STEPS)
        return torch.stack(torch.autograd.grad(y.square().sum(), (a, b), create_graph=True))

    a, b, h = leaf(0.4), leaf(0.3), 1e-5
    found = torch.autograd.grad(first(a, b)[1], (a, b))
    for one, mine in zip(([h, 0.0], [0.0, h]), found, strict=True):
        ends = [first(leaf(0.4 + sign * one[0]), leaf(0.3 + sign * one[1]))[1].detach() for sign in (1, -1)]
        torch.testing.assert_close(mine, (ends[0] - ends[1]) / (2 * h), rtol=1e-7, atol=1e-8)


@pytest.mark.slow
def test_the_adjoint_of_the_solution_has_no_second_derivatives_along_noise() -> None:
    b = leaf(0.5)
    y = pb.sdeint(
        lambda t, y: -y,
        lambda t, y: b * y,
        torch.ones(1, dtype=DOUBLE),
        T,
        method="EulerHeun",
        sensealg="BacksolveAdjoint",
        **STEPS,
    )
    (first,) = torch.autograd.grad(y.sum(), b, create_graph=True)
    with pytest.raises(pb.UnsupportedError, match=r"there is noise.*sensealg='DiscreteAdjoint'"):
        torch.autograd.grad(first, b)
