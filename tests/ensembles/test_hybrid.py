"""Ensembles of equations with events: each trajectory as it would be alone."""

import math
import pickle

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.errors import InputError, SolverError
from tests.problems import DOUBLE

T = torch.linspace(0, 1.5, 16, dtype=DOUBLE)
GRAVITY = 9.81
KEPT = torch.linspace(0.7, 0.95, 5, dtype=DOUBLE)  # of the speed at each bounce
START = torch.stack([torch.linspace(0.8, 1.2, 5, dtype=DOUBLE), torch.zeros(5, dtype=DOUBLE)], 1)
METHODS = {"julia": "Tsit5", "embedded": "dopri5"}
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def fall(t, y, p):
    return torch.stack([y[1], torch.full_like(y[1], -GRAVITY)])


FLOOR = pb.Event(
    lambda t, y, p: y[0], lambda t, y, p: torch.stack([torch.zeros_like(y[0]), -p * y[1]]), direction="falling"
)
BALL = pb.Hybrid(fall, [FLOOR])


def first_two_bounces(height, kept):
    down = (2 * height / GRAVITY).sqrt()
    return torch.stack([down, down * (1 + 2 * kept)], -1)


def test_bounces_are_those_of_the_closed_form(engine):
    sol = pb.solve_ensemble(BALL, START, T, KEPT, method=METHODS[engine], engine=engine, **TIGHT)
    assert (sol.y.shape, sol.terminated.tolist(), sol.retcode) == ((16, 5, 2), [False] * 5, "Success")
    assert sol.events.trajectory.tolist() == sorted(sol.events.trajectory.tolist())
    assert sol.events.y.shape == sol.events.after.shape == (len(sol.events), 2)
    for ball in range(5):
        times = sol.events.t[sol.events.trajectory == ball]
        torch.testing.assert_close(times[:2], first_two_bounces(START[ball, 0], KEPT[ball]), rtol=1e-7, atol=0)
    speed = KEPT[sol.events.trajectory] * sol.events.y[:, 1].abs()
    torch.testing.assert_close(sol.events.after[:, 1], speed, rtol=1e-12, atol=0)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_each_trajectory_is_that_of_its_own_solve(lane):
    sol = pb.solve_ensemble(BALL, START, T, KEPT, method="Tsit5", lane=lane, **TIGHT)
    assert sol.lane == lane
    for ball, (y0, kept) in enumerate(zip(START, KEPT, strict=True)):
        alone = pb.solve_events(
            lambda t, y, p=kept: fall(t, y, p),
            y0,
            T,
            [
                pb.Event(
                    lambda t, y, p=kept: FLOOR.condition(t, y, p),
                    lambda t, y, p=kept: FLOOR.affect(t, y, p),
                    direction="falling",
                )
            ],
            method="Tsit5",
            **TIGHT,
        )
        torch.testing.assert_close(sol.y[:, ball], alone.y, rtol=1e-9, atol=1e-9)
        own = sol.events.trajectory == ball
        torch.testing.assert_close(sol.events.t[own], torch.stack([one.t for one in alone.events]))
        torch.testing.assert_close(sol.events.after[own], torch.stack([one.after for one in alone.events]))


HALF = pb.Event(lambda t, y: y["a"][0] - 0.5, terminal=True)


def test_what_an_event_has_ended_has_no_values_from_there_on(engine):
    y0 = {"a": torch.tensor([[0.4], [1.0], [4.0], [0.5 * math.exp(0.5)]], dtype=DOUBLE)}
    decay = pb.Hybrid(lambda t, y: {"a": -y["a"]}, [HALF])
    sol = pb.solve_ensemble(decay, y0, T, method=METHODS[engine], engine=engine, **TIGHT)
    assert sol.terminated.tolist() == [False, True, False, True]
    assert sol.retcode == "Terminated"
    assert sol.success
    exact = y0["a"] * torch.exp(-T)[:, None, None]
    ends = [math.inf, math.log(2), math.inf, 0.5]
    for k, end in enumerate(ends):
        before = end - 1e-6 > T
        torch.testing.assert_close(sol.y["a"][before, k], exact[before, k], rtol=1e-7, atol=1e-8)
        assert sol.y["a"][end + 1e-6 < T, k].isnan().all()
    assert sol.events.trajectory.tolist() == [1, 3]
    torch.testing.assert_close(sol.events.t, torch.tensor([math.log(2), 0.5], dtype=DOUBLE), rtol=1e-8, atol=0)
    torch.testing.assert_close(sol.events.y["a"], torch.full((2, 1), 0.5, dtype=DOUBLE), rtol=1e-8, atol=0)


@pytest.mark.julia
def test_values_at_the_time_of_an_event_are_those_before_it():
    when = pb.Event(lambda t, y: t - 0.5, lambda t, y: y + 1, direction="rising")
    y0 = torch.tensor([[1.0], [2.0]], dtype=DOUBLE)
    t = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=DOUBLE)
    sol = pb.solve_ensemble(pb.Hybrid(lambda t, y: 0 * y, [when]), y0, t, method="Tsit5", lane="compiled")
    torch.testing.assert_close(sol.y[:, :, 0], torch.tensor([[1.0, 2.0], [1, 2], [1, 2], [2, 3]], dtype=DOUBLE))


