"""Events that the engine follows by itself: conditions and effects compiled, and what is left to Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.equations import following
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

SOLVER: dict[str, Any] = {"engine": "julia", "method": "Tsit5", "rtol": 1e-9, "atol": 1e-9}
START = torch.tensor([1.0, 0.0], dtype=DOUBLE)
T = torch.linspace(0.0, 3.0, 13, dtype=DOUBLE)


def fall(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack([y[1], torch.full_like(y[1], -9.81)])


def back(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(y[0]), -0.8 * y[1]])


def height(t: Tensor, y: Tensor) -> Tensor:
    return y[0]


FLOOR = pb.Event(height, back, direction="falling")


@pytest.fixture
def follows(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each attempt to have the engine follow events came to."""
    came: list[Any] = []

    def noted(*args: Any) -> Any:
        came.append(following.follow(*args))
        return came[-1]

    monkeypatch.setattr("pyode_bridge.equations.events.follow", noted)
    return came


def test_both_ways_find_the_same(follows: list[Any]) -> None:
    pb.solve_events(fall, START, T, [FLOOR], **SOLVER)  # which shows what the effect does
    with torch.no_grad():
        found = pb.solve_events(fall, START, T, [FLOOR], **SOLVER)
        assert len(follows[-1].indices) == len(found.events) > 5
        called = pb.solve_events(fall, START, T, [FLOOR], lane="callback", **SOLVER)
    assert found.trajectories[0].lane == "compiled"
    assert len(found.trajectories) == 1
    torch.testing.assert_close(found.y, called.y, rtol=1e-7, atol=1e-7)
    first = math.sqrt(2 / 9.81)
    for number, (one, other) in enumerate(zip(found.events, called.events, strict=True)):
        torch.testing.assert_close(one.t, other.t, rtol=1e-8, atol=0.0)
        exact = first * (1 + 2 * sum(0.8**k for k in range(1, number + 1)))
        assert one.t.item() == pytest.approx(exact, rel=1e-8)
        torch.testing.assert_close(one.after, other.after, rtol=1e-7, atol=1e-8)


