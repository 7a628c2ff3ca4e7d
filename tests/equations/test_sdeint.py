"""Stochastic differential equations: moments in closed form, kinds of noise, seeds, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, two_processes_each

SAMPLES = 4000
T = torch.linspace(0, 1, 5, dtype=DOUBLE)
MU, SIGMA = 0.5, 0.3


def drift(t: Tensor, y: Tensor) -> Tensor:
    return MU * y


def diffusion(t: Tensor, y: Tensor) -> Tensor:
    return SIGMA * y


def sample(y0: Tensor, **settings: object) -> Tensor:
    settings = {"method": "SOSRI", "seed": 7, "engine": "julia", **settings}
    y = pb.sdeint(drift, settings.pop("diffusion", diffusion), y0, T, **settings)  # type: ignore[arg-type]
    assert isinstance(y, Tensor)
    return y


@pytest.mark.julia
@pytest.mark.parametrize(
    ("method", "options", "shift"),
    [
        (None, {}, -(SIGMA**2) / 2),
        ("SRIW1", {}, -(SIGMA**2) / 2),
        ("LambaEM", {}, -(SIGMA**2) / 2),
        ("RKMil", {}, -(SIGMA**2) / 2),
        ("EM", {"dt": 1 / 256}, -(SIGMA**2) / 2),
        ("ImplicitEM", {"dt": 1 / 256}, -(SIGMA**2) / 2),
        ("EulerHeun", {"dt": 1 / 256}, 0.0),  # Stratonovich's sense
    ],
)
def test_geometric_brownian_motion_is_log_normal(method: str, options: dict[str, float], shift: float) -> None:
    samples = 40 if method == "ImplicitEM" else SAMPLES  # implicit methods take the Jacobian of all samples at once
    y = sample(torch.ones(samples, dtype=DOUBLE), method=method, options=options)
    log = y[-1].log()
    deviation = SIGMA / math.sqrt(samples)
    assert abs(log.mean().item() - (MU + shift)) < 4 * deviation
    assert abs(log.std().item() - SIGMA) < 4 * deviation
    torch.testing.assert_close(y[0], torch.ones(samples, dtype=DOUBLE), rtol=0, atol=0)


@pytest.mark.julia
def test_without_noise_it_is_the_ordinary_equation() -> None:
    y = sample(torch.ones(2, 3, dtype=DOUBLE), diffusion=lambda t, y: 0 * y, rtol=1e-3, atol=1e-3)
    assert y.shape == (5, 2, 3)
    torch.testing.assert_close(y[:, 0, 0], torch.exp(MU * T), rtol=1e-2, atol=0)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["SOSRI", "EM"])
def test_scalar_noise_is_shared(method: str) -> None:
    y = sample(torch.tensor([1.0, 2.0], dtype=DOUBLE), noise="scalar", method=method, options={"dt": 0.01})
    torch.testing.assert_close(y[:, 1], 2 * y[:, 0])
    assert (y[-1, 0] - math.exp(MU)).abs() > 1e-6


@pytest.mark.julia
def test_general_noise_is_mixed_by_the_diffusion() -> None:
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], dtype=DOUBLE)
    y0 = torch.zeros(2, dtype=DOUBLE)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    ends = torch.stack(
        [
            pb.sdeint(
                lambda t, y: 0 * y,
                lambda t, y: mixing,
                y0,
                t,
                noise="general",
                method="EM",
                seed=seed,
                options={"dt": 0.5},
                engine="julia",
            )[-1]  # type: ignore[index]
            for seed in range(400)
        ]
    )
    covariance = torch.cov(ends.mT)
    expected = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=DOUBLE)
    torch.testing.assert_close(covariance, expected, rtol=0, atol=4 * math.sqrt(2 / 400))


@pytest.mark.julia
@pytest.mark.parametrize(("method", "options"), [("SOSRI", {}), ("LambaEM", {}), ("EM", {"dt": 0.5})])
def test_values_within_a_long_step_have_noise_of_their_own(method: str, options: dict[str, float]) -> None:
    times = torch.tensor([0.0, 0.1, 0.3, 1.0], dtype=DOUBLE)
    y = pb.sdeint(
        lambda t, y: 0 * y,
        lambda t, y: torch.ones_like(y),
        torch.zeros(SAMPLES, dtype=DOUBLE),
        times,
        method=method,
        options=options,
        seed=3,
        engine="julia",
    )
    assert isinstance(y, Tensor)
    torch.testing.assert_close(y.var(1), times, rtol=4 * math.sqrt(2 / SAMPLES), atol=0)


@pytest.mark.julia
def test_noise_is_right_after_steps_that_are_rejected() -> None:
    size, seeds = 10, 40

    def mixing(t: Tensor, y: Tensor) -> Tensor:
        return two_processes_each(y, 0.3, 0.4)

    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    y0 = torch.ones(size, dtype=DOUBLE)
    paths = [pb.sdeint(drift, mixing, y0, t, noise="general", seed=seed, engine="julia") for seed in range(seeds)]
    log = torch.cat([y[-1] for y in paths if isinstance(y, Tensor)]).log()
    deviation = 0.5 / math.sqrt(size * seeds)
    assert abs(log.mean().item() - (MU - 0.5**2 / 2)) < 4 * deviation
    assert abs(log.std().item() - 0.5) < 4 * deviation


@pytest.mark.julia
@pytest.mark.parametrize("method", ["EM", "SRIW1"])
def test_evaluations_are_counted_where_the_solver_counts_none(method: str) -> None:
    calls = 0

    def counted(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return drift(t, y)

    options = {"dt": 0.125, "adaptive": False}
    solution = pb.solve_sde(counted, diffusion, torch.ones(2, dtype=DOUBLE), T, method=method, options=options, seed=1)
    assert solution.stats.accepted == 8
    assert 8 <= solution.stats.nfe <= calls <= solution.stats.nfe + 3, "some calls look at the dynamics before"


@pytest.mark.julia
def test_seeds_fix_the_paths() -> None:
    y0 = torch.ones(3, dtype=DOUBLE)
    first = sample(y0)
    torch.testing.assert_close(sample(y0), first, rtol=0, atol=0)
    assert not torch.equal(sample(y0, seed=8), first)
    torch.manual_seed(1)
    drawn, next_one = sample(y0, seed=None), sample(y0, seed=None)
    torch.manual_seed(1)
    torch.testing.assert_close(sample(y0, seed=None), drawn, rtol=0, atol=0)
    assert not torch.equal(drawn, next_one)


@pytest.mark.julia
def test_a_dict_state_in_single_precision() -> None:
    y0 = {"prey": torch.ones(2), "predator": torch.ones(())}
    y = pb.sdeint(
        lambda t, y: {key: -value for key, value in y.items()},
        lambda t, y: {key: 0.1 * value for key, value in y.items()},
        y0,
        T,
        seed=1,
        engine="julia",
    )
    assert isinstance(y, dict)
    assert y["prey"].shape == (5, 2)
    assert y["predator"].dtype == torch.float32
    assert all((value[-1] > 0.2).all() and (value[-1] < 0.6).all() for value in y.values())


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"noise": "white"}, pb.InputError, "expected one of 'diagonal', 'scalar', 'general'"),
        ({"diffusion": lambda t, y: y[:1]}, pb.InputError, r"diffusion.*shape \(1,\)"),
        ({"noise": "general"}, pb.InputError, r"expected, for general noise.*\(3, 'm'\)"),
        ({"seed": -1}, pb.InputError, "seed is -1"),
        ({"method": "Tsit5"}, pb.UnsupportedError, "not a solver of stochastic.*pyode_bridge.ddeint or"),
        ({"method": "SOSRY"}, pb.UnknownSolverError, "SOSRI"),
        ({"method": "ISSEM"}, pb.UnsupportedError, "overwrites their noise.*'adaptive': False"),
        ({"method": "PL1WM"}, pb.UnsupportedError, "adds the noise of each component to all.*'SOSRI'"),
        (
            {"noise": "general", "diffusion": lambda t, y: y[:, None], "method": "WangLi3SMil_A"},
            pb.UnsupportedError,
            "wrong for general noise.*'LambaEM'",
        ),
        ({"noise": "scalar", "method": "RS1"}, pb.UnsupportedError, "wrong for scalar noise.*'EulerHeun'"),
        ({"method": "TauLeaping"}, pb.UnsupportedError, "TauLeaping does not solve this: For jump processes"),
    ],
    ids=[
        "noise",
        "shape",
        "general",
        "seed",
        "ODE solver",
        "misspelt",
        "wrong values",
        "mixed up",
        "wrong with a kind",
        "wrong with another",
        "jumps",
    ],
)
def test_bad_input(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sample(torch.ones(3, dtype=DOUBLE), **settings)


@pytest.mark.julia
def test_an_exception_in_the_diffusion_arrives_as_itself() -> None:
    calls = 0

    def failing(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise ZeroDivisionError("in the diffusion")
        return y

    with pytest.raises(ZeroDivisionError, match="in the diffusion"):
        sample(torch.ones(3, dtype=DOUBLE), diffusion=failing)
    assert sample(torch.ones(3, dtype=DOUBLE)).isfinite().all()


@pytest.mark.julia
@pytest.mark.parametrize("method", ["SRA1", "SOSRA"])
def test_a_method_for_additive_noise_refuses_noise_that_depends_on_the_state(method: str) -> None:
    y0 = torch.ones(100, dtype=DOUBLE)
    with pytest.raises(pb.UnsupportedError, match=f"{method} is for additive noise.*'SOSRI'"):
        sample(y0, method=method)
    y = sample(y0, diffusion=lambda t, y: SIGMA * torch.ones_like(y), method=method)
    deviation = SIGMA * math.sqrt((math.exp(2 * MU) - 1) / (2 * MU))  # of dy = mu y dt + sigma dW
    assert abs(y[-1].mean().item() - math.exp(MU)) < 4 * deviation / math.sqrt(len(y0))


@pytest.mark.julia
def test_the_catalogue_says_whose_calculus_a_solver_follows_and_whether_it_is_implicit() -> None:
    solvers = {solver.name: solver for solver in pb.solvers("julia")}
    followed = {
        name: solvers[name].calculus for name in ("EM", "EulerHeun", "RS1", "ISSEulerHeun", "RandomEM", "Tsit5")
    }
    stratonovich = dict.fromkeys(("EulerHeun", "RS1", "ISSEulerHeun"), "Stratonovich")
    assert followed == {"EM": "Ito", **stratonovich, "RandomEM": "", "Tsit5": ""}
    assert [solvers[name].implicit for name in ("EM", "ImplicitEM", "SKenCarp", "DFBDF")] == [False, True, True, True]


class Growth(torch.nn.Module):
    """Geometric Brownian motion, in Stratonovich's sense ``y0 exp(mu t + sigma W)``."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = torch.nn.Parameter(torch.tensor(MU, dtype=DOUBLE))
        self.sigma = torch.nn.Parameter(torch.tensor(SIGMA, dtype=DOUBLE))

    def drift(self, t: Tensor, y: Tensor) -> Tensor:
        return self.mu * y

    def diffusion(self, t: Tensor, y: Tensor) -> Tensor:
        return self.sigma * y

    def mixed(self, t: Tensor, y: Tensor) -> Tensor:
        return self.sigma * y[:, None] * torch.tensor([0.6, 0.8], dtype=DOUBLE)


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", ["auto", "BacksolveAdjoint"])
@pytest.mark.parametrize("noise", ["diagonal", "scalar", "general"])
def test_gradients_are_those_of_each_path(noise: str, sensealg: str) -> None:
    model, y0 = Growth(), torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    y = pb.sdeint(
        model.drift,
        model.mixed if noise == "general" else model.diffusion,
        y0,
        torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE),
        noise=noise,
        method="EulerHeun",
        options={"dt": 1 / 512},
        seed=3,
        engine="julia",
        sensealg=sensealg,
    )
    assert isinstance(y, Tensor)
    grads = torch.autograd.grad(y[1:].sum(), (y0, model.mu, model.sigma))
    ends, start, t = y[1:].detach(), y0.detach(), torch.tensor([[0.5], [1.0]], dtype=DOUBLE)
    paths = ((ends / start).log() - MU * t) / SIGMA
    expected = ((ends / start).sum(0), (t * ends).sum(), (paths * ends).sum())
    for grad, value in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, value, rtol=5e-3, atol=5e-3)


