"""What a solver asks of a state as it goes on, compiled where it does nothing but answer."""

import pytest
import torch

import pyode_bridge as pb
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia

T = torch.linspace(0, 3, 7, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
SETTINGS = {"method": "Tsit5", "rtol": 1e-8, "atol": 1e-8}


LOOSE = {"method": "BS3", "rtol": 0.0, "atol": 0.3}  # with which steps end on either side of zero


def decay(t, y):
    return -5 * y


def below_zero(t, y):
    return (y < 0).any()


def solve(lane="auto", **settings):
    return pb.solve(decay, Y0, T, **{**LOOSE, "options": {"isoutofdomain": below_zero}, **settings}, lane=lane)


def test_steps_are_rejected_as_callbacks_reject_them():
    compiled, called = solve("compiled"), solve("callback")
    free = pb.solve(decay, Y0, T, **LOOSE)
    assert compiled.lane == "compiled"
    assert (compiled.stats.accepted, compiled.stats.rejected) == (called.stats.accepted, called.stats.rejected)
    assert compiled.stats.rejected > free.stats.rejected
    assert bool((free.y < 0).any())
    assert bool((compiled.y >= 0).all())
    torch.testing.assert_close(compiled.y, called.y, rtol=1e-10, atol=1e-12)


def test_nothing_calls_python():
    there = solve(isolation="process")  # where Python cannot be called
    torch.testing.assert_close(there.y, solve().y, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_the_end_of_a_solve_that_is_unstable(lane):
    options = {"unstable_check": lambda t, y: y.abs().amax() > 2}
    with pytest.raises(pb.SolverError) as caught:
        pb.solve(lambda t, y: y, Y0, T, **SETTINGS, options=options, lane=lane)
    assert caught.value.retcode == "Unstable"
    assert 0.69 < caught.value.t < 1.5  # of a step that ends behind ln 2


def test_backwards_in_time_it_gets_the_users_time():
    def late(t, y):
        return t < 2.0

    t = torch.tensor([3.0, 2.5, 1.0], dtype=DOUBLE)
    for lane in ("compiled", "callback"):
        with pytest.raises(pb.SolverError) as caught:
            pb.solve(lambda t, y: -y, Y0, t, **SETTINGS, options={"isoutofdomain": late}, lane=lane)
        assert caught.value.t == pytest.approx(2.0, abs=1e-6)


def test_one_that_does_more_is_called():
    asked = []

    def counting(t, y):
        asked.append(t.item())
        return False

    found = solve(options={"isoutofdomain": counting})
    assert found.lane == "compiled"
    assert len(asked) >= found.stats.accepted


def test_one_that_decides_in_python_is_called():
    def deciding(t, y):
        return y.min().item() < 0

    found, compiled = solve(options={"isoutofdomain": deciding}), solve()
    assert found.stats.rejected == compiled.stats.rejected


def test_what_is_neither_true_nor_false_is_refused_before_the_solve():
    with pytest.raises(pb.InputError, match=r"returned a tensor of shape \(2,\); expected True or False"):
        solve(options={"isoutofdomain": lambda t, y: y < 0})


def test_parameters_of_an_ensembles_trajectories_and_their_gradients():
    rates = torch.tensor([[1.0], [2.0], [3.0]], dtype=DOUBLE, requires_grad=True)
    options = {"isoutofdomain": below_zero}
    sol = pb.solve_ensemble(
        lambda t, y, p: -p * y, Y0.expand(3, 2), T, rates, **SETTINGS, options=options, lane="compiled"
    )
    exact = Y0 * torch.exp(-rates * T[:, None, None])
    torch.testing.assert_close(sol.y, exact, rtol=1e-6, atol=1e-7)
    (found,) = torch.autograd.grad(sol.y[-1].sum(), rates, retain_graph=True)
    (true,) = torch.autograd.grad(exact[-1].sum(), rates)
    torch.testing.assert_close(found, true, rtol=1e-5, atol=1e-7)
