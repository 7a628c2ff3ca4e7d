"""Hooks of torch see a solve as one operation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import pyode_bridge as pb
from tests.problems import DOUBLE

T = torch.linspace(0.0, 1.0, 3, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
TIGHT = {"method": "dopri5", "rtol": 1e-9, "atol": 1e-9}


def rated(value: float = 0.7) -> Tensor:
    return torch.tensor(value, dtype=DOUBLE, requires_grad=True)


@pytest.mark.parametrize("lane", ["auto", "callback"])
def test_a_hook_is_for_the_gradient_of_the_solve(engine: str, lane: str) -> None:
    rate, calls = rated(), []
    rate.register_hook(lambda grad: calls.append(grad.item()) or grad.clamp(-0.1, 0.1))
    y = pb.odeint(lambda t, y: -rate * y, Y0, T, engine=engine, lane=lane, **TIGHT)
    y[-1].sum().backward()
    assert calls == [pytest.approx(-1.5 * torch.exp(-rate).item(), rel=1e-6)]
    assert rate.grad.item() == -0.1


def test_a_hook_on_a_context_and_the_gradient_that_it_retains(engine: str) -> None:
    rate, calls = rated(), []
    context = 2 * rate
    context.register_hook(lambda grad: calls.append(1) or grad / 2)
    context.retain_grad()
    y = pb.odeint(lambda t, y: -context * y, Y0, T, engine=engine, **TIGHT)
    exact = -1.5 * torch.exp(-context).item() / 2
    for times in (1, 2):
        y[-1].sum().backward(retain_graph=True)
        assert len(calls) == times
        assert context.grad.item() == pytest.approx(times * exact, rel=1e-6)
        assert rate.grad.item() == pytest.approx(times * 2 * exact, rel=1e-6)


def test_hooks_of_second_derivatives(engine: str) -> None:
    """As of ``exp(-rate)``: each backward pass halves the gradient once."""
    found = []
    for solve in (lambda rate: pb.odeint(lambda t, y: -rate * y, Y0, T, engine=engine, **TIGHT)[-1].sum(),
                  lambda rate: 1.5 * torch.exp(-rate)):  # fmt: skip
        rate = rated()
        rate.register_hook(lambda grad: grad / 2)
        (first,) = torch.autograd.grad(solve(rate), rate, create_graph=True)
        found += torch.autograd.grad(first, rate)
    assert found[0].item() == pytest.approx(found[1].item(), rel=1e-6)


def test_hooks_around_a_solve_see_what_its_node_saves_alone(engine: str) -> None:
    seen: list[tuple[int, ...]] = []

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y * rate).exp().sin()

    rate = rated()
    for _ in range(2):
        with torch.autograd.graph.saved_tensors_hooks(lambda x: seen.append(tuple(x.shape)) or x, lambda x: x):
            y = pb.odeint(func, Y0, T, engine=engine, **TIGHT)
            (grad,) = torch.autograd.grad(y.sum(), rate)
    assert seen == 2 * [(3, 2), (3,), ()]  # values, times and the rate
    assert grad.item() != 0


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 7), nn.Tanh(), nn.Linear(7, 2)).double()

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_a_first_solve_may_be_checkpointed(engine: str, implicit: bool) -> None:
    settings: dict[str, Any] = {**TIGHT, "method": "RadauIIA5" if implicit else "dopri5", "engine": engine}
    func, y0 = Field(), Y0.clone().requires_grad_()  # nobody has met it

    def loss(y0: Tensor) -> Tensor:
        return pb.odeint(func, 2 * y0, T, **settings).square().sum()

    found = torch.autograd.grad(checkpoint(loss, y0, use_reentrant=False), (y0, *func.parameters()))
    exact = torch.autograd.grad(loss(y0), (y0, *func.parameters()))
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
