"""Many trajectories at once: each as it would be alone, with gradients, on threads where the dynamics compile."""

import os
import signal
import threading
import time

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.engines.julia.ensemble import Solved
from pyode_bridge.errors import InputError, SolverError
from tests.garbage import cyclic_garbage
from tests.problems import DOUBLE, Logistic

T = torch.linspace(0, 2, 5, dtype=DOUBLE)
METHODS = {"julia": "Tsit5", "embedded": "dopri5"}
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def states(count):
    return torch.linspace(0.2, 2.0, 2 * count, dtype=DOUBLE).view(count, 2)


def test_each_trajectory_is_that_of_its_own_solve(engine):
    func, y0 = Logistic(), states(7)
    sol = pb.solve_ensemble(func, y0, T, method=METHODS[engine], engine=engine, **TIGHT)
    assert sol.y.shape == (5, 7, 2)
    assert sol.lane == ("compiled" if engine == "julia" else "native")
    torch.testing.assert_close(sol.y, func.exact(y0, T), rtol=1e-7, atol=1e-8)


def test_one_trajectory_is_its_own_solve(engine):
    rates = torch.tensor([[0.5]], dtype=DOUBLE, requires_grad=True)
    settings = {"method": METHODS[engine], "engine": engine, **TIGHT}
    sol = pb.solve_ensemble(lambda t, y, p: -p * y, states(1), T, rates, **settings)
    alone = pb.odeint(lambda t, y: -rates[0] * y, states(1)[0], T, **settings)
    torch.testing.assert_close(sol.y, alone[:, None], rtol=1e-13, atol=0)
    found, true = (torch.autograd.grad(y[-1].sum(), rates)[0] for y in (sol.y, alone))
    torch.testing.assert_close(found, true, rtol=1e-12, atol=0)


def test_gradients_reach_states_sets_of_parameters_and_shared_ones(engine):
    shared = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    rates = torch.linspace(0.5, 1.5, 4, dtype=DOUBLE)[:, None].requires_grad_()
    y0 = states(4).requires_grad_()

    def func(t, y, p):
        return -p * shared * y

    sol = pb.solve_ensemble(func, y0, T, rates, method=METHODS[engine], engine=engine, **TIGHT)
    exact = y0 * torch.exp(-rates * shared * T[:, None, None])
    weights = torch.linspace(1, 2, exact.numel(), dtype=DOUBLE).view(exact.shape)
    found = torch.autograd.grad((sol.y * weights).sum(), (y0, rates, shared))
    true = torch.autograd.grad((exact * weights).sum(), (y0, rates, shared))
    for grad, expected in zip(found, true, strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-6, atol=1e-8)


def test_structured_states_and_parameters(engine):
    y0 = {"q": torch.ones(3, 2, dtype=DOUBLE), "v": torch.zeros(3, 2, dtype=DOUBLE)}
    params = {"k": torch.tensor([1.0, 2.0, 4.0], dtype=DOUBLE)}

    def func(t, y, p):
        return {"q": y["v"], "v": -p["k"] * y["q"]}

    sol = pb.solve_ensemble(func, y0, T, params, method=METHODS[engine], engine=engine, **TIGHT)
    exact = torch.cos(params["k"].sqrt() * T[:, None])[..., None].expand(5, 3, 2)
    torch.testing.assert_close(sol.y["q"], exact, rtol=1e-7, atol=1e-7)


def test_a_trajectory_that_fails_is_named(engine):
    y0 = torch.tensor([[0.1], [5.0]], dtype=DOUBLE)
    with pytest.raises(SolverError):
        pb.solve_ensemble(lambda t, y: y**2, y0, T, method=METHODS[engine], engine=engine)


