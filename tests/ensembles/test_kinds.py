"""Ensembles of other equations than ordinary ones: noise, delays and parts, each trajectory as it would be alone."""

import math

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.errors import InputError
from tests.problems import DOUBLE

T = torch.linspace(0, 1, 5, dtype=DOUBLE)
RATES = torch.linspace(0.5, 1.5, 6, dtype=DOUBLE)[:, None]
Y0 = torch.linspace(0.5, 1.5, 12, dtype=DOUBLE).view(6, 2)
STEPS = {"dt": 0.01, "adaptive": False}


def drift(t, y, p):
    return p * y


DIFFUSIONS = {
    "diagonal": lambda t, y, p: 0.3 * p * y,
    "scalar": lambda t, y, p: 0.3 * p * y,
    "general": lambda t, y, p: torch.stack([0.3 * p * y, 0.1 * y, torch.ones_like(y)], -1),
}


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("noise", ["diagonal", "scalar", "general"])
def test_each_path_is_that_of_its_seed(noise, lane):
    diffusion = DIFFUSIONS[noise]
    walk = pb.SDE(drift, diffusion, noise=noise, seed=7)
    sol = pb.solve_ensemble(walk, Y0, T, RATES, method="EM", options=STEPS, lane=lane)
    assert (sol.lane, sol.y.shape) == (lane, (5, 6, 2))
    alone = [
        pb.sdeint(
            lambda t, y, p=p: drift(t, y, p),
            lambda t, y, p=p: diffusion(t, y, p),
            y0,
            T,
            noise=noise,
            seed=7 + k,
            method="EM",
            options=STEPS,
        )
        for k, (y0, p) in enumerate(zip(Y0, RATES, strict=True))
    ]
    torch.testing.assert_close(sol.y, torch.stack(alone, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["SOSRI", "LambaEM", "SKenCarp", "ImplicitEM"])
def test_paths_of_chosen_steps(method):
    walk = pb.SDE(lambda t, y: -y, lambda t, y: torch.full_like(y, 0.2), seed=3)
    sol = pb.solve_ensemble(walk, Y0, T, method=method)
    alone = [
        pb.sdeint(lambda t, y: -y, lambda t, y: torch.full_like(y, 0.2), y0, T, seed=3 + k, method=method)
        for k, y0 in enumerate(Y0)
    ]
    torch.testing.assert_close(sol.y, torch.stack(alone, 1), rtol=1e-10, atol=1e-12)
    assert sol.lane == "compiled"
    assert sol.stats.nfe >= sol.stats.accepted


@pytest.mark.julia
def test_paths_are_of_torchs_seed_where_none_is_given():
    walk = pb.SDE(lambda t, y: -y, lambda t, y: torch.ones_like(y))

    def values():
        return pb.solve_ensemble(walk, Y0, T, method="EM", options=STEPS).y

    torch.manual_seed(1)
    first, second = values(), values()
    torch.manual_seed(1)
    assert torch.equal(first, values())
    assert not torch.equal(first, second)


@pytest.mark.julia
def test_paths_have_the_variance_of_the_process():
    count = 4000  # the relative error of a variance is sqrt(2 / count)
    walk = pb.SDE(lambda t, y: -y, lambda t, y: torch.ones_like(y), seed=11)
    start = torch.zeros(count, 1, dtype=DOUBLE)
    sol = pb.solve_ensemble(walk, start, T, method="EM", options=STEPS, lane="compiled")
    true = (1 - math.exp(-2)) / 2  # Ornstein and Uhlenbeck's, at time 1; Euler's steps add half a percent
    assert abs(sol.y[-1].var().item() / true - 1) < 5 * math.sqrt(2 / count)
    paths = sol.y[-1, :, 0]
    together = torch.corrcoef(torch.stack([paths[:-1], paths[1:]]))[0, 1]
    assert abs(together.item()) < 5 / math.sqrt(count)  # seeds that follow each other give noise that has no relation


@pytest.mark.julia
def test_gradients_of_paths():
    width = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    y0, rates = Y0.clone().requires_grad_(), RATES.clone().requires_grad_()
    walk = pb.SDE(drift, lambda t, y, p: width * p * y, seed=5)
    found = []
    for lane in ("compiled", "callback"):
        sol = pb.solve_ensemble(walk, y0, T, rates, method="EM", options=STEPS, lane=lane)
        assert sol.lane == lane
        found.append(torch.autograd.grad(sol.y.square().sum(), (y0, rates, width)))
    for compiled, called in zip(*found, strict=True):
        torch.testing.assert_close(compiled, called, rtol=1e-10, atol=1e-10)
    (by_state, *_) = found[0]
    final = pb.solve_ensemble(walk, y0, T, rates, method="EM", options=STEPS).y
    true = 2 * (final / y0 * final).sum(0)  # paths of this equation are proportional to their start
    torch.testing.assert_close(by_state, true, rtol=1e-9, atol=1e-9)


@pytest.mark.julia
@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**62 - 3])
def test_a_seed_that_is_none_is_refused(seed):
    walk = pb.SDE(lambda t, y: -y, lambda t, y: torch.ones_like(y), seed=seed)
    with pytest.raises(InputError, match="expected a whole number from 0 to"):
        pb.solve_ensemble(walk, Y0, T)


def test_what_is_no_function_is_refused():
    with pytest.raises(InputError, match="diffusion is a float"):
        pb.solve_ensemble(pb.SDE(lambda t, y: y, 0.1), Y0, T)
    with pytest.raises(InputError, match="func is a str; expected a function of t, y and the past"):
        pb.solve_ensemble(pb.DDE("Tsit5", lags=[1.0]), Y0, T)


