"""What was chosen for a solve serves the next of the same dynamics and settings, and no other."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.engines import select_engine
from pyode_bridge.engines.julia.engine import JuliaEngine
from pyode_bridge.engines.julia.known import Choices
from pyode_bridge.errors import InputError, SolverError
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
SETTINGS: dict[str, Any] = {"engine": "julia", "method": "Tsit5", "rtol": 1e-8, "atol": 1e-8}


class Decay(nn.Module):
    """``y' = -rate y``"""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.7, dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.rate * y


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows by whether something was known at each solve."""
    noted: list[bool] = []
    ask = Choices.of

    def asked(choices: Choices, problem: Any) -> Any:
        known = ask(choices, problem)
        noted.append(known is not None)
        return known

    monkeypatch.setattr(Choices, "of", asked)
    return noted


def trained(func: Decay, **settings: Any) -> tuple[Tensor, Tensor]:
    """The last value, and its derivative by the rate."""
    func.rate.grad = None
    y = pb.odeint(func, Y0, T, **{**SETTINGS, **settings})
    y[-1].sum().backward()
    assert func.rate.grad is not None
    return y[-1].detach(), func.rate.grad


def test_the_next_solve_is_of_the_values_then(found: list[bool]) -> None:
    func = Decay()
    for rate in (0.7, 0.7, 0.7, 1.3, -0.4):
        with torch.no_grad():
            func.rate.fill_(rate)
        value, grad = trained(func)
        exact = Y0 * torch.exp(torch.tensor(-rate, dtype=DOUBLE))
        torch.testing.assert_close(value, exact, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(grad, -exact.sum(), rtol=1e-6, atol=1e-6)
    assert all(found[2:])


def test_other_states_and_times(found: list[bool]) -> None:
    func = Decay()
    with torch.no_grad():
        for scale in (1.0, 1.0, 2.0, 3.0):
            y = pb.odeint(func, scale * Y0, scale * T, **SETTINGS)
            torch.testing.assert_close(y, scale * Y0 * torch.exp(-0.7 * scale * T)[:, None], rtol=1e-6, atol=1e-6)
        backwards = pb.odeint(func, Y0, T.flip(0), **SETTINGS)
    torch.testing.assert_close(backwards[-1], Y0 * torch.exp(torch.tensor(0.7, dtype=DOUBLE)), rtol=1e-6, atol=1e-6)
    assert found[-2], "which the solves before were"
    assert not found[-1], "in the other direction"


@pytest.mark.parametrize(
    "other",
    [{"rtol": 1e-3}, {"method": "Vern7"}, {"sensealg": "GaussAdjoint"}, {"options": {"maxiters": 100_000}}],
    ids=["rtol", "method", "sensealg", "options"],
)
def test_other_settings_are_chosen_anew(other: dict[str, Any], found: list[bool]) -> None:
    func = Decay()
    for _ in range(3):
        trained(func)
    assert found[-1]
    trained(func, **other)
    assert not found[-1]


def test_settings_that_were_known_are_heard() -> None:
    func = Decay()
    for _ in range(3):
        loose = pb.solve(func, Y0, T, **{**SETTINGS, "rtol": 1e-2, "atol": 1e-2})
        tight = pb.solve(func, Y0, T, **SETTINGS)
        assert loose.stats.nfe < tight.stats.nfe
        with pytest.raises(SolverError, match="maximum number of steps"):
            pb.solve(func, Y0, T, **SETTINGS, options={"maxiters": 1})
        with pytest.raises(InputError, match="y0 holds 1 NaN"):
            pb.solve(func, torch.tensor([1.0, float("nan")], dtype=DOUBLE), T, **SETTINGS)
        assert pb.solve(func, Y0, T, **{**SETTINGS, "engine": "embedded", "method": "dopri5"}).engine == "embedded"
        assert pb.solve(func, Y0, T, **SETTINGS, lane="callback").lane == "callback"


def test_gradients_are_wanted_of_what_requires_them_now() -> None:
    func = Decay()
    for _ in range(3):
        func.rate.requires_grad_(True)
        assert pb.odeint(func, Y0, T, **SETTINGS).requires_grad
        func.rate.requires_grad_(False)
        assert not pb.odeint(func, Y0, T, **SETTINGS).requires_grad
        start = Y0.clone().requires_grad_()
        (grad,) = torch.autograd.grad(pb.odeint(func, start, T, **SETTINGS)[-1].sum(), start)
        torch.testing.assert_close(grad, torch.exp(-0.7 * torch.ones(2, dtype=DOUBLE)), rtol=1e-6, atol=1e-6)


def test_each_solve_warns(found: list[bool]) -> None:
    func = Decay()
    for _ in range(3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trained(func, sensealg="GaussAdjoint", adjoint_method="FBDF")
        assert any(issubclass(warning.category, pb.GradientWarning) for warning in caught), "see `may_mislead`"
    assert not any(found)


def test_stiffness_is_found_at_each_solve() -> None:
    def stiff(t: Tensor, y: Tensor) -> Tensor:
        return -1e5 * (y - torch.cos(t))

    for _ in range(3):
        solution = pb.solve(stiff, Y0, T, engine="julia", rtol=1e-6, atol=1e-8)
        assert solution.algorithm == "Rodas5P"
        torch.testing.assert_close(solution.y[-1], torch.cos(T[-1]).expand(2), rtol=1e-4, atol=1e-4)


def test_choices_end_with_their_translation() -> None:
    engine = select_engine("julia")
    assert isinstance(engine, JuliaEngine)
    for _ in range(3):
        trained(Decay())
    kept = engine._choices._known
    translations = {*engine._bridge.translations.known.values()}
    assert translations.issuperset(kept)
    assert sum(len(known) for known in kept.values()) <= 64 * len(kept)