@pytest.mark.filterwarnings("ignore::pyode_bridge.ToleranceWarning")
def test_a_tolerance_finer_than_the_numbers_is_blamed(engine):
    with pytest.raises(SolverError, match=r"rtol=1e-12 is less than torch\.float32 can hold"):
        pb.solve_ensemble(
            Logistic().float(),
            states(2).float(),
            T.float(),
            method=METHODS[engine],
            engine=engine,
            rtol=1e-12,
            atol=1e-12,
            options={"maxiters": 1000},
        )


def test_tolerances_by_component(engine):
    func, y0 = Logistic(), states(3)
    bounds = {"rtol": torch.tensor([1e-9, 1e-8], dtype=DOUBLE), "atol": torch.tensor([1e-11, 1e-9], dtype=DOUBLE)}
    sol = pb.solve_ensemble(func, y0, T, method=METHODS[engine], engine=engine, **bounds)
    torch.testing.assert_close(sol.y, func.exact(y0, T), rtol=1e-6, atol=1e-7)


@pytest.mark.julia
def test_the_lane_of_the_environment(monkeypatch):
    monkeypatch.setenv("PYODE_BRIDGE_LANE", "callback")
    sol = pb.solve_ensemble(Logistic(), states(2), T, method="Tsit5", engine="julia")
    assert (sol.lane, sol.lane_reason) == ("callback", "as asked for")


def test_a_lane_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="lane is 'fast'; expected one of"):
        pb.solve_ensemble(Logistic(), states(2), T, lane="fast")


def test_unequal_leading_dimensions_are_refused():
    with pytest.raises(InputError, match="params has 3 sets, but y0 has 2"):
        pb.solve_ensemble(lambda t, y, p: y, torch.ones(2, 1), T, torch.ones(3, 1))


@pytest.mark.julia
def test_dynamics_that_do_not_compile_are_solved_one_after_another():
    def func(t, y):
        return -y if y.sum() > 0 else y

    sol = pb.solve_ensemble(func, states(2), T, method="Tsit5", engine="julia", **TIGHT)
    assert sol.lane == "callback"
    torch.testing.assert_close(sol.y, states(2) * torch.exp(-T)[:, None, None], rtol=1e-7, atol=1e-8)


@pytest.mark.julia
def test_gradients_where_more_would_be_kept_than_is_wise():
    from juliacall import Main

    func = Logistic()
    y0 = torch.linspace(0.2, 2.0, 300 * 500, dtype=DOUBLE).view(300, 500).requires_grad_()
    sol = pb.solve_ensemble(func, y0, T, method="Tsit5", engine="julia", lane="compiled", **TIGHT)
    vectors = 8 * sol.stats.accepted  # a state and seven stages a step
    assert vectors * y0[0].nbytes > Main.PyODEBridge.MOST_SOLUTION_BYTES
    (found,) = torch.autograd.grad(sol.y[-1].square().sum(), y0)
    (true,) = torch.autograd.grad(func.exact(y0, T)[-1].square().sum(), y0)
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_what_backward_solves_need_does_not_wait_for_the_collector_of_cycles():
    y0 = states(3).requires_grad_()
    left = cyclic_garbage(lambda: pb.solve_ensemble(Logistic(), y0, T, method="Tsit5", **TIGHT).y.sum().backward())
    assert Solved not in left


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "AutoTsit5(Rosenbrock23())"])
def test_implicit_solvers_and_many_trajectories(method):
    func, y0 = Logistic(), states(100)
    sol = pb.solve_ensemble(func, y0, T, method=method, engine="julia", lane="compiled", progress=True, **TIGHT)
    torch.testing.assert_close(sol.y, func.exact(y0, T), rtol=1e-5, atol=1e-6)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["BS3", "BS5", "DP5", "DP8", "Tsit5", "Vern6", "Vern7", "Vern8", "Vern9", "Rodas5P"])
