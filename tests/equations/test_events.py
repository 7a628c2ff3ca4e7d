"""Events: found where closed forms say, differentiated as the closed forms are, on every engine."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

TIGHT = {"rtol": 1e-10, "atol": 1e-10, "method": "dopri5"}


def fall(gravity: Tensor | float) -> object:
    return lambda t, y: torch.stack([y[1], -gravity * torch.ones_like(y[1])])


def bounce(restitution: Tensor | float) -> pb.Event:
    return pb.Event(
        lambda t, y: y[0], lambda t, y: torch.stack([torch.zeros_like(y[0]), -restitution * y[1]]), direction="falling"
    )


def test_a_ball_bounces_when_it_must_with_the_right_gradients(engine: str) -> None:
    height = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    gravity = torch.tensor(9.81, dtype=DOUBLE, requires_grad=True)
    restitution = torch.tensor(0.8, dtype=DOUBLE, requires_grad=True)
    y0 = torch.stack([height, torch.zeros_like(height)])
    t = torch.linspace(0.0, 1.6, 9, dtype=DOUBLE)
    found = pb.solve_events(fall(gravity), y0, t, [bounce(restitution)], engine=engine, **TIGHT)

    first = (2 * height / gravity).sqrt()
    second = first * (1 + 2 * restitution)
    assert not found.terminated
    assert [record.index for record in found.events] == [0, 0]
    torch.testing.assert_close(found.events[0].t, first, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.events[1].t, second, rtol=1e-9, atol=1e-9)
    s = t[-1] - second
    last = restitution**2 * gravity * first * s - gravity * s**2 / 2
    torch.testing.assert_close(found.y[-1, 0], last, rtol=1e-7, atol=1e-8)

    inputs = (height, gravity, restitution)
    for mine, theirs in ((found.y[-1, 0], last), (found.events[1].t, second)):
        for one, other in zip(
            torch.autograd.grad(mine, inputs, retain_graph=True),
            torch.autograd.grad(theirs, inputs, retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("direction", ["any", "rising", "falling"])
def test_directions_choose_the_crossings(engine: str, direction: str) -> None:
    event = pb.Event(lambda t, y: y[0], direction=direction)
    swing = lambda t, y: torch.stack([y[1], -y[0]])  # noqa: E731
    y0, t = torch.tensor([1.0, 0.0], dtype=DOUBLE), torch.tensor([0.0, 9.0], dtype=DOUBLE)
    found = pb.solve_events(swing, y0, t, [event], engine=engine, **TIGHT)
    zeros = [math.pi / 2, 3 * math.pi / 2, 5 * math.pi / 2]  # of cos t, which falls, rises, falls
    expected = {"any": zeros, "rising": zeros[1:2], "falling": zeros[::2]}[direction]
    assert [record.t.item() for record in found.events] == pytest.approx(expected, abs=1e-8)
    torch.testing.assert_close(found.y[-1], torch.tensor([math.cos(9), -math.sin(9)], dtype=DOUBLE), rtol=0, atol=1e-7)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_terminal_event_ends_the_solve(engine: str, backwards: bool) -> None:
    sign = -1.0 if backwards else 1.0
    events = [pb.Event(lambda t, y: y.sum() - 9.0), pb.Event(lambda t, y: y[0] - 2.0, terminal=True)]
    t = sign * torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=DOUBLE)
    found = pb.solve_events(lambda t, y: sign * y, torch.ones(1, dtype=DOUBLE), t, events, engine=engine, **TIGHT)
    assert found.terminated
    assert found.events[-1].index == 1
    assert found.events[-1].t.item() == pytest.approx(sign * math.log(2), abs=1e-9)
    assert found.t.tolist() == (sign * torch.tensor([0.0, 0.5])).tolist()
    torch.testing.assert_close(found.y[1], torch.tensor([math.exp(0.5)], dtype=DOUBLE), rtol=1e-8, atol=0)


def test_structured_states_and_parameters_of_the_condition(engine: str) -> None:
    level = torch.tensor(0.4, dtype=DOUBLE, requires_grad=True)
    y0 = {"x": torch.ones(1, dtype=DOUBLE), "clock": torch.zeros((), dtype=DOUBLE)}
    decay = lambda t, y: {"x": -y["x"], "clock": torch.ones_like(y["clock"])}  # noqa: E731
    event = pb.Event(lambda t, y: y["x"][0] - level, terminal=True)
    found = pb.solve_events(decay, y0, torch.tensor([0.0, 5.0], dtype=DOUBLE), [event], engine=engine, **TIGHT)
    record = found.events[0]
    assert record.t.item() == pytest.approx(-math.log(0.4), abs=1e-8)
    (gradient,) = torch.autograd.grad(record.t, level, retain_graph=True)
    assert gradient.item() == pytest.approx(-1 / 0.4, rel=1e-7)
    (gradient,) = torch.autograd.grad(record.y["clock"], level)
    assert gradient.item() == pytest.approx(-1 / 0.4, rel=1e-7)


def test_float32_states_bounce_too(engine: str) -> None:
    y0, t = torch.tensor([1.3, 0.0]), torch.linspace(0.0, 1.6, 5)
    found = pb.solve_events(fall(9.81), y0, t, [bounce(0.8)], engine=engine, method="dopri5", rtol=1e-5, atol=1e-6)
    first = math.sqrt(2 * 1.3 / 9.81)
    assert found.y.dtype == torch.float32
    assert [record.t.item() for record in found.events] == pytest.approx([first, 2.6 * first], rel=1e-4)


class Ball(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor(9.8, dtype=DOUBLE))
        self.radius = nn.Parameter(torch.tensor(0.2, dtype=DOUBLE))

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return state[1], -self.gravity * torch.ones_like(state[1])

    def event(self, t: Tensor, state: tuple[Tensor, Tensor]) -> Tensor:
        return state[0] - self.radius


def test_odeint_event_agrees_with_torchdiffeq(engine: str) -> None:
    ball, results = Ball(), []
    for interface in (torchdiffeq.odeint_event, pb.odeint_event):
        height = torch.tensor([10.0], dtype=DOUBLE, requires_grad=True)
        t0 = torch.tensor(0.5, dtype=DOUBLE, requires_grad=True)
        extra = {"engine": engine} if interface is pb.odeint_event else {"odeint_interface": torchdiffeq.odeint}
        t, y = interface(
            ball, (height, torch.zeros_like(height)), t0, event_fn=ball.event, rtol=1e-9, atol=1e-9, **extra
        )
        assert y[0].shape == (2, 1)
        loss = t + 2 * y[0][-1].sum() + 3 * y[1][-1].sum()
        results.append((t, y[1][-1], *torch.autograd.grad(loss, (height, t0, ball.gravity))))
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_odeint_event_may_go_back_in_time_and_watch_several_functions(engine: str) -> None:
    event_fn = lambda t, y: torch.stack([y[0] - 5.0, y[0] - 0.1])  # noqa: E731
    t, y = pb.odeint_event(
        lambda t, y: y,
        torch.ones(1, dtype=DOUBLE),
        torch.tensor(0.0),
        event_fn=event_fn,
        reverse_time=True,
        engine=engine,
        **TIGHT,
    )
    assert t.item() == pytest.approx(math.log(0.1), abs=1e-6)
    assert y[-1].item() == pytest.approx(0.1, abs=1e-7)


def test_events_that_never_come_end_the_search(engine: str) -> None:
    with pytest.raises(pb.SolverError, match="did not cross zero") as caught:
        pb.odeint_event(
            lambda t, y: 0 * y,
            torch.ones(1),
            torch.tensor(0.0),
            event_fn=lambda t, y: y[0],
            engine=engine,
            method="dopri5",
        )
    assert caught.value.t > 1e9


def test_bounces_that_pile_up_are_reported(engine: str) -> None:
    y0, t = torch.tensor([1.0, 0.0], dtype=DOUBLE), torch.tensor([0.0, 50.0], dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="7 events happened") as caught:
        pb.solve_events(fall(9.81), y0, t, [bounce(0.5)], engine=engine, max_events=7, **TIGHT)
    assert caught.value.retcode == "MaxEvents"


def test_an_event_without_a_slope_has_no_gradient_and_says_so(engine: str) -> None:
    y0 = torch.tensor([-1.0], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 2.0], dtype=DOUBLE)
    for condition in (lambda t, y: y[0].sign(), lambda t, y: (y[0] < 0).to(DOUBLE)):  # the second has no graph either
        event = pb.Event(condition, terminal=True)
        with pytest.raises(pb.InputError, match=r"no slope .* t = 1: it jumps there"):
            pb.solve_events(lambda t, y: 1 + 0 * y, y0, t, [event], engine=engine, **TIGHT)
        with torch.no_grad():
            found = pb.solve_events(lambda t, y: 1 + 0 * y, y0, t, [event], engine=engine, **TIGHT)
        assert found.events[0].t.item() == pytest.approx(1.0, abs=1e-9)


# Conditions that cross where y = 1, or at log 2, from where y grows from 0.5 as exp |t|; not all by a root.
CROSSING = {
    "jumps up": lambda t, y: (y[0] > 1).to(DOUBLE) - 0.5,
    "jumps by a sign": lambda t, y: (1 - y[0]).sign(),
    "jumps to zero": lambda t, y: (y[0] < 1).to(DOUBLE),
    "stays at zero": lambda t, y: (1 - y[0]).clamp(min=0),
    "jumps in time": lambda t, y: (t.abs() < math.log(2)).to(DOUBLE),
    "has a root": lambda t, y: 1 - y[0],
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("crossing", CROSSING)
def test_a_condition_crosses_once_however_it_does(engine: str, crossing: str, backwards: bool) -> None:
    sign = -1.0 if backwards else 1.0
    y0, t = torch.tensor([0.5], dtype=DOUBLE), sign * torch.tensor([0.0, 0.1, 2.0], dtype=DOUBLE)
    event = pb.Event(CROSSING[crossing])
    for rtol, dtype in ((1e-10, DOUBLE), (1e-3, DOUBLE), (1e-10, torch.float32)):
        solver = {**TIGHT, "rtol": rtol, "atol": rtol}
        found = pb.solve_events(lambda t, y: sign * y, y0, t.to(dtype), [event], engine=engine, **solver)
        assert [record.t.item() for record in found.events] == pytest.approx([sign * math.log(2)], abs=10 * rtol + 1e-7)
        torch.testing.assert_close(found.y[-1], 0.5 * y0.new_tensor([math.exp(2)]), rtol=50 * rtol, atol=0)
    with torch.no_grad():
        time, y = pb.odeint_event(
            lambda t, y: sign * y,
            y0,
            t[0],
            event_fn=event.condition,
            reverse_time=backwards,
            engine=engine,
            **TIGHT,
        )
    assert time.item() == pytest.approx(sign * math.log(2), abs=1e-9)
    assert y[-1].item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("direction", ["any", "rising", "falling"])
def test_directions_are_those_of_jumps_too(engine: str, direction: str) -> None:
    event = pb.Event(lambda t, y: (y[0] > 0).to(DOUBLE) - 0.5, direction=direction)
    swing = lambda t, y: torch.stack([y[1], -y[0]])  # noqa: E731
    y0, t = torch.tensor([1.0, 0.0], dtype=DOUBLE), torch.tensor([0.0, 9.0], dtype=DOUBLE)
    found = pb.solve_events(swing, y0, t, [event], engine=engine, **TIGHT)
    zeros = [math.pi / 2, 3 * math.pi / 2, 5 * math.pi / 2]  # of cos t, which falls, rises, falls
    expected = {"any": zeros, "rising": zeros[1:2], "falling": zeros[::2]}[direction]
    assert [record.t.item() for record in found.events] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("level", [1.0, 3.0])
def test_an_event_at_the_end_of_a_window_is_not_lost(engine: str, level: float) -> None:
    for event_fn in (lambda t, y: y[0] - level, lambda t, y: (y[0] < level).to(DOUBLE)):
        t, _ = pb.odeint_event(
            lambda t, y: torch.ones_like(y),
            torch.zeros(1, dtype=DOUBLE),
            torch.tensor(0.0, dtype=DOUBLE),
            event_fn=event_fn,
            engine=engine,
            **TIGHT,
        )
        assert t.item() == pytest.approx(level, abs=1e-9)


def test_a_condition_that_leaves_zero_has_not_crossed(engine: str) -> None:
    # y = 1 - cos t: at zero at the start, and again at 2 pi; below half of it, the condition stays at zero.
    conditions = [lambda t, y: y[0], lambda t, y: (y[0] - 0.5).clamp(min=0)]
    swing = lambda t, y: torch.stack([y[1], 1 - y[0]])  # noqa: E731
    y0, t = torch.zeros(2, dtype=DOUBLE), torch.tensor([0.0, 6.0], dtype=DOUBLE)
    found = pb.solve_events(swing, y0, t, list(map(pb.Event, conditions)), engine=engine, **TIGHT)
    assert [record.index for record in found.events] == [1]
    assert found.events[0].t.item() == pytest.approx(2 * math.pi - math.pi / 3, abs=1e-8)


def test_a_condition_that_stays_at_zero_has_the_gradient_of_its_way_there(engine: str) -> None:
    y0 = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    event = pb.Event(lambda t, y: (1 - y[0]).clamp(min=0), terminal=True)
    t = torch.tensor([0.0, 2.0], dtype=DOUBLE)
    found = pb.solve_events(lambda t, y: rate * y, y0, t, [event], engine=engine, **TIGHT)
    exact = -y0[0].log() / rate
    for mine, true in zip(
        torch.autograd.grad(found.events[0].t, (y0, rate)), torch.autograd.grad(exact, (y0, rate)), strict=True
    ):
        torch.testing.assert_close(mine, true, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", ["DP5", "BS3", "dopri8"])
def test_embedded_methods_are_as_exact_between_their_steps(method: str) -> None:
    swing = lambda t, y: torch.stack([y[1], -y[0]])  # noqa: E731
    y0, first = torch.tensor([1.0, 0.0], dtype=DOUBLE), math.acos(0.3)
    t = torch.tensor([0.0, first, 2 * math.pi - first, 6.0], dtype=DOUBLE)
    solver = {"method": method, "engine": "embedded", "rtol": 1e-5, "atol": 1e-5}
    found = pb.solve_events(swing, y0, t, [pb.Event(lambda t, y: y[0] - 0.3)], **solver)
    assert [record.t.item() for record in found.events] == pytest.approx(t[1:3].tolist(), abs=5e-5)
    torch.testing.assert_close(pb.odeint(swing, y0, t, **solver)[:3, 0], t[:3].cos(), rtol=0, atol=5e-5)


@pytest.mark.julia
def test_the_time_of_an_event_with_a_mass_matrix_has_its_gradient() -> None:
    y0 = torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    event = pb.Event(lambda t, y: y[0] - 0.4, terminal=True)
    t, solver = torch.tensor([0.0, 5.0], dtype=DOUBLE), {**TIGHT, "engine": "julia", "method": "Rodas5P"}
    mass = torch.diag(torch.tensor([4.0, 1.0], dtype=DOUBLE))
    found = pb.solve_events(lambda t, y: -y, y0, t, [event], mass_matrix=mass, **solver)  # y[0] is exp(-t / 4)
    record = found.events[0]
    assert record.t.item() == pytest.approx(-4 * math.log(0.4), abs=1e-7)
    (gradient,) = torch.autograd.grad(record.t + record.y[1], y0)
    # t = 4 log(y0[0] / 0.4), and y[1] = y0[1] exp(-t) there
    last = math.exp(-record.t.item())
    torch.testing.assert_close(gradient, torch.tensor([4 * (1 - 2 * last), last], dtype=DOUBLE), rtol=1e-6, atol=1e-8)
    singular = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    with pytest.raises(pb.UnsupportedError, match="singular mass_matrix"):
        pb.solve_events(
            lambda t, y: torch.stack([-y[0], y[1] - 2 * y[0]]), y0, t, [event], mass_matrix=singular, **solver
        )


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (pb.Event(lambda t, y: y), "expected a real scalar tensor"),
        (pb.Event(lambda t, y: 1.0), "expected a real scalar tensor"),
        (pb.Event(lambda t, y: y[0] * math.nan), "expected finite numbers"),
        (pb.Event(lambda t, y: y[0] - 1.5, lambda t, y: y[:1]), r"affect of event 0 returned shape \(1,\)"),
    ],
)
def test_unusable_events_are_refused(engine: str, event: pb.Event, message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.solve_events(
            lambda t, y: y, torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0]), [event], engine=engine, **TIGHT
        )


def test_no_events_and_unknown_directions_are_refused() -> None:
    with pytest.raises(pb.InputError, match="events is empty"):
        pb.solve_events(lambda t, y: y, torch.ones(2), torch.tensor([0.0, 1.0]), [])
    with pytest.raises(pb.InputError, match="rising, falling, any"):
        pb.Event(lambda t, y: y[0], direction="up")


def test_an_exception_in_a_condition_comes_back_as_itself(engine: str) -> None:
    calls = 0

    def condition(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise ZeroDivisionError("in the condition")
        return y[0] - 100.0

    with pytest.raises(ZeroDivisionError, match="in the condition"):
        pb.solve_events(
            lambda t, y: y,
            torch.ones(2),
            torch.tensor([0.0, 3.0]),
            [pb.Event(condition)],
            engine=engine,
            method="dopri5",
        )


@pytest.mark.julia
def test_a_stiff_solver_finds_events() -> None:
    # y1 relaxes fast to y0, which decays: y1 reaches 0.5 at log 2 (Rodas5P, within its tolerance).
    stiff = lambda t, y: torch.stack([-y[0], 1e5 * (y[0] - y[1]) - y[0]])  # noqa: E731
    event = pb.Event(lambda t, y: y[1] - 0.5, terminal=True)
    found = pb.solve_events(
        stiff,
        torch.ones(2, dtype=DOUBLE),
        torch.tensor([0.0, 3.0], dtype=DOUBLE),
        [event],
        engine="julia",
        method="Rodas5P",
        rtol=1e-8,
        atol=1e-10,
    )
    assert found.events[0].t.item() == pytest.approx(math.log(2), abs=1e-6)


def test_fixed_steps_find_events_if_they_have_a_length(engine: str) -> None:
    y0, t = torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 4.0], dtype=DOUBLE)
    solver = {"engine": engine, "method": "rk4"}
    event = pb.Event(lambda t, y: y[0] - 0.1, terminal=True)
    with pytest.raises(pb.UnsupportedError, match=r"rk4 takes fixed steps.*'step_size'"):
        pb.solve_events(lambda t, y: -y, y0, t, [event], **solver)
    options = {"step_size": 0.1, "interp": "cubic"}
    found = pb.solve_events(lambda t, y: -y, y0, t, [event], options=options, **solver)
    assert found.events[0].t.item() == pytest.approx(math.log(10), abs=1e-5)


def test_a_condition_that_jumps_at_a_time_ends_at_a_constant(engine: str) -> None:
    """As torchdiffeq's users add a last time to a condition."""
    y0 = torch.tensor([1.0], dtype=DOUBLE, requires_grad=True)

    def until_two(t: Tensor, y: Tensor) -> Tensor:
        return torch.zeros(()) if t > 2.0 else y[0] + 1

    when, y = pb.odeint_event(
        lambda t, y: -y, y0, torch.tensor(0.0, dtype=DOUBLE), event_fn=until_two, engine=engine, method="dopri5"
    )
    assert when.item() == pytest.approx(2.0, abs=1e-12)
    assert not when.requires_grad
    assert y[-1].item() == pytest.approx(math.exp(-2), abs=1e-7)
    (grad,) = torch.autograd.grad(y[-1].sum(), y0)
    assert grad.item() == pytest.approx(math.exp(-2), rel=1e-6)