@pytest.mark.julia
def test_an_effect_that_does_more_is_called_at_each_event():
    happened = []

    def affect(t, y):
        happened.append(t.item())
        return y + 1

    ball = pb.Hybrid(lambda t, y: -y, [pb.Event(lambda t, y: y[0] - 0.5, affect)])
    y0 = torch.tensor([[1.0], [0.8], [0.2], [0.9]], dtype=DOUBLE)
    sol = pb.solve_ensemble(ball, y0, T[:8], method="Tsit5", **TIGHT)
    assert len(happened) == len(sol.events) == 3
    torch.testing.assert_close(sol.events.t, torch.log(y0[[0, 1, 3], 0] / 0.5), rtol=1e-8, atol=0)
    with pytest.raises(pb.UnsupportedError, match="does more than return a state"):
        pb.solve_ensemble(ball, y0, T[:8], method="Tsit5", lane="compiled")


@pytest.mark.julia
def test_an_effect_that_the_first_trajectory_never_has():
    lift = pb.Event(lambda t, y: y[0] - 0.5, lambda t, y: y + 1)
    y0 = torch.tensor([[0.2], [1.0], [0.8], [0.3], [0.9]], dtype=DOUBLE)
    sol = pb.solve_ensemble(pb.Hybrid(lambda t, y: -y, [lift]), y0, T[:8], method="Tsit5", lane="compiled", **TIGHT)
    assert sol.lane == "compiled"
    assert sol.events.trajectory.tolist() == [1, 2, 4]
    after = (y0[1] * torch.exp(-T[:8]) + (T[:8] > math.log(2)) * torch.exp(math.log(2) - T[:8]))[:, None]
    torch.testing.assert_close(sol.y[:, 1], after, rtol=1e-7, atol=1e-8)


def test_gradients_go_through_events(engine):
    kept, start = KEPT.clone().requires_grad_(), START.clone().requires_grad_()
    sol = pb.solve_ensemble(BALL, start, T, kept, method=METHODS[engine], engine=engine, **TIGHT)
    second = torch.stack([sol.events.t[sol.events.trajectory == ball][1] for ball in range(5)])
    found = torch.autograd.grad(second.sum(), (start, kept))
    height, share = START[:, 0].clone().requires_grad_(), KEPT.clone().requires_grad_()
    true = torch.autograd.grad(first_two_bounces(height, share)[:, 1].sum(), (height, share))
    torch.testing.assert_close(found[0][:, 0], true[0], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found[1], true[1], rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_bounces_that_pile_up_are_refused_with_the_number_of_the_trajectory():
    ball = pb.Hybrid(fall, [FLOOR], max_events=50)
    kept = torch.tensor([0.9, 0.3], dtype=DOUBLE)
    pb.solve_ensemble(ball, START[:1], T, kept[:1], method="Tsit5")  # says what the effect does
    with pytest.raises(SolverError, match=r"Trajectory 1 of 2: 50 events happened before t = 0\.795"):
        pb.solve_ensemble(ball, START[:2], T, kept, method="Tsit5", lane="compiled")


@pytest.mark.julia
def test_conditions_that_are_no_numbers_are_refused():
    wrong = pb.Hybrid(lambda t, y: -y, [pb.Event(lambda t, y: (y[0] - 0.5).sqrt())])
    with pytest.raises(InputError, match="conditions are"):
        pb.solve_ensemble(wrong, torch.tensor([[1.0], [2.0]], dtype=DOUBLE), T, method="Tsit5", lane="compiled")


@pytest.mark.julia
def test_in_a_worker():
    sol = pb.solve_ensemble(BALL, START, T, KEPT, method="Tsit5", isolation="process", **TIGHT)
    here = pb.solve_ensemble(BALL, START, T, KEPT, method="Tsit5", **TIGHT)
    assert sol.lane == "compiled"
    torch.testing.assert_close(sol.y, here.y, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(sol.events.t, here.events.t, rtol=1e-9, atol=0)


def test_what_is_no_event_is_refused():
    with pytest.raises(InputError, match="events is empty"):
        pb.solve_ensemble(pb.Hybrid(fall, []), START, T, KEPT)
    with pytest.raises(InputError, match="a list with a function"):
        pb.solve_ensemble(pb.Hybrid(fall, [fall]), START, T, KEPT)
    with pytest.raises(InputError, match="leave workers and executor out"):
        pb.solve_ensemble(BALL, START, T, KEPT, isolation="process", workers=2)


def test_it_travels_and_is_drawn():
    y0 = torch.tensor([[1.0], [0.7], [0.3]], dtype=DOUBLE)
    stop = pb.Event(lambda t, y: y[0] - 0.5, terminal=True)
    sol = pb.solve_ensemble(pb.Hybrid(lambda t, y: -y, [stop]), y0, T, method="dopri5", engine="embedded")
    again = pickle.loads(pickle.dumps(sol))
    assert torch.equal(again.events.t, sol.events.t)
    torch.testing.assert_close(again.y, sol.y, equal_nan=True)
    assert "3 trajectories, 16 times from 0 to 1.5, 2 events" in repr(sol)
    (median,) = (line for line in sol.plot().lines if "median" in line.get_label())
    assert median.get_ydata()[-1] == sol.y[-1, 2, 0]  # the one that is left