DIAGONAL = ["RKMil", "SRIW1", "SOSRI", "SOSRI2"]


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("noise", ["diagonal", "scalar"])
@pytest.mark.parametrize("method", [None, "SRIW1"])
def test_gradients_of_steps_that_a_solver_chooses(method: str | None, noise: str, lane: str) -> None:
    """``y0 exp((mu - sigma² / 2) t + sigma W)``, in Itô's sense; the path tells ``W``."""
    model, y0 = Growth(), torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE)
    solution = pb.solve_sde(
        model.drift,
        model.diffusion,
        y0,
        t,
        noise=noise,
        method=method,
        seed=3,
        lane=lane,
        rtol=1e-4,
        atol=1e-4,  # type: ignore[arg-type]
    )
    assert solution.sensealg == "DiscreteAdjoint"
    y = solution.y
    assert isinstance(y, Tensor)
    grads = torch.autograd.grad(y[1:].sum(), (y0, model.mu, model.sigma))
    ends, start, times = y[1:].detach(), y0.detach(), t[1:, None]
    paths = ((ends / start).log() - (MU - SIGMA**2 / 2) * times) / SIGMA
    expected = ((ends / start).sum(0), (times * ends).sum(), ((paths - SIGMA * times) * ends).sum())
    for grad, value in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, value, rtol=3e-3, atol=3e-3)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["SRA1", "SOSRA", "EM"])