def test_a_condition_that_jumps_at_a_state_is_refused(engine: str) -> None:
    y0 = torch.tensor([1.0], dtype=DOUBLE, requires_grad=True)
    with pytest.raises(pb.InputError, match="no slope where it crosses"):
        pb.odeint_event(
            lambda t, y: -y,
            y0,
            torch.tensor(0.0),
            event_fn=lambda t, y: torch.where(y[0] < 0.5, 0.0, 1.0),
            engine=engine,
            method="dopri5",
        )


def second_derivatives(value: Tensor, inputs: Tensor) -> Tensor:
    (first,) = torch.autograd.grad(value, inputs, create_graph=True)
    return torch.stack([torch.autograd.grad(entry, inputs, retain_graph=True)[0] for entry in first])


def test_second_derivatives_of_events(engine: str) -> None:
    """A ball that is thrown up from a height bounces twice."""
    inputs = torch.tensor([9.81, 0.8, 1.5, 1.0], dtype=DOUBLE, requires_grad=True)
    gravity, restitution, speed, height = inputs
    bounce = pb.Event(lambda t, y: y[0], lambda t, y: torch.stack([y[0], -restitution * y[1]]), direction="falling")
    t = torch.tensor([0.0, 1.2, 1.5], dtype=DOUBLE)
    found = pb.solve_events(
        lambda t, y: torch.stack([y[1], -gravity + 0 * y[1]]),
        torch.stack([height, speed]),
        t,
        [bounce],
        engine=engine,
        rtol=1e-11,
        atol=1e-12,
    )
    hits = found.events
    fall = (speed + torch.sqrt(speed**2 + 2 * gravity * height)) / gravity
    up = restitution * torch.sqrt(speed**2 + 2 * gravity * height)
    between = t[1] - fall
    exact = {
        "the first bounce": (hits[0].t, fall),
        "the velocity there": (hits[0].y[1], speed - gravity * fall),
        "the second bounce": (hits[1].t, fall + 2 * up / gravity),
        "a height between": (found.y[1, 0], up * between - gravity * between**2 / 2),
    }
    for name, (mine, theirs) in exact.items():
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}")
        second = second_derivatives(mine, inputs), second_derivatives(theirs, inputs)
        torch.testing.assert_close(*second, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_a_second_derivative_of_a_condition_that_bends(engine: str) -> None:
    """``y = exp(k t)`` meets ``y t² = c``."""
    c = 2.0

    def crossing(k: Tensor) -> Tensor:
        event = pb.Event(lambda t, y: y[0] * t**2 - c, terminal=True)
        t, y0 = torch.tensor([0.5, 4.0], dtype=DOUBLE), torch.exp(0.5 * k)[None]
        found = pb.solve_events(lambda t, y: k * y, y0, t, [event], engine=engine, rtol=1e-12, atol=1e-12)
        return found.events[0].t

    k = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    t = crossing(k)
    (first,) = torch.autograd.grad(t, k, create_graph=True)
    (second,) = torch.autograd.grad(first, k)
    at = t.detach()  # k t + 2 log t = log c, so that dt/dk = -t / (k + 2 / t)
    rate = k.detach() + 2 / at
    torch.testing.assert_close(first.detach(), -at / rate, rtol=1e-8, atol=0)
    slope = -at / rate
    torch.testing.assert_close(second, -(slope * rate - at * (1 - 2 * slope / at**2)) / rate**2, rtol=1e-6, atol=0)


def test_gradients_through_a_change_of_modes(engine: str) -> None:
    """A block slides uphill, down again, and sticks where the ground levels: friction turns with the velocity.

    Uphill it decelerates by ``g (sin a + mu cos a)``, downhill it accelerates by ``g (sin a - mu cos a)`` (Filippov's
    friction, up to its sliding), and where it comes back to its start, an effect makes ``mu`` large, so that it stops.
    """
    mu, speed, angle = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.2, 2.0, 0.5))
    gravity, brake = 9.81, 3.0

    def func(t: Tensor, y: Tensor) -> Tensor:
        _, v, mode = y  # 0 uphill, 1 downhill, 2 on level ground, 3 at rest
        slope, friction = gravity * torch.sin(angle), gravity * mu * torch.cos(angle)
        moving = torch.where(mode < 0.5, -slope - friction, -slope + friction)
        on_level = torch.where(mode < 1.5, moving, brake * mu * gravity)
        return torch.stack([torch.where(mode < 2.5, v, 0.0), torch.where(mode < 2.5, on_level, 0.0), 0 * v])

    def next_mode(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([y[0], y[1], y[2] + 1])

    turn = pb.Event(lambda t, y: torch.where(y[2] < 0.5, y[1], 1.0), next_mode, direction="falling")
    back = pb.Event(lambda t, y: torch.where((y[2] - 1).abs() < 0.5, y[0], 1.0), next_mode, direction="falling")
    rest = pb.Event(lambda t, y: torch.where((y[2] - 2).abs() < 0.5, y[1], -1.0), next_mode, direction="rising")
    y0 = torch.stack([torch.zeros((), dtype=DOUBLE), speed, torch.zeros((), dtype=DOUBLE)])
    t = torch.tensor([0.0, 4.0], dtype=DOUBLE)
    found = pb.solve_events(func, y0, t, [turn, back, rest], engine=engine, rtol=1e-10, atol=1e-12)
    assert [event.index for event in found.events] == [0, 1, 2]
    up = gravity * (torch.sin(angle) + mu * torch.cos(angle))
    down = gravity * (torch.sin(angle) - mu * torch.cos(angle))
    height = speed**2 / (2 * up)
    fast = torch.sqrt(2 * down * height)
    exact = torch.stack(
        [-(fast**2) / (2 * brake * mu * gravity), speed / up + fast / down + fast / (brake * mu * gravity)]
    )
    mine = torch.stack([found.y[-1, 0], found.events[2].t])
    torch.testing.assert_close(mine, exact, rtol=1e-8, atol=1e-8)
    for one, other in zip(mine, exact, strict=True):
        grads = (torch.autograd.grad(value, (mu, speed, angle), retain_graph=True) for value in (one, other))
        for own, true in zip(*grads, strict=True):
            torch.testing.assert_close(own, true, rtol=1e-6, atol=1e-6)


def thrown_at(ceiling: float, engine: str, requires_grad: bool = True) -> pb.EventSolution:
    """A ball that is thrown up to a height of 0.5, and passes a ceiling on its way, or does not."""
    y0 = torch.tensor([0.0, 1.0], dtype=DOUBLE, requires_grad=requires_grad)
    event = pb.Event(lambda t, y: y[0] - ceiling, direction="rising")
    times = torch.tensor([0.0, 1.5], dtype=DOUBLE)
    settings = {"rtol": 1e-4, "atol": 1e-6, "options": {"dtmax": 0.1}}
    return pb.solve_events(fall(1.0), y0, times, [event], engine=engine, **settings)


def test_an_event_that_hardly_happens_is_told(engine: str) -> None:
    with pytest.warns(pb.GradientWarning, match=r"event 0 only grazes zero at t = 0\.95.*number of events"):
        assert len(thrown_at(0.499, engine).events) == 1


@pytest.mark.parametrize(("ceiling", "requires_grad"), [(0.49, True), (0.51, True), (0.499, False)])
def test_other_events_are_not(engine: str, ceiling: float, requires_grad: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thrown_at(ceiling, engine, requires_grad)


def dropped_until(end: float, direction: str, engine: str) -> pb.EventSolution:
    """A ball that falls from 0.5 and lands after 1, or as much before."""
    y0 = torch.tensor([0.5, 0.0], dtype=DOUBLE, requires_grad=True)
    times = torch.tensor([0.0, end], dtype=DOUBLE)
    return pb.solve_events(fall(1.0), y0, times, [pb.Event(lambda t, y: y[0], direction=direction)], engine=engine)


@pytest.mark.parametrize("end", [1 - 1e-8, -1 + 1e-8])
def test_an_event_that_all_but_happened_before_the_end_is_told(engine: str, end: float) -> None:
    with pytest.warns(pb.GradientWarning, match=r"event 0 is 1e-08 and on its way to zero .* the end"):
        assert not dropped_until(end, "falling", engine).events


@pytest.mark.parametrize(("end", "direction"), [(0.99, "falling"), (-0.99, "any"), (1 - 1e-8, "rising")])
def test_an_end_apart_from_events_is_not(engine: str, end: float, direction: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dropped_until(end, direction, engine)