def test_each_trajectory_is_solved_as_if_it_were_alone(method):
    torch.manual_seed(1)
    rates = 0.5 + 20 * torch.rand(40, 1, dtype=DOUBLE)  # more than lanes, and of very different steps

    def f(t, y, p):
        return torch.stack([y[1], -p[0] * y[0] - torch.sin(3 * t) * y[1]])

    settings = {"engine": "julia", "method": method, "rtol": 1e-8, "atol": 1e-10}
    y0s = torch.randn(40, 2, dtype=DOUBLE)
    sol = pb.solve_ensemble(f, y0s, T, rates, **settings)
    alone = [pb.solve(lambda t, y, p=p: f(t, y, p), y0, T, **settings) for y0, p in zip(y0s, rates, strict=True)]
    assert torch.equal(sol.y, torch.stack([one.y for one in alone], 1))
    assert (sol.stats.nfe, sol.stats.accepted) == (
        sum(one.stats.nfe for one in alone),
        sum(one.stats.accepted for one in alone),
    )


DECAY_MASS = torch.tensor([[2.0, 1.0], [0.0, 4.0]], dtype=DOUBLE)


@pytest.mark.julia
def test_a_mass_matrix_holds_for_each_trajectory():
    y0 = states(3).requires_grad_()
    rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    sol = pb.solve_ensemble(
        lambda t, y: -rate * y, y0, T, method="Rodas5P", engine="julia", mass_matrix=DECAY_MASS, **TIGHT
    )
    assert sol.lane_reason == "func was translated to Julia"
    matrix = -rate * torch.linalg.inv(DECAY_MASS)
    exact = torch.stack([y0 @ torch.linalg.matrix_exp(matrix * time).mT for time in T])
    torch.testing.assert_close(sol.y, exact, rtol=1e-6, atol=1e-8)
    weights = torch.linspace(1, 2, exact.numel(), dtype=DOUBLE).view(exact.shape)
    found = torch.autograd.grad((sol.y * weights).sum(), (y0, rate))
    true = torch.autograd.grad((exact * weights).sum(), (y0, rate))
    for grad, expected in zip(found, true, strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.julia
def test_a_singular_mass_matrix_makes_each_trajectory_a_dae():
    y0 = torch.tensor([[1.0, 0.5], [2.0, 1.0]], dtype=DOUBLE)
    mass = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    sol = pb.solve_ensemble(
        lambda t, y: torch.stack([y[1] - 2 * y[0], y[1] - 0.5 * y[0]]),
        y0,
        T,
        method="Rodas5P",
        engine="julia",
        lane="compiled",
        mass_matrix=mass,
        **TIGHT,
    )
    torch.testing.assert_close(sol.y, y0 * torch.exp(-1.5 * T)[:, None, None], rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_what_calls_python_is_solved_one_after_another_and_says_so(monkeypatch):
    threads = set()

    def negative(t, y):
        threads.add(threading.get_ident())
        return bool((y < 0).any())

    func, y0 = Logistic(), states(3)
    for given, why in (
        ({"options": {"isoutofdomain": negative}}, "isoutofdomain is evaluated in Python"),
        ({"options": {"unstable_check": negative}}, "unstable_check is evaluated in Python"),
    ):
        settings = {"method": "Tsit5", "engine": "julia", **TIGHT, **given}
        with torch.no_grad():
            sol = pb.solve_ensemble(func, y0, T, **settings)
        assert sol.lane_reason.endswith(f"solved one after another, because {why}")
        torch.testing.assert_close(sol.y, func.exact(y0, T), rtol=1e-6, atol=1e-7)
        with pytest.raises(pb.UnsupportedError, match=f"lane='compiled' cannot serve this ensemble, because {why}"):
            pb.solve_ensemble(func, y0, T, lane="compiled", **settings)
    assert threads == {threading.get_ident()}


@pytest.mark.julia
def test_a_jacobian_that_is_not_translated_is_each_trajectorys_own(monkeypatch):
    monkeypatch.setattr("pyode_bridge.compiled.capture.functions.LARGEST_JACOBIAN", 3)
    rates = torch.tensor([[1.0], [900.0]], dtype=DOUBLE)
    y0 = torch.linspace(0.5, 1.0, 10, dtype=DOUBLE).view(2, 5)
    settings = {"method": "Rodas5P", "engine": "julia", **TIGHT}
    sol = pb.solve_ensemble(lambda t, y, p: -p * y * (1 + 0 * y.sum()), y0, T, rates, **settings)
    assert "its Jacobian is not translated" in sol.lane_reason
    torch.testing.assert_close(sol.y, y0 * torch.exp(-rates * T[:, None, None]), rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_gradients_reach_the_times():
    t, y0 = T.clone().requires_grad_(), states(2)
    sol = pb.solve_ensemble(Logistic(), y0, t, method="Tsit5", engine="julia", **TIGHT)
    (found,) = torch.autograd.grad(sol.y[-1].sum(), t)
    (true,) = torch.autograd.grad(Logistic().exact(y0, t)[-1].sum(), t)
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_gradients_of_dynamics_without_parameters():
    y0 = states(3).requires_grad_()
    sol = pb.solve_ensemble(lambda t, y: -y, y0, T, method="Tsit5", engine="julia", lane="compiled", **TIGHT)
    (found,) = torch.autograd.grad(sol.y[-1].sum(), y0)
    torch.testing.assert_close(found, torch.exp(-T[-1]).expand(3, 2), rtol=1e-7, atol=1e-8)


@pytest.mark.julia
def test_an_error_of_julias_arrives_in_its_own_words():
    with pytest.raises(pb.BridgeError, match="mass") as caught:
        pb.solve_ensemble(lambda t, y: -y, states(9), T, method="Tsit5", engine="julia", mass_matrix=DECAY_MASS)
    assert "TaskFailed" not in str(caught.value)


def hours(count):
    """Solves of which each alone would take hours."""
    pb.solve_ensemble(
        lambda t, y: -torch.sin(1000 * t) * y,
        torch.ones(count, 1, dtype=DOUBLE),
        1e6 * T,
        method="Tsit5",
        engine="julia",
        lane="compiled",
        options={"maxiters": 10**9},
        progress=True,
    )


@pytest.mark.julia
@pytest.mark.parametrize("count", [1, 40])
def test_ctrl_c_ends_an_ensemble_within_a_trajectory(count, capsys):
    solve = lambda: pb.solve_ensemble(lambda t, y: -y, states(2), T, method="Tsit5", engine="julia", lane="compiled")  # noqa: E731
    solve()  # compiles
    for _ in range(2):  # the first may compile
        timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            hours(count)
        timer.join()
        began = time.perf_counter()
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        hours(count)
    assert time.perf_counter() - began < 1.5
    solve()


@pytest.mark.julia
def test_compiled_functions_are_looked_at_now_and_then():
    from juliacall import Main

    # 250 calls, of which every hundredth looks: a look at each would cost more than small dynamics.
    looks = Main.seval("""
    let env = zeros(Int, 20), K = PyODEBridge.Kernels, calls = 0
        env[K.TICK] = Int(@cfunction(PyODEBridge.ensemble_tick, Cint, (Cdouble,)))
        env[K.LEFT] = 1
        GC.@preserve env begin
            for _ in 1:250
                before = env[K.LEFT]
                K.begin_call(pointer(env), 6, 0.0) || error("stopped")
                calls += env[K.LEFT] > before
            end
        end
        calls
    end
    """)
    assert looks == 3


@pytest.mark.julia
@pytest.mark.parametrize("method", ["rk4", "Tsit5"])
def test_gradients_that_are_no_numbers_are_an_error(method):
    y0s = torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)  # where the root has no derivative
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    y = pb.solve_ensemble(lambda t, y: -y.sqrt(), y0s, t, method=method, engine="julia").y
    with pytest.raises(pb.SolverError, match="backward solve"):
        y.sum().backward()
