"""Second and third derivatives of residual equations by their own solvers: against closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.derivatives.test_any_order import compare, leaf
from tests.julia_packages import skipping_what_is_missing
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia
TIGHT = {"rtol": 1e-9, "atol": 1e-9, "engine": "julia"}


def driven(k: Tensor, y0: Tensor, t: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    """``y0' = -k y0 + y1``, ``y1 = k t``, which moves with the first time; and the solution in closed form."""

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.stack([dy[0] + k * y[0] - y[1], y[1] - k * t])

    y = pb.daeint(residual, torch.stack([y0, torch.zeros_like(y0)]), t, **{**TIGHT, **settings})
    assert isinstance(y, Tensor)
    particular = lambda t: t - 1 / k  # noqa: E731
    return y, torch.stack([particular(t) + (y0 - particular(t[0])) * torch.exp(-k * (t - t[0])), k * t], -1)


@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("method", ["DFBDF", "IDA"])
def test_closed_form(method: str, lane: str) -> None:
    k, y0, t = leaf(0.7), leaf(1.3), leaf([0.3, 1.0, 2.0])
    with skipping_what_is_missing():
        y, exact = driven(k, y0, t, method=method, lane=lane)
    torch.testing.assert_close(y, exact, rtol=1e-6, atol=1e-6)
    for order in ((k, k), (k, y0), (y0, k), (t, t), (t, k), (k, t)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-5)


def test_backwards_in_time() -> None:
    k, y0, t = leaf(0.7), leaf(1.3), leaf([2.0, 1.0, 0.3])
    y, exact = driven(k, y0, t)
    for order in ((k, k), (t, k), (t, t)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-5)


def test_third_derivatives() -> None:
    k, y0, t = leaf(0.7), leaf(1.3), torch.tensor([0.3, 1.0], dtype=DOUBLE)
    y, exact = driven(k, y0, t)
    for order in ((k, k, k), (k, y0, k)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-4)


def test_an_algebraic_component_that_is_not_linear() -> None:
    """``y0' = -k y1``, ``y1 exp(y1) = y0 exp(y0)``, whose first solution is ``y1 = y0``, so ``y0 = exp(-k t)``."""
    k, y0, t = leaf(0.7), leaf(1.3), torch.tensor([0.0, 1.0], dtype=DOUBLE)

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.stack([dy[0] + k * y[1], y[1] * torch.exp(y[1]) - y[0] * torch.exp(y[0])])

    y = pb.daeint(residual, torch.stack([y0, torch.ones_like(y0)]), t, **TIGHT)
    assert isinstance(y, Tensor)
    exact = y0 * torch.exp(-k * t)
    for order in ((k, k), (k, y0), (y0, y0), (k, k, y0)):
        compare(y.pow(3).sum(), 2 * exact.pow(3).sum(), order, rtol=1e-4)
