"""Second and third derivatives of delay equations: against closed forms by the method of steps, and differences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.derivatives.test_any_order import compare, leaf
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia
TIGHT = {"rtol": 1e-11, "atol": 1e-11, "engine": "julia"}
LANES = pytest.mark.parametrize("lane", ["compiled", "callback"])


def decay(a: Tensor, lag: Tensor, y0: Tensor, t: Tensor) -> Tensor:
    """``y' = -a y(t - lag)``, ``y = y0`` up to ``t[0]``: over three lags, the sum of ``(-a (t - (n - 1) lag))^n / n!``
    over all ``n`` for which that time is not before the start."""
    since = t - t[0]
    terms = [(-a * torch.relu(since - (n - 1) * lag)) ** n / math.factorial(n) for n in range(4)]
    return y0 * torch.stack(terms).sum(0)[:, None]


@LANES
@pytest.mark.parametrize("method", [None, "Tsit5", "Vern7", "Rodas5P"])
def test_closed_form(method: str | None, lane: str) -> None:
    a, lag, y0 = leaf(0.7), leaf(1.0), leaf([1.2])
    t = torch.tensor([0.0, 0.6, 1.7, 2.8], dtype=DOUBLE)
    y = pb.ddeint(lambda t, y, past: -a * past[0], y0, t, lags=[lag], method=method, lane=lane, **TIGHT)
    assert isinstance(y, Tensor)
    exact = decay(a, lag, y0, t)
    torch.testing.assert_close(y, exact, rtol=1e-8, atol=1e-8)
    for order in ((a, a), (a, lag), (lag, a), (lag, lag), (y0, lag), (lag, y0), (y0, a)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-5)


def test_times() -> None:
    a, lag, y0, t = leaf(0.7), leaf(1.0), leaf([1.2]), leaf([0.2, 0.9, 1.7, 2.8])
    y = pb.ddeint(lambda t, y, past: -a * past[0], y0, t, lags=[lag], method="Vern7", **TIGHT)
    assert isinstance(y, Tensor)
    exact = decay(a, lag, y0, t)
    for order in ((t, t), (t, lag), (lag, t), (a, t), (t, y0)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-5)


@LANES
def test_third_derivatives(lane: str) -> None:
    a, y0, t = leaf(0.7), leaf([1.2]), torch.tensor([0.0, 1.7, 2.8], dtype=DOUBLE)
    y = pb.ddeint(lambda t, y, past: -a * past[0], y0, t, lags=[1.0], method="Vern7", lane=lane, **TIGHT)
    assert isinstance(y, Tensor)
    exact = decay(a, torch.tensor(1.0, dtype=DOUBLE), y0, t)
    for order in ((a, a, a), (y0, a, y0)):
        compare(y.pow(3).sum(), exact.pow(3).sum(), order, rtol=1e-5)


def coupled(lags: Tensor, a: Tensor, b: Tensor, t: Tensor, **settings: Any) -> Tensor:
    """Two states, each of which sees one of two lags, after a history that ends with another slope, in ``y0``."""

    def func(t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
        return torch.stack([b * torch.sin(y[1]) - a * past[0][0] * y[0], 0.1 * t**2 - y[1] * past[1][0]])

    def before(t: Tensor) -> Tensor:
        return torch.stack([torch.cos(b * t), 0.3 + a * t])

    y = pb.ddeint(func, before(t[0]), t, lags=lags, history=before, method="Vern7", **{**TIGHT, **settings})
    assert isinstance(y, Tensor)
    return (torch.linspace(0.3, 1.2, y.numel(), dtype=y.dtype) * y.flatten() ** 2).sum()


@pytest.mark.slow
@LANES
def test_differences_of_two_lags(lane: str) -> None:
    given = [leaf([1.0, 0.37]), leaf(0.7), leaf(1.3), leaf([0.1, 0.5, 1.1, 2.0, 3.3])]
    torch.autograd.gradgradcheck(
        lambda *given: coupled(*given, lane=lane),
        given,
        eps=1e-4,
        atol=1e-5,
        rtol=1e-4,
        gen_non_contig_grad_outputs=False,
    )


def test_where_the_start_jumps() -> None:
    """There are second derivatives with respect to all but lags and times."""
    a, k, lag, y0 = map(leaf, (0.7, 0.4, 1.0, 1.2))
    t = torch.tensor([0.0, 1.6], dtype=DOUBLE)
    y = pb.ddeint(lambda t, y, past: -a * past[0], y0, t, lags=[lag], history=lambda t: k, method="Vern7", **TIGHT)
    assert isinstance(y, Tensor)
    exact = y0 - a * k - a * (y0 * 0.6 - a * k * 0.6**2 / 2)
    for order in ((a, a), (a, k), (y0, a), (k, a)):
        compare(y[-1] ** 3, exact**3, order)
    (of_lag,) = torch.autograd.grad(y[-1], lag, create_graph=True)
    with pytest.raises(pb.UnsupportedError, match=r"lags or times.*history does not end in y0.*history\(t\[0\]\)"):
        torch.autograd.grad(of_lag, a)
