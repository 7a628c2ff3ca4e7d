"""Delay differential equations: closed forms by the method of steps, histories, and bad input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE

ONE = torch.ones(1, dtype=DOUBLE)
T = torch.linspace(0, 3, 13, dtype=DOUBLE)


def delayed_decay(t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
    return -past[0]


def exact(t: Tensor) -> Tensor:
    """``y' = -y(t - 1)`` with ``y = 1`` before 0, a polynomial on each interval."""
    return 1 - t + (t - 1).clamp(min=0) ** 2 / 2 - (t - 2).clamp(min=0) ** 3 / 6


def solve(func: object = delayed_decay, t: Tensor = T, **settings: object) -> Tensor:
    settings = {"lags": [1.0], "engine": "julia", **settings}
    y = pb.ddeint(func, settings.pop("y0", ONE), t, **settings)  # type: ignore[arg-type]
    assert isinstance(y, Tensor)
    return y


@pytest.mark.julia
@pytest.mark.parametrize(
    "method", [None, "Tsit5", "dopri5", "Vern7", "Rodas5P", "MethodOfSteps(BS3(), constrained=true)"]
)
def test_the_method_of_steps_in_closed_form(method: str | None) -> None:
    torch.testing.assert_close(solve(method=method)[:, 0], exact(T), rtol=0, atol=1e-6)


@pytest.mark.julia
def test_a_history_and_two_lags() -> None:
    """``y' = -y(t - 1) + 0 y(t - 0.5)`` with ``y = cos t`` before 0: up to time 1 that is ``-cos(t - 1)``."""
    t = torch.linspace(0, 1, 5, dtype=DOUBLE)
    y = solve(
        lambda t, y, past: -past[0] + 0 * past[1],
        t,
        lags=[1.0, 0.5],
        history=lambda t: torch.cos(t)[None],
        method="Tsit5",
    )
    torch.testing.assert_close(y[:, 0], 1 - torch.sin(t - 1) - math.sin(1), rtol=1e-6, atol=0)


@pytest.mark.julia
def test_lags_belong_to_their_states() -> None:
    """``y = t`` before 0, so that ``y(t - lag) = t - lag`` for the lag of each."""
    t = torch.tensor([0.0, 0.25], dtype=DOUBLE)
    y = solve(lambda t, y, past: past[1] - past[0], t, lags=[2.0, 0.5], history=lambda t: t[None], y0=0 * ONE)
    torch.testing.assert_close(y[-1, 0].item(), 0.25 * 1.5)


@pytest.mark.julia
def test_a_tuple_state_in_single_precision() -> None:
    y0 = (torch.ones(()), torch.zeros(2))
    y = pb.ddeint(
        lambda t, y, past: (-past[0][0], past[0][0].expand(2)), y0, T[:5], lags=[1.0], method="Tsit5", engine="julia"
    )
    assert isinstance(y, tuple)
    assert y[1].dtype == torch.float32
    torch.testing.assert_close(y[0].double(), 1 - T[:5], rtol=0, atol=1e-5)
    torch.testing.assert_close(y[1][:, 0].double(), T[:5], rtol=0, atol=1e-5)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"lags": []}, pb.InputError, "expected a list of positive numbers"),
        ({"lags": [-1.0]}, pb.InputError, "expected a list of positive numbers"),
        ({"t": -T}, pb.InputError, "increasing times"),
        ({"history": lambda t: torch.ones(2, dtype=DOUBLE)}, pb.InputError, r"history\(t\) at t = -1 .*shape \(2,\)"),
        ({"func": lambda t, y, past: past[0][:0]}, pb.InputError, "returned shape"),
        ({"method": "DFBDF"}, pb.UnsupportedError, "not a solver of delay.*pyode_bridge.daeint"),
        ({"method": "Tsit55"}, pb.UnknownSolverError, "Tsit5"),
        ({"method": "AdaptiveRadau"}, pb.UnsupportedError, "wrong values between its steps.*'RadauIIA5'"),
        ({"method": "MethodOfSteps(AdaptiveRadau())"}, pb.UnsupportedError, "AdaptiveRadau gives wrong values"),
    ],
    ids=["no lags", "negative lag", "decreasing", "history", "shape", "kind", "misspelt", "unfit", "unfit within"],
)
def test_bad_input(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve(**settings)  # type: ignore[arg-type]


def test_the_embedded_engine_says_that_it_has_none() -> None:
    with pytest.raises(pb.UnsupportedError, match="ordinary differential equations over time alone"):
        solve(engine="embedded")


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_a_history_that_is_no_number_where_it_is_read_later_is_told(lane: str) -> None:
    nothing, one = torch.full((1,), torch.nan, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE)
    with pytest.raises(pb.BridgeError):
        pb.ddeint(
            lambda t, y, past: -past[0],
            one,
            torch.tensor([0.0, 0.9], dtype=DOUBLE),
            lags=[1.0],
            history=lambda t: torch.where(t < -0.5, one, nothing),
            method="Tsit5",
            lane=lane,  # type: ignore[arg-type]
        )