def test_a_setting_that_an_equation_does_not_take_is_refused():
    with pytest.raises(pb.UnknownSettingError, match="no argument 'mass_matrix'"):
        pb.solve_ensemble(pb.DDE(lambda t, y, past: y, lags=[1.0]), Y0, T, mass_matrix=torch.eye(2))


def logistic(t, y, past, p):
    return p * y * (1 - past[0])


LATE = torch.linspace(0, 5, 11, dtype=DOUBLE)
TIGHT = {"method": "Tsit5", "rtol": 1e-9, "atol": 1e-11}


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("history", [None, lambda t, p: p * torch.cos(t)])
def test_each_delayed_trajectory_is_that_of_its_own_past(history, lane):
    y0 = Y0[:, :1]
    sol = pb.solve_ensemble(pb.DDE(logistic, [1.0], history), y0, LATE, RATES, lane=lane, **TIGHT)
    alone = [
        pb.ddeint(
            lambda t, y, past, p=p: logistic(t, y, past, p),
            start,
            LATE,
            lags=[1.0],
            history=None if history is None else lambda t, p=p: history(t, p),
            **TIGHT,
        )
        for start, p in zip(y0, RATES, strict=True)
    ]
    assert sol.lane == lane
    torch.testing.assert_close(sol.y, torch.stack(alone, 1), rtol=1e-8, atol=1e-10)


@pytest.mark.julia
def test_delays_of_a_structured_state_by_the_usual_method():
    y0 = {"a": Y0[:, :1], "b": Y0[:, 1:]}
    echo = pb.DDE(lambda t, y, past: {"a": -past[0]["b"], "b": -past[1]["a"]}, [0.5, 0.25])
    sol = pb.solve_ensemble(echo, y0, T, rtol=1e-8, atol=1e-10)
    assert sol.lane == "compiled"
    # Until the first lag, the past is the start.
    torch.testing.assert_close(sol.y["a"][:3], y0["a"] - T[:3, None, None] * y0["b"], rtol=1e-9, atol=1e-9)


@pytest.mark.julia
def test_gradients_of_delays_come_one_by_one():
    y0, rates = Y0[:, :1].clone().requires_grad_(), RATES.clone().requires_grad_()
    lag = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    wanted = (y0, rates, lag)
    together = pb.solve_ensemble(pb.DDE(logistic, lag), y0, T, rates).y.square().sum()
    alone = sum(
        pb.ddeint(lambda t, y, past, p=p: logistic(t, y, past, p), start, T, lags=lag).square().sum()
        for start, p in zip(y0, rates, strict=True)
    )
    for one, other in zip(torch.autograd.grad(together, wanted), torch.autograd.grad(alone, wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


PARTS = {
    "KahanLi8": pb.SecondOrder(lambda t, q, v: -q),
    "KenCarp4": pb.Split(lambda t, y: -50 * y, lambda t, y: torch.cos(t) * y),
    "SBDF2": pb.Split(-50 * torch.eye(2, dtype=DOUBLE), lambda t, y: torch.cos(t) * y),
    "MagnusGL6": pb.Quasilinear(lambda t, y: torch.stack([torch.stack([-t, t]), torch.stack([-t, t * t])])),
}


@pytest.mark.julia
@pytest.mark.parametrize("method", PARTS)
def test_equations_in_parts(method):
    y0 = (Y0[:, :1], Y0[:, 1:]) if method == "KahanLi8" else Y0
    options = {} if method == "KenCarp4" else {"dt": 0.01}
    sol = pb.solve_ensemble(PARTS[method], y0, T, method=method, options=options)
    called = pb.solve_ensemble(PARTS[method], y0, T, method=method, options=options, lane="callback")
    assert (sol.lane, called.lane) == ("compiled", "callback")
    torch.testing.assert_close(sol.y, called.y, rtol=1e-8, atol=1e-10)


@pytest.mark.julia
def test_dynamics_that_jump_are_asked_on_either_side():
    options = {"d_discontinuities": [0.5]}

    def func(t, y):
        return torch.where(t < 0.5, 1.0, -3.0) * torch.ones_like(y)

    sol = pb.solve_ensemble(func, Y0, T, method="Tsit5", options=options, lane="compiled")
    true = torch.where(T < 0.5, T, 0.5 - 3 * (T - 0.5))[:, None, None] + Y0
    torch.testing.assert_close(sol.y, true, rtol=1e-12, atol=1e-12)


@pytest.mark.julia
def test_a_sparse_jacobian_of_each_trajectory():
    n = 210  # components, from which on patterns are looked for
    y0 = torch.linspace(0.1, 1, 3 * n, dtype=DOUBLE).view(3, n)

    def func(t, y):
        return 100 * (torch.roll(y, 1) - 2 * y + torch.roll(y, -1)) - y**3

    settings = {"method": "FBDF", "rtol": 1e-7, "atol": 1e-9}
    sol = pb.solve_ensemble(func, y0, T, lane="compiled", **settings)
    alone = [pb.odeint(func, start, T, **settings) for start in y0]
    torch.testing.assert_close(sol.y, torch.stack(alone, 1), rtol=1e-6, atol=1e-8)
    pattern = sum(torch.roll(torch.eye(n), shift, 0) for shift in (-1, 0, 1))
    given = pb.solve_ensemble(func, y0, T, lane="compiled", jac_sparsity=pattern, **settings)
    torch.testing.assert_close(given.y, sol.y, rtol=1e-6, atol=1e-8)
