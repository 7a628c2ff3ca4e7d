"""A backward solve that goes wrong says so: it never gives a wrong gradient in silence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL, Coupled, Driven, Linear, Logistic, Robertson
from tests.sensealgs import ADJOINTS

EVERY_ADJOINT = [*ADJOINTS, "BacksolveAdjoint(checkpointing=false)"]


def loss(**solver: object) -> Tensor:
    problem, y0 = Linear(SPIRAL), torch.tensor([1.0, 0.3], dtype=DOUBLE)
    return pb.odeint(problem, y0, torch.linspace(0.0, 3.0, 4, dtype=DOUBLE), **solver).square().sum()


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", EVERY_ADJOINT)
def test_a_backward_solve_that_ends_early_is_an_error_in_julia(sensealg: str) -> None:
    value = loss(engine="julia", method="Tsit5", sensealg=sensealg, adjoint_options={"maxiters": 3})
    with pytest.raises(
        pb.SolverError, match=rf"backward solve of {sensealg[:8]}.* by Tsit5 stopped at t = .*adjoint"
    ) as caught:
        value.backward()
    assert caught.value.retcode == "MaxIters"
    assert 0 < caught.value.t < 3


def test_a_backward_solve_that_ends_early_is_an_error_when_embedded() -> None:
    value = loss(engine="embedded", adjoint_options={"maxiters": 3})
    with pytest.raises(pb.SolverError, match="backward solve of BacksolveAdjoint") as caught:
        value.backward()
    assert 1 < caught.value.t < 3  # in the user's time, within the last interval


@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")
@pytest.mark.parametrize("method", ["QNDF", "RadauIIA5"])
def test_a_backward_solve_that_overflows_is_an_error_when_embedded(method: str) -> None:
    y0, t = torch.tensor([1.0, 0.0, 0.0], dtype=DOUBLE), torch.tensor([0.0, 1000.0], dtype=DOUBLE)
    y = pb.odeint(Robertson(), y0, t, engine="embedded", method=method, rtol=1e-5, atol=1e-9)
    with pytest.raises(pb.SolverError, match="backward solve of BacksolveAdjoint") as caught:
        y[-1, 0].backward()
    assert caught.value.retcode == "Unstable"


class Lorenz(nn.Module):
    """Chaotic, and contracting at a rate of 14.6 forwards, so expanding backwards (Lorenz 1963)."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([10.0, 28.0, 8 / 3], dtype=DOUBLE))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        sigma, rho, beta = self.rates
        a, b, c = y
        return torch.stack([sigma * (b - a), a * (rho - c) - b, a * b - beta * c])


class Stiff(nn.Module):
    """``y' = -k (y - cos t)``, ``k = 300``: errors grow by ``exp(300 t)`` backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(300.0, dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.k * (y - torch.cos(t))


METHODS = {"julia": {"chaotic": "Tsit5", "stiff": "Rodas5P"}, "embedded": {"chaotic": "DP5", "stiff": "RadauIIA5"}}


@pytest.mark.parametrize("kind", ["chaotic", "stiff"])
def test_backsolve_of_unsuitable_dynamics_warns_of_the_mismatch(engine: str, kind: str) -> None:
    problem, y0, end = (Lorenz(), torch.ones(3), 1.5) if kind == "chaotic" else (Stiff(), torch.ones(1), 0.06)
    t = torch.tensor([0.0, end], dtype=DOUBLE)
    y = pb.odeint(
        problem,
        y0.double(),
        t,
        engine=engine,
        method=METHODS[engine][kind],
        rtol=1e-8,
        atol=1e-8,
        sensealg="BacksolveAdjoint",
    )
    with pytest.warns(pb.GradientWarning, match=r"arrived at t = 0 with an error of .* choose 'InterpolatingAdjoint'"):
        y[-1].sum().backward()


@pytest.mark.julia
def test_backsolve_warns_without_an_absolute_tolerance_too() -> None:
    settings = {"engine": "julia", "method": "Tsit5", "rtol": 1e-8, "atol": 0.0, "sensealg": "BacksolveAdjoint"}
    y = pb.odeint(Lorenz(), torch.ones(3, dtype=DOUBLE), torch.tensor([0.0, 1.5], dtype=DOUBLE), **settings)
    with pytest.warns(pb.GradientWarning, match="arrived at t = 0 with an error"):
        y[-1].sum().backward()


def network(seed: int, width: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2)).double()
    return Plain(lambda t, y: layers(y), *layers.parameters())


class Plain(nn.Module):
    """A function with the parameters that it uses."""

    def __init__(self, func: Callable[[Tensor, Tensor], Tensor], *parameters: Tensor) -> None:
        super().__init__()
        self.func = func
        self.used = nn.ParameterList(parameters)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.func(t, y)


def scaled(func: Callable[[Tensor, Tensor, Tensor], Tensor]) -> nn.Module:
    """A textbook's equation with one parameter, 1, that multiplies it."""
    one = nn.Parameter(torch.ones((), dtype=DOUBLE))
    return Plain(lambda t, y: one * func(t, *y), one)