def test_gradients_along_additive_noise(method: str) -> None:
    """``dy = -k y dt + s dW`` is linear in its noise, so that its end is in ``s``, and in the start."""
    k, s, y0 = (torch.tensor([value], dtype=DOUBLE, requires_grad=True) for value in (0.7, 0.5, 1.2))
    t, options = torch.tensor([0.0, 1.0], dtype=DOUBLE), {"dt": 0.01, "adaptive": False}

    def end(y0: Tensor, s: Tensor) -> Tensor:
        y = pb.sdeint(lambda t, y: -k * y, lambda t, y: s + 0 * y, y0, t, method=method, options=options, seed=3)
        assert isinstance(y, Tensor)
        return y[-1]

    y = end(y0, s)
    by_s, by_y0, by_k = torch.autograd.grad(y, (s, y0, k))
    torch.testing.assert_close(by_s * s + by_y0 * y0, y, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(by_y0, torch.exp(-k), rtol=1e-2, atol=0)
    with torch.no_grad():
        before = y.clone()
        k += 1e-6
        torch.testing.assert_close(by_k, (end(y0, s) - before) / 1e-6, rtol=1e-4, atol=1e-5)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_ito_gradients_are_those_of_the_steps_exactly(lane: str) -> None:
    """Each step of Euler and Maruyama multiplies by ``(1 + mu dt) (1 + sigma dW)``."""
    model, y0, dt = Growth(), torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True), 1 / 16
    t = torch.linspace(0.0, 1.0, 17, dtype=DOUBLE)
    sol = pb.solve_sde(model.drift, model.diffusion, y0, t, method="EM", options={"dt": dt}, seed=3, lane=lane)  # type: ignore[arg-type]
    assert sol.sensealg == "DiscreteAdjoint"
    assert isinstance(sol.y, Tensor)
    grads = torch.autograd.grad(sol.y[-1].sum(), (y0, model.mu, model.sigma))
    values, growth = sol.y.detach(), 1 + MU * dt
    draws = (values[1:] / values[:-1] / growth - 1) / SIGMA
    end = values[-1]
    by_sigma = (end * (draws / (1 + SIGMA * draws)).sum(0)).sum()
    for grad, value in zip(grads, (end / y0.detach(), (end * 16 * dt / growth).sum(), by_sigma), strict=True):
        torch.testing.assert_close(grad, value, rtol=1e-10, atol=1e-12)


