"""Gradients of driven systems, whose adjoint is smooth where what it is multiplied by is not: in closed form."""

import math

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.errors import GradientWarning

pytestmark = pytest.mark.julia

RTOL, ATOL = 1e-8, 1e-10
DECAY, END = 0.1, 10.0
FACTOR = 100  # of the tolerances: what a gradient may be off by

EXPLICIT = ["Tsit5", "DP5", "Vern7", "BS3", "VCABM", "ROCK4"]
IMPLICIT = ["Rodas5P", "Rosenbrock23", "KenCarp4", "TRBDF2", "FBDF", "QNDF", "RadauIIA5", "AutoTsit5(Rosenbrock23())"]


class Driven(torch.nn.Module):
    """``y' = -0.1 y + sum(k) sin(w t)``: every component of ``k`` has the same gradient."""

    def __init__(self, amplitude: float, frequency: float, parameters: int = 1) -> None:
        super().__init__()
        self.k = torch.nn.Parameter(torch.full((parameters,), amplitude / parameters, dtype=torch.float64))
        self.frequency = frequency

    def forward(self, t, y):
        return -DECAY * y + self.k.sum() * torch.sin(self.frequency * t)


def closed_form(w: float) -> float:
    """``dy(T)/dk``: the integral of ``exp(-a (end - s)) sin(w s)``."""
    a, end = DECAY, END
    return (a * math.sin(w * end) - w * math.cos(w * end) + w * math.exp(-a * end)) / (a * a + w * w)


def gradient(func, **settings):
    y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, END], dtype=torch.float64)
    y = pb.odeint(func, y0, t, engine="julia", **{"rtol": RTOL, "atol": ATOL, **settings})
    (grad,) = torch.autograd.grad(y[-1].sum(), func.parameters())
    return grad


def check(grad, true, rtol=RTOL, atol=ATOL):
    assert (grad - true).abs().max() <= FACTOR * (atol + rtol * abs(true))


@pytest.mark.parametrize("amplitude", [1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("frequency", [1.0, 20.0, 60.0, 200.0])
@pytest.mark.parametrize("parameters", [1, 300])
@pytest.mark.parametrize("method", [None, "Tsit5", "Rodas5P"])
def test_with_nothing_named_but_the_solver(method, amplitude, frequency, parameters):
    grad = gradient(Driven(amplitude, frequency, parameters), method=method)
    check(grad, closed_form(frequency))


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("frequency", [20.0, 60.0, 200.0])
def test_coarse_tolerances_whose_steps_see_little_of_the_input(rtol, frequency):
    grad = gradient(Driven(1e-3, frequency, 300), method="Tsit5", rtol=rtol, atol=rtol / 100)
    check(grad, closed_form(frequency), rtol, rtol / 100)


@pytest.mark.parametrize("method", EXPLICIT + IMPLICIT)
def test_every_family_of_solvers(method):
    check(gradient(Driven(1e-3, 60.0, 150), method=method, options={"maxiters": 1_000_000}), closed_form(60.0))


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
@pytest.mark.parametrize(
    "sensealg", ["InterpolatingAdjoint", "GaussAdjoint", "GaussKronrodAdjoint", "GaussAdjoint(checkpointing=true)"]
)
@pytest.mark.parametrize("frequency", [20.0, 200.0])
def test_adjoints_by_name(sensealg, method, frequency):
    check(gradient(Driven(1e-3, frequency), method=method, sensealg=sensealg), closed_form(frequency))


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
@pytest.mark.parametrize("parameters", [1, 300])
def test_jumps_in_time_of_what_multiplies_a_parameter(method, parameters):
    class Switched(Driven):
        def forward(self, t, y):
            return -DECAY * y + torch.where(t > 3.7, self.k.sum(), 0.0)

    true = (1 - math.exp(-DECAY * (END - 3.7))) / DECAY
    check(gradient(Switched(1e-4, 0.0, parameters), method=method), true)


def test_pulses_that_the_forward_solve_has_seen():
    class Pulsed(Driven):
        def forward(self, t, y):
            return -DECAY * y + self.k.sum() * torch.exp(-(((t - 6.2) / 0.01) ** 2))

    true = 0.01 * math.sqrt(math.pi) * math.exp(-DECAY * (END - 6.2) + (DECAY * 0.01) ** 2 / 4)
    func = Pulsed(100.0, 0.0, 300)
    y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, END], dtype=torch.float64)
    options = {"tstops": [6.15, 6.2, 6.25]}
    y = pb.odeint(func, y0, t, rtol=RTOL, atol=ATOL, engine="julia", method="Tsit5", options=options)
    (grad,) = torch.autograd.grad(y[-1].sum(), func.parameters())
    check(grad, true)


@pytest.mark.parametrize("frequency", [20.0, 60.0])
def test_ensembles(frequency):
    amplitudes = torch.linspace(1e-6, 1e-3, 5, dtype=torch.float64)[:, None].requires_grad_()
    y0, t = torch.ones(5, 1, dtype=torch.float64), torch.tensor([0.0, END], dtype=torch.float64)

    def func(t, y, k):
        return -DECAY * y + k * torch.sin(frequency * t)

    for method in ("Tsit5", "Rodas5P"):
        solution = pb.solve_ensemble(func, y0, t, amplitudes, method=method, rtol=RTOL, atol=ATOL, engine="julia")
        (grad,) = torch.autograd.grad(solution.y[-1].sum(), amplitudes)
        check(grad, closed_form(frequency))


def test_callbacks():
    check(gradient(Driven(1e-3, 60.0, 150), method="Tsit5", lane="callback"), closed_form(60.0))


def test_what_cannot_promise_it_warns():
    with pytest.warns(GradientWarning, match="QuadratureAdjoint"):
        gradient(Driven(1e-3, 60.0), method="Rodas5P", sensealg="QuadratureAdjoint")
