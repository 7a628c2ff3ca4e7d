"""Derivatives of third and higher order, by autograd and by function transforms: against closed forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad, hessian, jacfwd, jacrev

import pyode_bridge as pb
from tests.problems import DOUBLE

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def repeated(value: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The derivatives of a value by the first of the inputs, that by the second, and so on, along fixed numbers."""
    found = []
    for tensor in inputs:
        (first,) = torch.autograd.grad(value, tensor, create_graph=True)
        value = (first * torch.linspace(0.5, 1.5, first.numel(), dtype=first.dtype).view_as(first)).sum()
        found.append(value.detach())
    return found


def compare(found: Tensor, exact: Tensor, inputs: Sequence[Tensor], rtol: float = 1e-6) -> None:
    for mine, theirs in zip(repeated(found, inputs), repeated(exact, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=1e-7)


def leaf(value: Any) -> Tensor:
    return torch.tensor(value, dtype=DOUBLE, requires_grad=True)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_four_derivatives_by_the_start(engine: str, method: str) -> None:
    """``y' = y²`` ends at ``y0 / (1 - y0)``, whose derivatives are ``n! / (1 - y0)^(n + 1)``."""
    y0, options = leaf([0.5]), {"step_size": 0.02} if method == "rk4" else {}
    func = lambda t, y: y**2  # noqa: E731
    end = pb.odeint(func, y0, torch.tensor([0.0, 1.0]), method=method, options=options, engine=engine, **TIGHT)[-1]
    value, found = end.sum(), []
    for _ in range(4):
        (value,) = torch.autograd.grad(value, y0, create_graph=True)
        found.append(value.item())
    assert found == pytest.approx([4, 16, 96, 768], rel=1e-6)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_both_lanes(lane: str) -> None:
    k, y0, t = leaf(0.7), leaf([1.3]), leaf([0.0, 0.4, 1.0])
    y = pb.odeint(lambda t, y: -k * y, y0, t, engine="julia", lane=lane, **TIGHT)
    exact = y0 * torch.exp(-k * (t - t[0]))[:, None]
    for order in ((k, k, k, k), (k, y0, t, k), (t, t, t), (t, k, y0)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order)


def test_mixed_derivatives(engine: str) -> None:
    k, y0, t = leaf(0.7), leaf([1.3]), leaf([1.0, 0.4, 0.0])
    y = pb.odeint(lambda t, y: -k * y * t, y0, t, engine=engine, **TIGHT)
    exact = y0 * torch.exp(-k * (t**2 - t[0] ** 2) / 2)[:, None]
    for order in ((k, y0, t), (t, t, t), (y0, k, k)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order)


def test_one_parameter_that_was_computed_from_another(engine: str) -> None:
    """Both are listed: ``y' = -k k² y`` with ``k²`` computed before, so that it ends at ``exp(-k³)``."""
    k = leaf(0.8)
    square = k**2
    y = pb.odeint(
        lambda t, y: -k * square * y,
        torch.ones(1, dtype=DOUBLE),
        torch.tensor([0.0, 1.0]),
        engine=engine,
        adjoint_params=[k, square],
        **TIGHT,
    )
    compare(y[-1].sum(), torch.exp(-(k**3)), (k, k, k))


def test_a_small_network(engine: str) -> None:
    """Against autograd through steps of the classical method, which are short."""
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    first, *others = network.parameters()
    y0, t = leaf([0.4, -0.7]), torch.tensor([0.0, 0.6], dtype=DOUBLE)

    def classical(y: Tensor, steps: int = 60) -> Tensor:
        h = 0.6 / steps
        for _ in range(steps):
            a = network(y)
            b = network(y + h / 2 * a)
            c = network(y + h / 2 * b)
            y = y + h / 6 * (a + 2 * b + 2 * c + network(y + h * c))
        return y

    y = pb.odeint(lambda t, y: network(y), y0, t, engine=engine, **TIGHT)[-1]
    exact = classical(y0)
    for order in ((first, y0, others[0]), (y0, y0, y0)):
        compare(y.pow(2).sum(), exact.pow(2).sum(), order)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_a_regular_mass_matrix(lane: str) -> None:
    """``M y' = y²``, component by component, with a diagonal ``M``: ``y0 / (1 - y0 t / m)``."""
    mass, y0, t = torch.tensor([2.0, 4.0], dtype=DOUBLE), leaf([0.5, 0.8]), leaf([0.0, 0.5, 1.0])
    settings = {"mass_matrix": torch.diag(mass), "method": "Rodas5P", "engine": "julia", "lane": lane}
    y = pb.odeint(lambda t, y: y**2, y0, t, **settings, **TIGHT)
    exact = y0 / (1 - y0 * (t - t[0])[:, None] / mass)
    for order in ((y0, y0, y0), (y0, t, y0)):
        compare(y.square().sum(), exact.square().sum(), order)


@pytest.mark.julia
def test_a_singular_mass_matrix() -> None:
    """``a' = -k b``, ``0 = c a² - b``: what ``b`` starts from follows from ``a``, whatever is said of it."""
    k, c, start = (leaf(value) for value in (0.7, 1.3, 0.9))
    t, mass = torch.tensor([0.0, 0.3, 0.6], dtype=DOUBLE), torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))

    def func(_t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([-k * y[1], c * y[0] ** 2 - y[1]])

    y0 = torch.stack([start, (c * start**2).detach()])
    y = pb.odeint(func, y0, t, mass_matrix=mass, method="Rodas5P", engine="julia", rtol=1e-11, atol=1e-11)[1:]
    a = start / (1 + k * c * start * t[1:])
    exact = torch.stack([a, c * a**2], -1)
    for order in ((k, k, k), (start, c, k), (c, c, start)):
        compare(y.pow(2).sum(), exact.pow(2).sum(), order, rtol=1e-5)


@pytest.mark.julia
def test_a_steady_state() -> None:
    inflow = leaf(2.0)
    y = pb.steady_state(lambda t, y: inflow - y**2, torch.ones(1, dtype=DOUBLE), engine="julia", rtol=1e-12, atol=1e-12)
    compare(y.sum(), inflow.sqrt(), (inflow, inflow, inflow, inflow), rtol=1e-7)


@pytest.mark.parametrize("of", ["t", "y"])
def test_an_event(engine: str, of: str) -> None:
    """``y' = k y²`` reaches ``c + d t`` where ``y0 = (c + d t) (1 - k y0 t)``, a quadratic equation."""
    k, c, d, start = (leaf(value) for value in (0.7, 1.5, 0.2, 0.9))
    event = pb.Event(lambda t, y: y[0] - c - d * t, terminal=True)
    times = torch.tensor([0.0, 2.0], dtype=DOUBLE)
    found = pb.solve_events(lambda t, y: k * y**2, start[None], times, [event], engine=engine, **TIGHT).events[0]
    p, q = c * k * start - d, start - c  # c k y0 t - d t + d k y0 t² = c - y0
    t = (-p + torch.sqrt(p**2 - 4 * d * k * start * q)) / (2 * d * k * start)
    value, exact = (found.t, t) if of == "t" else (found.y[0], c + d * t)
    for order in ((k, k, k), (c, start, d), (start, start, k)):
        compare(value, exact, order, rtol=1e-5)


def test_an_event_of_a_falling_ball(engine: str) -> None:
    """It lands after ``sqrt(2 h / g)``, with the velocity ``-sqrt(2 g h)``."""
    gravity, start = leaf(9.81), torch.tensor([1.0, 0.0], dtype=DOUBLE)
    ground = pb.Event(lambda t, y: y[0], terminal=True)
    fall = lambda t, y: torch.stack([y[1], -gravity])  # noqa: E731
    found = pb.solve_events(fall, start, torch.tensor([0.0, 1.0], dtype=DOUBLE), [ground], engine=engine, **TIGHT)
    compare(found.events[0].t, (2 / gravity).sqrt(), [gravity] * 4)
    compare(found.events[0].y[1], -(2 * gravity).sqrt(), [gravity] * 4)


@pytest.mark.parametrize(
    "order", [(jacfwd, jacfwd, jacfwd), (jacrev, jacrev, jacrev), (jacfwd, jacrev, jacfwd)], ids=lambda order: ""
)
def test_function_transforms(engine: str, order: tuple[Callable[..., Any], ...]) -> None:
    """``y' = k y²`` ends at ``y0 / (1 - k y0)``."""
    y0, t = torch.tensor([0.5], dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    k = torch.tensor([0.7], dtype=DOUBLE)
    solve = lambda k: pb.odeint(lambda t, y: k * y**2, y0, t, engine=engine, **TIGHT)[-1]  # noqa: E731
    exact = lambda k: y0 / (1 - k * y0)  # noqa: E731
    for transform in order:
        solve, exact = transform(solve), transform(exact)
    torch.testing.assert_close(solve(k), exact(k), rtol=1e-6, atol=1e-7)


def test_the_hessian_of_a_gradient(engine: str) -> None:
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    solve = lambda y0: pb.odeint(lambda t, y: y**2, y0, t, engine=engine, **TIGHT)[-1].sum()  # noqa: E731
    found = hessian(grad(solve))(y0)
    exact = torch.zeros(2, 2, 2, dtype=DOUBLE)
    for i, start in enumerate(y0):
        exact[i, i, i] = 6 / (1 - start) ** 4
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
