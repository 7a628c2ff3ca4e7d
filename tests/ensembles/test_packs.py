"""Trajectories that share their steps: each as accurate as alone, with gradients; and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.errors import InputError, SolverError, UnsupportedError
from tests.ensembles.test_executors import Decay
from tests.problems import DOUBLE, Logistic

T = torch.linspace(0, 2, 5, dtype=DOUBLE)
METHODS = {"julia": "Tsit5", "embedded": "dopri5"}
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def rotation(t, y, p):
    """By an angular velocity."""
    return p * torch.stack([-y[1], y[0]])


def rotated(y0, t, p):
    """Its solution, shape ``(T, B, 2)``."""
    angle = t[:, None] * p[:, 0]
    x, y = y0.unbind(1)
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], dim=2)


def some(count, seed=0):
    """States and angular velocities."""
    generator = torch.Generator().manual_seed(seed)
    y0 = torch.randn(count, 2, generator=generator, dtype=DOUBLE)
    return y0, 1 + 3 * torch.rand(count, 1, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize(("count", "shared"), [(12, 4), (11, 4), (3, 8), (4, 1), (19, 16)])
def test_values_are_those_of_each(engine, count, shared):
    y0, p = some(count)
    sol = pb.solve_ensemble(rotation, y0, T, p, method=METHODS[engine], engine=engine, shared_steps=shared, **TIGHT)
    assert sol.y.shape == (5, count, 2)
    assert sol.lane == ("compiled" if engine == "julia" else "native")
    torch.testing.assert_close(sol.y, rotated(y0, T, p), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("norm", ["rms", "max"])
def test_a_wild_trajectory_among_tame_ones_is_as_accurate_as_alone(engine, norm):
    y0, p = some(32)
    p = p.fill_(0.01).clone()
    p[13] = 40.0
    settings = {"method": METHODS[engine], "engine": engine, "rtol": 1e-5, "atol": 1e-7, "options": {"norm": norm}}
    sol = pb.solve_ensemble(rotation, y0, T, p, shared_steps=32, **settings)
    alone = pb.odeint(lambda t, y: rotation(t, y, p[13]), y0[13], T, **settings)
    torch.testing.assert_close(sol.y[:, 13], alone, rtol=1e-10, atol=1e-10)  # by the same steps
    assert (sol.y - rotated(y0, T, p)).abs().max() < 3e-3


def test_errors_of_small_trajectories_count_beside_large_ones(engine):
    y0 = torch.ones(8, 1, dtype=DOUBLE)
    y0[:7] = 1e6
    rates = torch.ones(8, 1, dtype=DOUBLE)
    rates[7] = 30.0
    sol = pb.solve_ensemble(
        lambda t, y, p: -p * y,
        y0,
        T,
        rates,
        method=METHODS[engine],
        engine=engine,
        shared_steps=8,
        rtol=1e-6,
        atol=1e-9,
    )
    exact = y0 * torch.exp(-rates * T[:, None, None])
    assert (sol.y - exact)[:, 7].abs().max() < 1e-6


def test_gradients_are_those_of_each(engine):
    y0, p = some(7)
    shared = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    y0.requires_grad_()
    p.requires_grad_()

    def func(t, y, p):
        return shared * rotation(t, y, p)

    sol = pb.solve_ensemble(func, y0, T, p, method=METHODS[engine], engine=engine, shared_steps=4, **TIGHT)
    exact = rotated(y0, T, shared * p)
    weights = torch.linspace(1, 2, exact.numel(), dtype=DOUBLE).view(exact.shape)
    found = torch.autograd.grad((sol.y * weights).sum(), (y0, p, shared))
    true = torch.autograd.grad((exact * weights).sum(), (y0, p, shared))
    for grad, expected in zip(found, true, strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    "sensealg", ["InterpolatingAdjoint", "BacksolveAdjoint", "GaussAdjoint", "QuadratureAdjoint", "DiscreteAdjoint"]
)
def test_gradients_by_each_sensitivity_algorithm(sensealg):
    y0, p = some(6)
    y0.requires_grad_()
    p.requires_grad_()
    sol = pb.solve_ensemble(rotation, y0, T, p, method="Tsit5", sensealg=sensealg, shared_steps=4, **TIGHT)
    found = torch.autograd.grad(sol.y[1:].square().sum(2).cumsum(0)[-1].sum() + sol.y[-1, :, 0].sum(), (y0, p))
    exact = rotated(y0, T, p)
    true = torch.autograd.grad(exact[1:].square().sum() + exact[-1, :, 0].sum(), (y0, p))
    for grad, expected in zip(found, true, strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.julia
def test_a_seminorm_of_the_backward_solve():
    y0, p = some(6)
    p.requires_grad_()
    sol = pb.solve_ensemble(
        rotation,
        y0,
        T,
        p,
        method="Tsit5",
        sensealg="InterpolatingAdjoint",
        adjoint_options={"norm": "seminorm"},
        shared_steps=3,
        **TIGHT,
    )
    (found,) = torch.autograd.grad(sol.y[-1, :, 0].sum(), p)
    (true,) = torch.autograd.grad(rotated(y0, T, p)[-1, :, 0].sum(), p)
    torch.testing.assert_close(found, true, rtol=1e-5, atol=1e-6)


def test_structured_states_and_tolerances(engine):
    y0 = {"q": torch.ones(5, 2, dtype=DOUBLE), "v": torch.zeros(5, 2, dtype=DOUBLE)}
    params = {"k": torch.tensor([1.0, 2.0, 4.0, 3.0, 5.0], dtype=DOUBLE)}
    rtol = {"q": torch.tensor([1e-9, 1e-8], dtype=DOUBLE), "v": 1e-9}

    def func(t, y, p):
        return {"q": y["v"], "v": -p["k"] * y["q"]}

    sol = pb.solve_ensemble(
        func, y0, T, params, method=METHODS[engine], engine=engine, shared_steps=3, rtol=rtol, atol=1e-11
    )
    exact = torch.cos(params["k"].sqrt() * T[:, None])[..., None].expand(5, 5, 2)
    torch.testing.assert_close(sol.y["q"], exact, rtol=1e-6, atol=1e-7)


def test_networks_of_which_all_have_the_parameters(engine):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).to(DOUBLE)
    y0 = torch.randn(5, 3, dtype=DOUBLE)
    settings = {"method": METHODS[engine], "engine": engine, **TIGHT}
    sol = pb.solve_ensemble(lambda t, y: net(y), y0, T, shared_steps=4, **settings)
    found = torch.autograd.grad(sol.y[-1].square().sum(), tuple(net.parameters()))
    single = [pb.odeint(lambda t, y: net(y), row, T, **settings) for row in y0]
    torch.testing.assert_close(sol.y, torch.stack(single, dim=1), rtol=1e-7, atol=1e-8)
    true = torch.autograd.grad(sum(y[-1].square().sum() for y in single), tuple(net.parameters()))
    for grad, expected in zip(found, true, strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-6, atol=1e-7)


def test_backwards_in_time_in_single_precision(engine):
    func, y0 = Logistic().float(), torch.linspace(0.2, 2.0, 10).view(5, 2)
    t = T.float().flip(0)
    sol = pb.solve_ensemble(func, y0, t, method=METHODS[engine], engine=engine, shared_steps=2, rtol=1e-5, atol=1e-6)
    single = torch.stack(
        [
            pb.odeint(func.double(), row.double(), t.double(), method=METHODS[engine], engine=engine, **TIGHT)
            for row in y0
        ],
        dim=1,
    )
    torch.testing.assert_close(sol.y.double(), single, rtol=1e-3, atol=1e-3)


@pytest.mark.julia
def test_steps_are_shared():
    y0, p = some(64)
    settings = {"method": "Tsit5", "rtol": 1e-6, "atol": 1e-8}
    own = pb.solve_ensemble(rotation, y0, T, p, **settings)
    shared = pb.solve_ensemble(rotation, y0, T, p, shared_steps=16, **settings)
    assert shared.stats.accepted < own.stats.accepted / 8


@pytest.mark.julia
def test_those_that_begin_alike_share_steps():
    """Of two kinds in turns, the slow ones take long steps."""
    y0 = torch.ones(64, 2, dtype=DOUBLE)
    p = torch.where(torch.arange(64)[:, None] % 2 == 0, 40.0, 0.01).to(DOUBLE)
    settings = {"method": "Tsit5", "rtol": 1e-6, "atol": 1e-8}
    shared = pb.solve_ensemble(rotation, y0, T, p, shared_steps=8, **settings)
    fast = pb.solve_ensemble(rotation, y0[::2], T, p[::2], shared_steps=8, **settings)
    assert shared.stats.accepted < 1.2 * fast.stats.accepted
    torch.testing.assert_close(shared.y[:, ::2], fast.y, rtol=1e-3, atol=1e-3)


def test_fixed_steps(engine):
    y0, p = some(5)
    settings = {"method": "rk4", "engine": engine, "options": {"step_size": 0.1}}
    sol = pb.solve_ensemble(rotation, y0, T, p, shared_steps=3, **settings)
    own = pb.solve_ensemble(rotation, y0, T, p, **settings)
    torch.testing.assert_close(sol.y, own.y, rtol=1e-12, atol=1e-12)


@pytest.mark.julia
def test_fixed_steps_of_julia():
    y0, p = some(5)
    settings = {"method": "Euler", "engine": "julia", "options": {"dt": 0.01}}
    sol = pb.solve_ensemble(rotation, y0, T, p, shared_steps=3, **settings)
    own = pb.solve_ensemble(rotation, y0, T, p, **settings)
    torch.testing.assert_close(sol.y, own.y, rtol=1e-12, atol=1e-12)


def test_on_an_executor():
    y0, rates = torch.ones(10, 2, dtype=DOUBLE), torch.linspace(0.5, 1.5, 10, dtype=DOUBLE)[:, None]
    rates.requires_grad_()
    with ThreadPoolExecutor(2) as executor:
        sol = pb.solve_ensemble(
            Decay(),
            y0,
            T,
            rates,
            method="dopri5",
            engine="embedded",
            executor=executor,
            chunk_size=5,
            shared_steps=3,
            **TIGHT,
        )
        (found,) = torch.autograd.grad(sol.y[-1].sum(), rates)
    assert len(sol.trajectories) == 4  # packs
    exact = y0 * torch.exp(-0.7 * rates * T[:, None, None])
    torch.testing.assert_close(sol.y, exact, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(found, torch.autograd.grad(exact[-1].sum(), rates)[0], rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_a_pack_that_fails_is_named():
    y0 = torch.full((7, 1), 0.1, dtype=DOUBLE)
    y0[1] = 5.0  # blows up at 0.2
    with pytest.raises(SolverError, match=r"Pack \d of 3, of 3 trajectories that share their steps: Tsit5"):
        pb.solve_ensemble(lambda t, y: y**2, y0, T, method="Tsit5", engine="julia", shared_steps=3)


def test_numbers_that_are_none_end_a_pack(engine):
    y0 = torch.ones(4, 1, dtype=DOUBLE)
    y0[2] = 0.5
    with pytest.raises(SolverError):  # the root of a negative number
        pb.solve_ensemble(
            lambda t, y: -(y**0.5) - 0.1 * torch.sqrt(y - 0.4),
            y0,
            T,
            method=METHODS[engine],
            engine=engine,
            shared_steps=4,
        )


def refused(match, error=UnsupportedError, func=rotation, **settings):
    y0, p = some(4)
    arguments = {"method": "dopri5", "engine": "embedded", "shared_steps": 2, **settings}
    with pytest.raises(error, match=match):
        pb.solve_ensemble(func, y0, T, p, **arguments)


@pytest.mark.parametrize("shared", [0, -1, 2.0, True, "two"])
def test_what_is_no_number_of_trajectories_is_refused(shared):
    refused("shared_steps is .*; expected how many trajectories share", InputError, shared_steps=shared)


def test_other_equations_are_refused():
    for kind in (
        pb.SDE(rotation, lambda t, y, p: y),
        pb.DDE(lambda t, y, past, p: rotation(t, y, p), lags=[1.0]),
        pb.Hybrid(rotation, [pb.Event(lambda t, y, p: y[0])]),
    ):
        refused(f"shared_steps is for ordinary equations, and func is a {type(kind).__name__}", func=kind)


def test_options_that_are_none_are_refused():
    refused("options is a list; expected a dict", InputError, options=["dt"])
    refused("norm'] is 'least'; expected one of", InputError, options={"norm": "least"})


def test_functions_of_one_trajectory_are_refused():
    for name in ("norm", "isoutofdomain", "unstable_check"):
        options = {name: lambda *args: torch.zeros(())}
        refused(rf"options\['{name}'\] is a function of the state of one trajectory", options=options)


def test_matrices_are_refused():
    for name in ("mass_matrix", "jac_sparsity"):
        refused(f"explicit solvers, which have no use for {name}", **{name: torch.eye(2, dtype=DOUBLE)})


def test_complex_states_are_refused():
    with pytest.raises(UnsupportedError, match="y0 is complex"):
        pb.solve_ensemble(lambda t, y: -y, torch.ones(4, 1, dtype=torch.complex128), T, shared_steps=2)


def test_dynamics_in_parts_or_in_julia_are_refused():
    split = pb.Split(lambda t, y: -y, lambda t, y: y)
    with pytest.raises(UnsupportedError, match="do not know the parts of Split"):
        pb.solve_ensemble(split, torch.ones(4, 1, dtype=DOUBLE), T, shared_steps=2)
    written = pb.JuliaDynamics("(u, p, t) -> -u", None)
    with pytest.raises(UnsupportedError, match="func is written in Julia"):
        pb.solve_ensemble(written, torch.ones(4, 1, dtype=DOUBLE), T, shared_steps=2)


def test_callbacks_of_steps_are_refused():
    class Heard(Decay):
        def callback_step(self, t, y, h):
            pass

    refused("func has callbacks of steps", func=Heard())


@pytest.mark.parametrize(
    ("func", "reason"),
    [
        (lambda t, y, p: -y if y.sum() > 0 else y, "data-dependent control flow"),
        (lambda t, y, p: -y * y.sum().item(), r"\.item\(\)"),
        (lambda t, y, p: torch.randn_like(y), "random"),
    ],
)
def test_dynamics_that_vmap_does_not_take_are_refused(engine, func, reason):
    refused(f"torch.vmap, which refused it: .*{reason}", func=func, engine=engine)


@pytest.mark.julia
def test_dynamics_that_are_not_translated_are_refused():
    def func(t, y, p):
        return torch.linalg.eigvals(torch.outer(y, p + y)).real

    refused(
        "shared_steps cannot serve this ensemble, because the operation .* has no translation",
        func=func,
        engine="julia",
    )


@pytest.mark.julia
def test_callbacks_solve_where_they_are_asked_for():
    y0, p = some(5)
    sol = pb.solve_ensemble(rotation, y0, T, p, method="Tsit5", lane="callback", shared_steps=2, **TIGHT)
    assert sol.lane == "callback"
    torch.testing.assert_close(sol.y, rotated(y0, T, p), rtol=1e-7, atol=1e-8)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "FBDF", "AutoTsit5(Rosenbrock23())"])
def test_implicit_solvers_are_refused(method):
    refused("shared_steps is for explicit solvers", method=method, engine="julia", options={"norm": "max"})


@pytest.mark.julia
def test_a_stiff_problem_without_a_method_is_refused():
    y0 = torch.ones(4, 1, dtype=DOUBLE)
    with pytest.raises(SolverError, match=r"the problem is stiff, .* shared_steps is for explicit"):
        pb.solve_ensemble(lambda t, y: -1e5 * (y - t.cos()), y0, T, shared_steps=2, rtol=1e-4, atol=1e-4)


@pytest.mark.julia
def test_solvers_that_would_average_errors_are_refused():
    refused("CVODE_Adams has a norm of its own", method="CVODE_Adams", engine="julia")
