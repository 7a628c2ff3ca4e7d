"""Third derivatives of equations in parts, whose adjoint is an ordinary one, against closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.derivatives.test_any_order import compare, leaf
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

STEPS: dict[str, Any] = {"options": {"dt": 1e-2, "adaptive": False}, "engine": "julia"}


@pytest.mark.parametrize(
    ("method", "settings"),
    [("KahanLi8", {}), ("KahanLi8", {"lane": "callback"}), ("Nystrom4", {"adjoint_method": "Tsit5"})],
    ids=["symplectic", "called back", "Nystrom"],
)
def test_positions_and_velocities(method: str, settings: dict[str, Any]) -> None:
    """``q'' = -k² q`` is ``q0 cos(k t) + v0 sin(k t) / k``."""
    k, q0, v0, t = leaf(0.7), leaf([1.0]), leaf([0.3]), leaf([0.0, 0.4, 1.0])
    q, _ = pb.odeint(pb.SecondOrder(lambda t, q, v: -(k**2) * q), (q0, v0), t, method=method, **STEPS, **settings)
    since = (t - t[0])[:, None]
    exact = q0 * torch.cos(k * since) + v0 / k * torch.sin(k * since)
    for order in ((k, k, k), (k, t, q0), (v0, k)):
        compare(q.square().sum(), exact.square().sum(), order)


def test_a_matrix_that_depends_on_time() -> None:
    """``y' = -k t y``."""
    k, y0, t = leaf(0.7), leaf([1.1]), leaf([0.0, 0.4, 1.0])
    y = pb.odeint(pb.Quasilinear(lambda t, y: (-k * t).view(1, 1)), y0, t, method="MagnusGL6", **STEPS)
    exact = y0 * torch.exp(-k * (t**2 - t[0] ** 2) / 2)[:, None]
    for order in ((k, k, k), (k, t, y0)):
        compare(y.square().sum(), exact.square().sum(), order)


def test_a_split_equation_with_a_matrix() -> None:
    """``y' = -1.5 y - k y``, by exponentials of the first part."""
    k, y0, t = leaf(0.7), leaf([1.1]), leaf([0.0, 0.4, 1.0])
    stiff: Tensor = torch.tensor([[-1.5]], dtype=DOUBLE)
    y = pb.odeint(pb.Split(stiff, lambda t, y: -k * y), y0, t, method="ETDRK4", **STEPS)
    exact = y0 * torch.exp(-(k + 1.5) * (t - t[0]))[:, None]
    for order in ((k, k, k), (k, t, y0)):
        compare(y.square().sum(), exact.square().sum(), order)
