"""Differential-algebraic equations in residual form: closed forms, consistent starts, ROBER, and bad input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from examples.problems.stiff import PROBLEMS
from tests.problems import DOUBLE

(ROBER,) = (problem for problem in PROBLEMS if problem.name == "ROBER")
T = torch.linspace(0, 1, 5, dtype=DOUBLE)
Y0 = torch.tensor([0.0, 1.0], dtype=DOUBLE)


def circle(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """``y0' = y1`` on the unit circle: ``sin t, cos t``."""
    return torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])


def robertson(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """ROBER with the conservation of mass in place of the third rate."""
    slow = 0.04 * y[0] - 1e4 * y[1] * y[2]
    return torch.stack([dy[0] + slow, dy[1] - slow + 3e7 * y[1] ** 2, y.sum() - 1])


def solve(t: Tensor = T, y0: Tensor = Y0, **settings: object) -> Tensor:
    y = pb.daeint(circle, y0, t, **{"engine": "julia", **settings})  # type: ignore[arg-type]
    assert isinstance(y, Tensor)
    return y


@pytest.mark.julia
@pytest.mark.parametrize(("method", "tolerance", "error"), [(None, 1e-8, 1e-5), ("DABDF2", 1e-6, 1e-3)])
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_the_circle(method: str | None, tolerance: float, error: float, backwards: bool) -> None:
    t = -T if backwards else T
    y = solve(t, method=method, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(y, torch.stack([torch.sin(t), torch.cos(t)], -1), rtol=0, atol=error)


@pytest.mark.julia
def test_an_algebraic_component_is_found_from_a_guess() -> None:
    y = solve(y0=torch.tensor([0.0, 0.9], dtype=DOUBLE), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(y[-1], torch.stack([torch.sin(T[-1]), torch.cos(T[-1])]), rtol=0, atol=1e-5)


@pytest.mark.julia
def test_robertson_reaches_the_published_reference() -> None:
    t = torch.tensor([0.0, ROBER.t_end], dtype=DOUBLE)
    atol = torch.tensor([1e-14, 1e-18, 1e-12], dtype=DOUBLE)
    y = pb.daeint(robertson, torch.tensor(ROBER.y0, dtype=DOUBLE), t, engine="julia", rtol=1e-8, atol=atol)
    assert isinstance(y, Tensor)
    torch.testing.assert_close(y[-1], torch.tensor(ROBER.y_end, dtype=DOUBLE), rtol=1e-3, atol=0)


@pytest.mark.julia
def test_a_dict_state() -> None:
    y0 = {"angle": torch.zeros((), dtype=DOUBLE), "height": torch.zeros(1, dtype=DOUBLE)}
    y = pb.daeint(
        lambda t, y, dy: {"angle": dy["angle"] - 1, "height": y["height"] - torch.sin(y["angle"])},
        y0,
        T,
        engine="julia",
        rtol=1e-8,
        atol=1e-8,
    )
    assert isinstance(y, dict)
    torch.testing.assert_close(y["height"][:, 0], torch.sin(T), rtol=0, atol=1e-6)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dy0": torch.zeros(3, dtype=DOUBLE)}, pb.InputError, "dy0|returned"),
        ({"differential": torch.zeros(3, dtype=DOUBLE)}, pb.InputError, "differential is shape"),
        ({"method": "Rodas5P"}, pb.UnsupportedError, "not a solver of differential-algebraic.*pyode_bridge.ddeint or"),
        ({"method": "DFBDG"}, pb.UnknownSolverError, "DFBDF"),
    ],
    ids=["dy0", "differential", "kind", "misspelt"],
)
def test_bad_input(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve(**settings)  # type: ignore[arg-type]


@pytest.mark.julia
def test_a_gradient_is_refused() -> None:
    with pytest.raises(pb.UnsupportedError, match="daeint gives no gradients yet"):
        solve(y0=Y0.clone().requires_grad_())


def test_the_embedded_engine_says_that_it_has_none() -> None:
    with pytest.raises(pb.UnsupportedError, match="ordinary differential equations over time alone"):
        solve(engine="embedded")
