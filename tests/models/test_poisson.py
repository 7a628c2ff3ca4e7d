"""The likelihood of event times against closed forms, with the integral as a state of the solve."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pyode_bridge import InputError
from pyode_bridge.models import PoissonProcess
from tests.problems import DOUBLE

SOLVER = {"method": "DP5", "rtol": 1e-9, "atol": 1e-11}
START, END = 0.5, 3.0


class First(nn.Module):
    """The first latent component is the log-rate."""

    def forward(self, z):
        return z[..., :1]


class LogOfFirst(nn.Module):
    """The first latent component is the rate."""

    def forward(self, z):
        return z[..., :1].log()


def events():
    t = START + (END - START) * torch.rand(3, 5, dtype=DOUBLE).sort(dim=1).values
    observed = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [False] * 5])
    return t, observed


def test_constant_rate(engine):
    """λ = exp(a): N a - exp(a) (end - start)."""
    t, observed = events()
    a = torch.tensor([0.3, -1.0, 0.7], dtype=DOUBLE, requires_grad=True)
    found = PoissonProcess(First())(
        lambda _, z: 0 * z, a[:, None], t, observed, start=START, end=END, engine=engine, **SOLVER
    )
    number = observed.sum(dim=1)
    torch.testing.assert_close(found.log_prob, number * a - a.exp() * (END - START))
    torch.testing.assert_close(found.z, a[:, None, None].expand(3, 5, 1))
    (gradient,) = torch.autograd.grad(found.log_prob.sum(), a)
    torch.testing.assert_close(gradient, number - a.exp() * (END - START))


def test_linear_rate(engine):
    """λ = c + k (t - start): sum log λ - c T - k T²/2."""
    t, observed = events()
    # The states are linear and quadratic in t, so nothing else bounds a step, and one beyond the window meets log 0.
    options = {"dtmax": 0.2}
    c = torch.tensor([[1.0], [0.5], [2.0]], dtype=DOUBLE)
    k = nn.Parameter(torch.tensor(0.8, dtype=DOUBLE))
    solver = {**SOLVER, "engine": engine, "options": options}
    found = PoissonProcess(LogOfFirst())(
        lambda _, z: k * torch.ones_like(z), c, t, observed, start=START, end=END, **solver
    )
    length = END - START
    logs = (c + k * (t - START)).log()
    expected = torch.where(observed, logs, 0.0).sum(dim=1) - c[:, 0] * length - k * length**2 / 2
    torch.testing.assert_close(found.log_prob, expected)
    (gradient,) = torch.autograd.grad(found.log_prob.sum(), k, retain_graph=True)
    (closed,) = torch.autograd.grad(expected.sum(), k)
    torch.testing.assert_close(gradient, closed)


def test_exponential_rate():
    """λ = exp(a + b t): sum (a + b t_i) - (exp(b end) - exp(b start)) exp(a) / b."""
    t, observed = events()
    a, b = 0.2, -0.6
    z0 = torch.full((3, 1), a + b * START, dtype=DOUBLE)
    found = PoissonProcess(First())(
        lambda _, z: torch.full_like(z, b), z0, t, observed, start=START, end=END, engine="embedded", **SOLVER
    )
    integral = math.exp(a) * (math.exp(b * END) - math.exp(b * START)) / b
    torch.testing.assert_close(found.log_prob, torch.where(observed, a + b * t, 0.0).sum(dim=1) - integral)


def test_times_outside_the_window_are_refused():
    t, observed = events()
    with pytest.raises(InputError, match="end = 1"):
        PoissonProcess(First())(lambda _, z: z, torch.zeros(3, 1), t, observed, start=START, end=1.0)
