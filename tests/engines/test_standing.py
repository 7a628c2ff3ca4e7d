"""A solve that stands is done again with other values, and never with anything else that has changed."""

from __future__ import annotations

import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.engines.julia.standing import Seat, Standing
from pyode_bridge.errors import InputError, SolverError
from tests.engines.interrupting import interrupted
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
SETTINGS: dict[str, Any] = {"engine": "julia", "method": "Tsit5", "rtol": 1e-9, "atol": 1e-9}
CLOSE = {"rtol": 1e-6, "atol": 1e-7}


class Decay(nn.Module):
    """``y' = -factor rate y``"""

    def __init__(self, rate: float = 0.7) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(rate, dtype=DOUBLE))
        self.factor = 1.0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.factor * self.rate * y

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        return y0 * torch.exp(-self.factor * self.rate * t[:, None])


@pytest.fixture
def stood(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows by whether it came to its end, at each solve that stands."""
    noted: list[bool] = []
    solve = Standing.solve

    def noting(standing: Standing, problem: Any) -> Any:
        found = solve(standing, problem)
        noted.append(found is not None)
        return found

    monkeypatch.setattr(Standing, "solve", noting)
    return noted


def standing(func: Any, **settings: Any) -> None:
    """Have a solve of a function stand."""
    for _ in range(4):
        pb.odeint(func, Y0, T, **{**SETTINGS, **settings})


@pytest.mark.parametrize("sensealg", ["DiscreteAdjoint", "GaussAdjoint", "InterpolatingAdjoint", "BacksolveAdjoint"])
def test_values_and_gradients_are_those_of_now(sensealg: str, stood: list[bool]) -> None:
    func = Decay()
    standing(func, sensealg=sensealg)
    stood.clear()
    for factor in (1.0, 1.5, -0.5):
        with torch.no_grad():
            func.rate.fill_(0.7 * factor)
        y0, t = (factor * Y0).requires_grad_(), T * abs(factor)
        y = pb.odeint(func, y0, t, **SETTINGS, sensealg=sensealg)
        exact = func.exact(y0, t)
        torch.testing.assert_close(y, exact, **CLOSE)
        inputs = y0, func.rate
        found = torch.autograd.grad(y.square().sum(), inputs)
        torch.testing.assert_close(found, torch.autograd.grad(exact.square().sum(), inputs), **CLOSE)
    assert stood, "but for the first calls with a state that requires a gradient"
    assert all(stood)


def test_times_that_want_gradients() -> None:
    func = Decay()
    for _ in range(5):
        t = T.clone().requires_grad_()
        y = pb.odeint(func, Y0, t, **SETTINGS)
        (found,) = torch.autograd.grad(y[1:].sum(), t)
        (exact,) = torch.autograd.grad(func.exact(Y0, t)[1:].sum(), t)
        torch.testing.assert_close(found[1:], exact[1:], **CLOSE)


def test_each_of_several_graphs_has_its_own_solution(stood: list[bool]) -> None:
    func = Decay()
    standing(func)
    scales = [1.0, 2.0, 3.0, 4.0]
    solved = [pb.odeint(func, scale * Y0, T, **SETTINGS)[-1].sum() for scale in scales]
    (exact,) = torch.autograd.grad(func.exact(Y0, T)[-1].sum(), func.rate)
    for place in (2, 0, 3, 1):
        for _ in range(2):
            (found,) = torch.autograd.grad(solved[place], func.rate, retain_graph=True)
            torch.testing.assert_close(found, scales[place] * exact, **CLOSE)
    assert all(stood)


def test_several_threads(stood: list[bool]) -> None:
    func = Decay()
    standing(func)

    def gradient(scale: float) -> Tensor:
        (found,) = torch.autograd.grad(pb.odeint(func, scale * Y0, T, **SETTINGS)[-1].sum(), func.rate)
        return found / scale

    (exact,) = torch.autograd.grad(func.exact(Y0, T)[-1].sum(), func.rate)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(gradient, [1.0 + place for place in range(40)]):
            torch.testing.assert_close(found, exact, **CLOSE)
    assert all(stood)


def test_what_has_changed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    func = Decay()
    with torch.no_grad():
        for _ in range(2):
            func.factor = 1.0
            standing(func)
            func.factor = 2.0
            torch.testing.assert_close(pb.odeint(func, Y0, T, **SETTINGS), func.exact(Y0, T), **CLOSE)
            func.factor = 1.0
            standing(func)
            func.rate = nn.Parameter(torch.tensor(0.2, dtype=DOUBLE))
            torch.testing.assert_close(pb.odeint(func, Y0, T, **SETTINGS), func.exact(Y0, T), **CLOSE)
            torch.testing.assert_close(pb.odeint(func, Y0, -T, **SETTINGS), func.exact(Y0, -T), **CLOSE)
            longer = torch.ones(3, dtype=DOUBLE)
            torch.testing.assert_close(pb.odeint(func, longer, T, **SETTINGS), func.exact(longer, T), **CLOSE)
    assert pb.odeint(func, Y0, T, **SETTINGS).requires_grad
    assert pb.solve(func, Y0, T, **{**SETTINGS, "method": "Vern7"}).algorithm.startswith("Vern7")
    monkeypatch.setenv("PYODE_BRIDGE_LANE", "callback")
    assert pb.solve(func, Y0, T, **SETTINGS).lane == "callback"
    monkeypatch.delenv("PYODE_BRIDGE_LANE")
    assert pb.solve(func, Y0, T, **SETTINGS).lane == "compiled"
    auto = {**SETTINGS, "lane": "auto"}
    standing(func, lane="auto")
    monkeypatch.setenv("PYODE_BRIDGE_LANE", "callback")
    assert pb.solve(func, Y0, T, **auto).lane == "callback"


def test_what_it_reports_is_what_the_first_one_did() -> None:
    func = Decay()
    first = pb.solve(func, Y0, T, **SETTINGS)
    standing(func)
    again = pb.solve(func, Y0, T, **SETTINGS)
    for name in ("nfe", "njac", "accepted", "rejected"):
        assert getattr(again.stats, name) == getattr(first.stats, name)
    for name in ("algorithm", "engine", "lane", "lane_reason", "retcode", "sensealg", "sensealg_reason", "rtol"):
        assert getattr(again, name) == getattr(first, name)
    torch.testing.assert_close(again.y, first.y, rtol=0.0, atol=0.0)
    again.y.sum().backward()
    first.y.sum().backward()
    assert again.adjoint_stats == first.adjoint_stats


def test_what_goes_wrong_is_told_as_by_other_solves() -> None:
    class Pole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.rate * y**2

    func = Pole()
    for _ in range(2):
        standing(func)
        with pytest.raises(SolverError, match=r"stopped at t = 2, before t = 4"):
            pb.odeint(func, Y0, 4 * T, **SETTINGS)
        with pytest.raises(InputError, match="y0 holds 1 NaN or Inf"):
            pb.odeint(func, torch.tensor([1.0, torch.nan], dtype=DOUBLE), T, **SETTINGS)
        with pytest.raises(InputError, match="y0 holds 1 NaN or Inf"):
            pb.odeint(func, torch.tensor([1.0, torch.nan], dtype=DOUBLE), T[:1], **SETTINGS)
        with pytest.raises(InputError, match="strictly increasing"):
            pb.odeint(func, Y0, torch.zeros(4, dtype=DOUBLE), **SETTINGS)
    torch.testing.assert_close(pb.odeint(func, Y0, T, **SETTINGS)[-1], Y0 / (1 - Y0 / 2), **CLOSE)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    class Root(Decay):
        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return torch.sqrt(self.rate) * y

    func = Root(0.5)
    standing(func, sensealg="DiscreteAdjoint")
    with torch.no_grad():
        func.rate.fill_(0.0)
    y = pb.odeint(func, Y0, T, **SETTINGS, sensealg="DiscreteAdjoint")
    with pytest.raises(SolverError, match="gave NaN or Inf"):
        y.sum().backward()


def test_without_a_method_the_explicit_one_is_tried_at_each_solve() -> None:
    class Relaxing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = nn.Parameter(torch.tensor(1.0, dtype=DOUBLE), requires_grad=False)

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.rate * (torch.cos(t) - y)

    func, t = Relaxing(), torch.tensor([0.0, 50.0], dtype=DOUBLE)
    for rate, algorithm in [(1.0, "DP5"), (1e6, "Rodas5P")] * 4:
        func.rate.fill_(rate)
        solution = pb.solve(func, Y0, t, engine="julia", rtol=1e-5, atol=1e-8)
        assert solution.algorithm.startswith(algorithm)
        end = (rate**2 * t[-1].cos() + rate * t[-1].sin()) / (1 + rate**2)
        torch.testing.assert_close(solution.y[-1], end.expand(2), rtol=1e-3, atol=1e-5)


def test_a_function_and_its_solutions_do_not_live_longer_for_it() -> None:
    func = Decay()
    standing(func)
    alive = weakref.ref(func)
    y = pb.odeint(func, Y0, T, **SETTINGS)
    del func
    assert alive() is not None, "autograd's graph has it"
    del y
    assert alive() is None


def test_julia_forgets_a_solution_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    seats: list[Seat] = []
    init = Seat.__init__

    def made(seat: Seat, *args: Any) -> None:
        init(seat, *args)
        seats.append(seat)

    monkeypatch.setattr(Seat, "__init__", made)
    func = Decay(0.3)
    standing(func)
    assert seats
    import juliacall

    kept = juliacall.Main.seval("PyODEBridge.solved")
    y = pb.odeint(func, Y0, T, **SETTINGS)
    assert any(kept(seat.julia) is not None for seat in seats)
    del y
    assert all(kept(seat.julia) is None for seat in seats)


def test_weights_changed_in_place_are_refused() -> None:
    func = Decay()
    standing(func)
    y = pb.odeint(func, Y0, T, **SETTINGS)
    with torch.no_grad():
        func.rate.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_second_derivatives_go_on_from_it() -> None:
    func = Decay()
    standing(func)
    y = pb.odeint(func, Y0, T, **SETTINGS)[-1].sum()
    (first,) = torch.autograd.grad(y, func.rate, create_graph=True)
    (second,) = torch.autograd.grad(first, func.rate)
    torch.testing.assert_close(second, y.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_ctrl_c_ends_it(phase: str) -> None:
    script = f"""
    import torch, pyode_bridge as pb
    from torch import nn
    class Swing(nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        def forward(self, t, y):
            return -self.rate * torch.sin(1000 * t) * y
    func, y0 = Swing(), torch.ones(1, dtype=torch.float64)
    short, long = (torch.tensor([0.0, end], dtype=torch.float64) for end in (1.0, 2e6))
    settings = dict(engine="julia", method="Tsit5", options=dict(maxiters=10**9), sensealg="BacksolveAdjoint")
    for _ in range(4):
        y = pb.odeint(func, y0, short, **settings)
    print("begins", flush=True)
    try:
        if {phase == "backward"}:
            while True:
                y.sum().backward(retain_graph=True)
        pb.odeint(func, y0, long, **settings)
    except KeyboardInterrupt:
        y = pb.odeint(func, y0, short, **settings)
        y.sum().backward()
        print("interrupted and solved again", flush=True)
    """
    ended = interrupted(script, "begins", after=0.5)
    assert ended.output.strip() == "interrupted and solved again", ended.errors
    assert ended.returncode == 0, ended.errors