@pytest.mark.julia
@pytest.mark.parametrize("noise", ["diagonal", "scalar", "general"])
@pytest.mark.parametrize("method", ["EM", "EM(false)", "LambaEM", "EulerHeun", "LambaEulerHeun", *DIAGONAL])
def test_gradients_of_steps_are_their_differences(method: str, noise: str) -> None:
    if method in DIAGONAL and noise == "general":
        pytest.skip("the method is for diagonal and scalar noise")
    rate, spread = torch.tensor([[-0.5, 0.3], [0.2, -0.8]], dtype=DOUBLE), torch.tensor([0.3, 0.2], dtype=DOUBLE)
    start, weights = torch.tensor([1.0, 0.5], dtype=DOUBLE), torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=DOUBLE)
    inputs = [tensor.requires_grad_() for tensor in (start, rate, spread)]

    def diffusion(t: Tensor, y: Tensor) -> Tensor:
        if noise == "general":
            return torch.stack([spread * y, 0.1 * y.cos() * spread, spread + 0 * y], -1)
        return spread * y.sin() + 0.1 * t * y

    def loss() -> Tensor:
        t, options = torch.tensor([0.0, 0.35, 1.0], dtype=DOUBLE), {"dt": 0.05, "adaptive": False}
        y = pb.sdeint(
            lambda t, y: y @ rate + 0.1 * t, diffusion, start, t, noise=noise, method=method, options=options, seed=3
        )
        assert isinstance(y, Tensor)
        return (weights * y[1:] ** 2).sum()

    grads = torch.autograd.grad(loss(), inputs)
    with torch.no_grad():
        for tensor, grad in zip(inputs, grads, strict=True):
            number = tensor.view(-1)
            before = number[0].item()
            ends = []
            for step in (1e-6, -1e-6):
                number[0] = before + step
                ends.append(loss())
            number[0] = before
            difference = (ends[0] - ends[1]) / 2e-6
            torch.testing.assert_close(grad.view(-1)[0], difference, rtol=1e-6, atol=1e-7)


