"""Dynamics that were compiled before are not tried again, unless they may have changed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.errors import InputError
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.linspace(0, 1, 5, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)


class Plain(nn.Module):
    """``y' = -scale rate y^power``"""

    power = 1

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.7, dtype=DOUBLE))
        self.scale = 1.0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.scale * self.rate * y**self.power


def solve(func: nn.Module, y0: Tensor = Y0) -> Tensor:
    return pb.odeint(func, y0, T, method="Tsit5", engine="julia", lane="compiled", rtol=1e-9, atol=1e-9)


def exact(rate: float) -> Tensor:
    return Y0 * torch.exp(-rate * T)[:, None]


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every evaluation of `Plain` by Python."""
    found: list[int] = []
    call = nn.Module.__call__

    def counted(module: nn.Module, *args: object) -> object:
        if isinstance(module, Plain):
            found.append(1)
        return call(module, *args)

    monkeypatch.setattr(nn.Module, "__call__", counted)
    return found


def test_python_runs_nothing_in_solves_after_the_first(evaluations: list[int]) -> None:
    func = Plain()
    solve(func)
    before = len(evaluations)
    torch.testing.assert_close(solve(func), exact(0.7))
    assert len(evaluations) == before


def test_new_weights_count_and_have_gradients() -> None:
    func = Plain()
    solve(func)
    with torch.no_grad():
        func.rate.copy_(torch.tensor(0.3))
    y = solve(func)
    torch.testing.assert_close(y, exact(0.3), rtol=1e-7, atol=1e-8)
    (grad,) = torch.autograd.grad(y[-1].sum(), func.rate)
    torch.testing.assert_close(grad, -Y0.sum() * torch.tensor(0.3, dtype=DOUBLE).neg().exp(), rtol=1e-6, atol=1e-8)


def test_a_changed_attribute_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    func = Plain()
    solve(func)
    func.scale = 2.0
    torch.testing.assert_close(solve(func), exact(1.4), rtol=1e-7, atol=1e-8)
    func.scale = 1.0
    monkeypatch.setattr(Plain, "power", 0)
    torch.testing.assert_close(solve(func), Y0 - 0.7 * T[:, None], rtol=1e-7, atol=1e-8)


def test_a_parameter_that_is_frozen_or_thawed_counts() -> None:
    func = Plain()
    assert solve(func).requires_grad
    func.requires_grad_(False)
    assert not solve(func).requires_grad
    func.requires_grad_()
    solve(func)[-1].sum().backward()
    assert func.rate.grad.item() == pytest.approx(-1.5 * math.exp(-0.7), rel=1e-6)


def test_dynamics_that_are_not_finite_say_so_in_later_solves_too() -> None:
    func = Plain()
    solve(func)
    with torch.no_grad():
        func.rate.fill_(math.nan)
    with pytest.raises(InputError, match="NaN or Inf"):
        solve(func)


def test_autocast_hits_nothing_that_was_known_without(evaluations: list[int]) -> None:
    func = Plain()
    solve(func)
    before = len(evaluations)
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(pb.UnsupportedError, match=r"torch\.autocast is on"),
    ):
        solve(func)
    assert len(evaluations) > before


def test_a_tensor_that_was_computed_is_not_taken_for_a_leaf() -> None:
    weight = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)

    def decay(rate: Tensor) -> Tensor:
        return pb.odeint(lambda t, y: -rate * y, Y0, T, method="Tsit5", engine="julia", rtol=1e-9, atol=1e-9)

    decay(weight)
    (grad,) = torch.autograd.grad(decay(2 * weight)[-1].sum(), weight)
    assert grad.item() == pytest.approx(-2 * 1.5 * math.exp(-1.4), rel=1e-6)


def test_an_ensemble_that_is_not_finite_says_so_in_later_solves_too() -> None:
    func, y0s = Plain(), torch.stack([Y0, 2 * Y0])
    settings = {"method": "Tsit5", "engine": "julia", "lane": "compiled"}
    pb.solve_ensemble(func, y0s, T, **settings)
    with torch.no_grad():
        func.rate.fill_(math.nan)
    with pytest.raises(InputError, match="NaN or Inf"):
        pb.solve_ensemble(func, y0s, T, **settings)


class Lazy(nn.Module):
    """``y' = -rate y``, with a rate that is made at the first call."""

    rate: Tensor | None = None

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        if self.rate is None:
            self.rate = torch.tensor(0.7, dtype=DOUBLE)
        return -self.rate * y


def test_what_the_trial_makes_is_there_when_it_is_translated() -> None:
    func = Lazy()
    for _ in range(2):
        torch.testing.assert_close(solve(func), exact(0.7), rtol=1e-7, atol=1e-8)