def test_gradients_come_from_solves_between_what_was_found(follows: list[Any]) -> None:
    restitution = torch.tensor(0.8, dtype=DOUBLE, requires_grad=True)
    event = pb.Event(
        height, lambda t, y: torch.stack([torch.zeros_like(y[0]), -restitution * y[1]]), direction="falling"
    )
    results = {}
    for lane in ("auto", "callback"):
        found = pb.solve_events(fall, START, T, [event], lane=lane, **SOLVER)
        results[lane] = torch.autograd.grad(found.y[-1, 0] + found.events[-1].t, restitution)[0]
        if lane == "auto":
            assert any(one is not None and len(one.indices) > 1 for one in follows)
    torch.testing.assert_close(results["auto"], results["callback"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["list", "attribute", "tensor", "print"])
def test_effects_that_do_more_are_called_once_an_event(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Count:
        number = 0

    count, times, total = Count(), [], torch.zeros((), dtype=DOUBLE)

    def more(t: Tensor, y: Tensor) -> Tensor:
        if kind == "list":
            times.append(t.item())
        elif kind == "attribute":
            count.number += 1
        elif kind == "tensor":
            total.add_(1)
        else:
            print("bounce")
        return back(t, y)

    with torch.no_grad():
        for _ in range(2):
            found = pb.solve_events(fall, START, T, [pb.Event(height, more, direction="falling")], **SOLVER)
    counted = {"list": len(times), "attribute": count.number, "tensor": int(total)}
    counted["print"] = capsys.readouterr().out.count("bounce")
    assert counted[kind] == 2 * len(found.events)


def test_an_effect_may_switch_what_the_dynamics_do() -> None:
    class Heating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.on = True

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -0.5 * y + (2.0 if self.on else 0.0)

        def switch(self, t: Tensor, y: Tensor) -> Tensor:
            self.on = not self.on
            return y

    heating = Heating()
    events = [
        pb.Event(lambda t, y: y[0] - 2.5, heating.switch, direction="rising"),
        pb.Event(lambda t, y: y[0] - 1.5, heating.switch, direction="falling"),
    ]
    y0, t = torch.tensor([1.0], dtype=DOUBLE), torch.linspace(0.0, 5.0, 6, dtype=DOUBLE)
    with torch.no_grad():
        found = pb.solve_events(heating, y0, t, events, **SOLVER)
    rise, sink = 2 * math.log(3.0 / 1.5), 2 * math.log(2.5 / 1.5)
    again = 2 * math.log(2.5 / 1.5)
    expected = [rise, rise + sink, rise + sink + again, rise + 2 * sink + again]
    torch.testing.assert_close(
        torch.stack([one.t for one in found.events]), torch.tensor(expected, dtype=DOUBLE)[: len(found.events)]
    )
    assert [one.index for one in found.events] == [0, 1, 0, 1][: len(found.events)]


def test_events_of_several_kinds_and_back_in_time(follows: list[Any]) -> None:
    swing = lambda t, y: torch.stack([y[1], -y[0]])  # noqa: E731
    events = [
        pb.Event(lambda t, y: y[0], direction="rising"),
        pb.Event(lambda t, y: y[1], lambda t, y: torch.stack([y[0], y[1]])),
        pb.Event(lambda t, y: t + 11.0, terminal=True),
    ]
    t = torch.linspace(0.0, -12.0, 25, dtype=DOUBLE)
    with torch.no_grad():
        pb.solve_events(swing, START, t, events, **SOLVER)
        found = pb.solve_events(swing, START, t, events, **SOLVER)
    assert len(follows[-1].indices) == len(found.events)
    assert found.terminated
    assert found.t[-1].item() == -10.5
    index = [one.index for one in found.events]
    assert index == [1, 0, 1, 1, 0, 1, 2] or index[-1] == 2
    torch.testing.assert_close(found.y[:, 0], found.t.cos(), rtol=1e-7, atol=1e-7)
    for one in found.events[:-1]:
        value = one.y[one.index]
        assert abs(value.item()) < 1e-8


def test_what_cannot_be_followed_is_solved_as_before(follows: list[Any]) -> None:
    with torch.no_grad():
        for settings in ({**SOLVER, "method": "rk4", "options": {"step_size": 0.01}}, {**SOLVER, "lane": "callback"}):
            found = pb.solve_events(fall, START, T[:5], [FLOOR], **settings)
            assert follows[-1] is None
            assert found.events[0].t.item() == pytest.approx(math.sqrt(2 / 9.81), rel=1e-4)


def test_a_condition_that_depends_on_data_is_asked_in_python(follows: list[Any]) -> None:
    event = pb.Event(lambda t, y: y[0] if y[1] < 0 else y[0] + 1.0, back, direction="falling")
    with torch.no_grad():
        found = pb.solve_events(fall, START, T[:5], [event], **SOLVER)
    assert follows == [None]
    assert found.events[0].t.item() == pytest.approx(math.sqrt(2 / 9.81), rel=1e-8)


@pytest.mark.parametrize("make", [lambda y: y * math.nan, lambda y: y.log()])
def test_conditions_that_are_no_numbers_raise(make: Callable[[Tensor], Tensor]) -> None:
    event = pb.Event(lambda t, y: make(y[0]), direction="falling")
    with torch.no_grad(), pytest.raises(pb.InputError, match=r"conditions are \[.*\] at t = .*; expected finite"):
        pb.solve_events(fall, START, T, [event], **SOLVER)


def test_too_many_events_are_reported_by_the_engine_too() -> None:
    with torch.no_grad():
        pb.solve_events(fall, START, T, [FLOOR], **SOLVER)
        with pytest.raises(pb.SolverError, match="4 events happened before t = "):
            pb.solve_events(fall, START, T, [FLOOR], max_events=4, **SOLVER)


@pytest.mark.parametrize("method", [None, "FBDF", "Rodas5P", "Vern9"])
def test_events_of_other_methods(method: str | None) -> None:
    solver = {**SOLVER, "method": method}
    with torch.no_grad():
        pb.solve_events(fall, START, T, [FLOOR], **solver)
        found = pb.solve_events(fall, START, T, [FLOOR], **solver)
    first = math.sqrt(2 / 9.81)
    for number, one in enumerate(found.events):
        exact = first * (1 + 2 * sum(0.8**k for k in range(1, number + 1)))
        assert one.t.item() == pytest.approx(exact, rel=1e-6)


def test_isolated_solves_find_events_too() -> None:
    with torch.no_grad():
        found = pb.solve_events(fall, START, T, [pb.Event(height, terminal=True)], isolation="process", **SOLVER)
    assert found.events[0].t.item() == pytest.approx(math.sqrt(2 / 9.81), rel=1e-8)