def growth_of_lambas(h: Tensor, mu: Tensor, sigma: Tensor, dw: Tensor) -> Tensor:
    """Behind the drift's step."""
    return (1 + mu * h) * (1 + sigma * dw)


def growth_of_rkmil(h: Tensor, mu: Tensor, sigma: Tensor, dw: Tensor) -> Tensor:
    """With the difference of the diffusions at ``y`` and at ``y + h f + sqrt(h) g`` for the derivative."""
    root = h.sqrt()
    return 1 + mu * h + sigma * dw + sigma * (mu * h + sigma * root) * (dw**2 - h) / (2 * root)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize(
    ("method", "noise", "growth"),
    [
        (None, "general", growth_of_lambas),
        ("LambaEM", "scalar", growth_of_lambas),
        ("LambaEM", "diagonal", growth_of_lambas),
        ("RKMil", "diagonal", growth_of_rkmil),
    ],
)
def test_gradients_of_steps_of_chosen_length(
    method: str | None, noise: str, growth: Callable[..., Tensor], lane: str
) -> None:
    """Each step multiplies by a growth: their lengths and their noise are what the solver took."""
    model, y0 = Growth(), torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE)
    solution = pb.solve_sde(
        model.drift,
        model.mixed if noise == "general" else model.diffusion,
        y0,
        t,
        noise=noise,  # type: ignore[arg-type]
        method=method,
        seed=3,
        lane=lane,  # type: ignore[arg-type]
        rtol=1e-3,
        atol=1e-3,
    )
    assert solution.sensealg == "DiscreteAdjoint"
    assert solution.trajectory.path is not None
    path = solution.trajectory.path()
    steps, dw = path.times.diff(), path.increments[:, 0]
    assert steps.max() > 1.5 * steps.min(), "they are all alike"
    noises = dw @ torch.tensor([[0.6], [0.8]], dtype=DOUBLE) if noise == "general" else dw
    values = y0 * growth(steps[:, None], model.mu, model.sigma, noises).cumprod(0)
    middle = (path.times[1:] - 0.5).abs().argmin()
    exact = torch.stack([y0, values[middle], values[-1]])
    assert isinstance(solution.y, Tensor)
    torch.testing.assert_close(solution.y, exact, rtol=1e-9, atol=0)
    inputs = (y0, model.mu, model.sigma)
    found = torch.autograd.grad(solution.y.pow(2).sum(), inputs)
    for grad, value in zip(found, torch.autograd.grad(exact.pow(2).sum(), inputs), strict=True):
        torch.testing.assert_close(grad, value, rtol=1e-9, atol=1e-9)


@pytest.mark.julia
def test_gradients_of_steps_of_chosen_length_in_stratonovichs_sense() -> None:
    """``y0 exp(mu t + sigma W)``, and the path tells ``W``."""
    model, y0 = Growth(), torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    t, tight = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE), {"rtol": 1e-3, "atol": 1e-3}
    y = pb.sdeint(model.drift, model.diffusion, y0, t, noise="scalar", method="LambaEulerHeun", seed=3, **tight)
    assert isinstance(y, Tensor)
    ends, start, times = y[1:].detach(), y0.detach(), t[1:, None]
    paths = ((ends / start).log() - MU * times) / SIGMA
    expected = ((ends / start).sum(0), (times * ends).sum(), (paths * ends).sum())
    for grad, value in zip(torch.autograd.grad(y[1:].sum(), (y0, model.mu, model.sigma)), expected, strict=True):
        torch.testing.assert_close(grad, value, rtol=2e-3, atol=2e-3)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["ImplicitEM", "DRI1"])
def test_a_gradient_that_the_method_does_not_give_is_refused(method: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=r"cannot.*are their own gradient.*EM"):
        sample(torch.ones(3, dtype=DOUBLE, requires_grad=True), method=method, options={"dt": 0.1})


def test_the_embedded_engine_says_that_it_has_none() -> None:
    with pytest.raises(pb.UnsupportedError, match="ordinary differential equations over time alone"):
        sample(torch.ones(3, dtype=DOUBLE), engine="embedded")