# Dynamics, initial state and the end of time, from 0.
ORDINARY = {
    "spiral": (lambda: Linear(SPIRAL), [1.0, 0.5], 10.0),
    "saddle": (lambda: Linear(torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=DOUBLE)), [0.1, 1.0], 3.0),
    "decay": (lambda: Linear(-torch.eye(2, dtype=DOUBLE)), [1.0, 2.0], 5.0),
    "growth": (lambda: Linear(torch.eye(2, dtype=DOUBLE)), [1.0, 2.0], 5.0),
    "logistic": (Logistic, [0.5, 0.3], 2.0),
    "driven": (Driven, [0.5, 0.3], 2.0),
    "coupled": (lambda: scaled(lambda t, *y: Coupled()(t, torch.stack(y))), [1.0, 1.0, 1.0, 1.0], 1.0),
    "lotka-volterra": (lambda: scaled(lambda t, a, b: torch.stack([1.5 * a - a * b, a * b - 3 * b])), [1.0, 1.0], 6.0),
    "pendulum": (lambda: scaled(lambda t, a, b: torch.stack([b, -torch.sin(a)])), [2.0, 0.0], 10.0),
    "damped": (lambda: scaled(lambda t, a, b: torch.stack([b, -torch.sin(a) - 0.2 * b])), [2.0, 0.0], 10.0),
    "van der pol": (lambda: scaled(lambda t, a, b: torch.stack([b, (1 - a * a) * b - a])), [2.0, 0.0], 3.0),
    "duffing": (lambda: scaled(lambda t, a, b: torch.stack([b, a - a**3 - 0.1 * b + 0.3 * t.cos()])), [1.0, 0.0], 8.0),
    "fitzhugh": (
        lambda: scaled(lambda t, v, w: torch.stack([v - v**3 / 3 - w, 0.08 * (v + 0.7 - 0.8 * w)])),
        [1.0, 0.0],
        4.0,
    ),
    "epidemic": (
        lambda: scaled(lambda t, s, i: torch.stack([-0.5 * s * i, 0.5 * s * i - 0.2 * i])),
        [0.99, 0.01],
        20.0,
    ),
    "kepler": (
        lambda: scaled(
            lambda t, x, y, u, v: torch.stack([u, v, -x / torch.hypot(x, y) ** 3, -y / torch.hypot(x, y) ** 3])
        ),
        [1.0, 0.0, 0.0, 1.1],
        math.tau,
    ),
    **{f"network {seed}": ((lambda seed=seed: network(seed, 8 * (seed + 1))), [1.0, -0.5], 2.0) for seed in range(5)},
}


@pytest.mark.parametrize("name", ORDINARY)
def test_backsolve_of_ordinary_dynamics_is_silent(engine: str, name: str) -> None:
    make, start, end = ORDINARY[name]
    y0, t = torch.tensor(start, dtype=DOUBLE), torch.tensor([0.0, end], dtype=DOUBLE)
    y = pb.odeint(make(), y0, t, engine=engine, method="DP5", rtol=1e-7, atol=1e-9, sensealg="BacksolveAdjoint")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pb.GradientWarning)
        y[-1].sum().backward()


def test_there_are_twenty_ordinary_ones() -> None:
    assert len(ORDINARY) == 20
