"""Products with parameters, added up where they are computed: against those that Python computes one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb

pytestmark = pytest.mark.julia
WIDTH = 12


class OfParameters(nn.Module):
    """A function of the state, shape ``(B, WIDTH)``, and of parameters, a matrix and a vector."""

    def __init__(self, function: Callable[..., Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.function = function
        self.matrix = nn.Parameter(0.3 * torch.randn(WIDTH, WIDTH, dtype=dtype))
        self.vector = nn.Parameter(torch.randn(WIDTH, dtype=dtype))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.function(t, y, self.matrix, self.vector)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "a layer": lambda t, y, a, b: torch.tanh(y @ a.mT + b),
    "a product that the state needs too": lambda t, y, a, b: torch.tanh(y * b) @ a,
    "the vector itself": lambda t, y, a, b: b - y @ a,
    "twice": lambda t, y, a, b: torch.tanh(y @ a) @ a.mT + b * b - y,
    "a parameter that is not used": lambda t, y, a, b: torch.sin(y + b),
    "part of it": lambda t, y, a, b: -y * b[:1] + torch.cat([a[0, :6], b[6:]]) * t,
    "indices": lambda t, y, a, b: b[torch.tensor([0, 3, 3, 1] * 3)] - y + a.diagonal(),
    "a total": lambda t, y, a, b: -y * a.sum() ** 2 / 100 + b.mean(),
    "a maximum": lambda t, y, a, b: b - y * a.amax(0),
    "a constant": lambda t, y, a, b: b.sum() + 0 * a[0] - y,
}


def gradients(func: nn.Module, rows: int, dtype: torch.dtype, **settings: Any) -> list[Tensor]:
    torch.manual_seed(4)
    y0 = torch.randn(rows, WIDTH, dtype=dtype, requires_grad=True)
    t = torch.tensor([0.0, 0.3, 1.0], dtype=dtype)
    y = pb.odeint(func, y0, t, engine="julia", rtol=1e-5, atol=1e-5, **settings)
    assert isinstance(y, Tensor)
    return list(torch.autograd.grad(y.square().sum(), [y0, *func.parameters()], materialize_grads=True))


@pytest.mark.parametrize("rows", [1, 3, 70])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_sums_of_products(name: str, rows: int) -> None:
    func = OfParameters(FUNCTIONS[name], torch.float64)
    settings = {"method": "DP5", "sensealg": "DiscreteAdjoint"}
    expected = gradients(func, rows, torch.float64, lane="callback", **settings)
    for _ in range(3):  # the first, and those that stand
        found = gradients(func, rows, torch.float64, lane="compiled", **settings)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("sensealg", ["GaussAdjoint", "InterpolatingAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"])
@pytest.mark.parametrize("name", ["a layer", "twice", "indices"])
def test_single_products(name: str, sensealg: str) -> None:
    func = OfParameters(FUNCTIONS[name], torch.float64)
    settings = {"method": "Tsit5", "sensealg": sensealg}
    expected = gradients(func, 3, torch.float64, lane="callback", **settings)
    found = gradients(func, 3, torch.float64, lane="compiled", **settings)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_two_backward_passes_of_one_solve() -> None:
    """Each sum begins anew, also where a backward pass failed."""
    func = OfParameters(FUNCTIONS["a layer"], torch.float32)
    y0 = torch.randn(2, WIDTH, requires_grad=True)
    y = pb.odeint(func, y0, torch.tensor([0.0, 1.0]), engine="julia", method="DP5", sensealg="DiscreteAdjoint")
    assert isinstance(y, Tensor)
    first, second = (torch.autograd.grad(y[-1].sum(), list(func.parameters()), retain_graph=True) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("method", ["rk4", "implicit_adams", "RK4", "BS3"])
def test_other_steps(method: str) -> None:
    func = OfParameters(FUNCTIONS["a layer"], torch.float64)
    settings: dict[str, Any] = {"method": method, "sensealg": "DiscreteAdjoint"}
    if method in ("rk4", "implicit_adams"):
        settings["options"] = {"step_size": 0.1}
    expected = gradients(func, 3, torch.float64, lane="callback", **settings)
    found = gradients(func, 3, torch.float64, lane="compiled", **settings)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
