"""Calls written for torchdiffeq run with the import changed: its argument names, its problems, its ways of calling."""

from __future__ import annotations

import math

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge
from tests.problems import DOUBLE


class Constant(nn.Module):
    """Solution ``a t + b``; a fifth power makes the approach to it stiff."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(0.2)), nn.Parameter(torch.tensor(3.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.a + (y - (self.a * t + self.b)) ** 5

    def exact(self, t: Tensor) -> Tensor:
        return self.a * t + self.b


class Sine(nn.Module):
    """A forced linear equation with the solution below."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return 2 * y / t + t**4 * torch.sin(2 * t) - t**2 + 4 * t**3

    def exact(self, t: Tensor) -> Tensor:
        trigonometric = -0.5 * t**4 * torch.cos(2 * t) + 0.5 * t**3 * torch.sin(2 * t) + 0.25 * t**2 * torch.cos(2 * t)
        return trigonometric - t**3 + 2 * t**4 + (math.pi - 0.25) * t**2


class Exponential(nn.Module):
    """Dynamics that ignore the state."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -0.1 * torch.exp(-0.1 * t)

    def exact(self, t: Tensor) -> Tensor:
        return torch.exp(-0.1 * t)


PROBLEMS = [Constant, Sine, Exponential]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("method", ["dopri5", "bosh3", None])
def test_torchdiffeqs_test_problems(engine: str, problem: type[nn.Module], reverse: bool, method: str | None) -> None:
    func = problem().double()
    t = torch.linspace(1, 8, 10, dtype=DOUBLE)
    t = t.flip(0) if reverse else t
    exact = func.exact(t).detach()
    tolerances = {"rtol": 1e-5, "atol": 1e-7} if method == "bosh3" else {}
    with torch.no_grad():
        y = pyode_bridge.odeint(func, exact[0], t, method=method, engine=engine, **tolerances)
    bound = 4e-3 if method == "bosh3" else 3e-4  # torchdiffeq's own bounds
    assert ((exact - y) / exact).abs().max() < bound


@pytest.mark.parametrize("problem", PROBLEMS)
def test_gradients_agree_with_torchdiffeqs_backpropagation(engine: str, problem: type[nn.Module]) -> None:
    func = problem().double()
    t = torch.linspace(1, 4, 5, dtype=DOUBLE)
    weights = torch.rand(5, dtype=DOUBLE)
    results = []
    for odeint in (torchdiffeq.odeint, pyode_bridge.odeint_adjoint):
        y0 = func.exact(t[:1]).detach()[0].requires_grad_()
        times = t.clone().requires_grad_()
        extra = {"engine": engine} if odeint is pyode_bridge.odeint_adjoint else {}
        y = odeint(func, y0, times, rtol=1e-9, atol=1e-12, **extra)
        inputs = (y0, times, *func.parameters())
        results.append(torch.autograd.grad((weights * y).sum(), inputs, allow_unused=True))
    for theirs, ours in zip(*results, strict=True):
        expected = torch.zeros_like(ours) if theirs is None else theirs
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_torchdiffeqs_argument_names(engine: str) -> None:
    func = Constant().double()
    y = pyode_bridge.odeint_adjoint(
        func,
        torch.tensor(3.1, dtype=DOUBLE),
        torch.tensor([0.0, 1.0], dtype=DOUBLE),
        rtol=1e-6,
        atol=1e-8,
        method="dopri5",
        options={"first_step": 0.01, "max_num_steps": 1000},
        adjoint_rtol=1e-6,
        adjoint_atol=1e-8,
        adjoint_method="bosh3",
        adjoint_options={"max_num_steps": 10_000},
        adjoint_params=tuple(func.parameters()),
        engine=engine,
    )
    y.sum().backward()
    assert func.a.grad is not None


def test_neural_ode_is_a_module(engine: str) -> None:
    layer = pyode_bridge.NeuralODE(nn.Linear(2, 2), t=[0.0, 0.5, 1.0], method="dopri5", engine=engine)
    layer.func.forward = lambda t, y, weight=layer.func.weight: y @ weight.mT  # type: ignore[method-assign,misc]
    y = layer(torch.ones(4, 2))
    assert y.shape == (3, 4, 2)
    y.sum().backward()
    assert layer.func.weight.grad is not None
    assert "method='dopri5'" in repr(layer)
    assert set(layer.state_dict()) == {"t", "func.weight", "func.bias"}
    assert layer.solve(torch.ones(4, 2)).engine == engine
