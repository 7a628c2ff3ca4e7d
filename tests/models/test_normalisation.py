"""Densities of flows integrate to one over the plane: with every exact trace, and once the flows have learnt.

A density from `HutchinsonTrace` need not: its logarithm is unbiased, so its expected integral is above one. What holds
for it is the expectation of the log determinant.
"""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from pyode_bridge.models import (
    CNF,
    BruteForceTrace,
    ClosedFormTrace,
    ConcatSquash,
    ExactTrace,
    FlowDistribution,
    GatedSum,
    HutchinsonTrace,
    InverseFlow,
    PlanarFlow,
)

TRAINING = {"method": "rk4", "options": {"dt": 0.25}, "engine": "embedded"}
MEASURING = {"method": "dopri5", "rtol": 1e-6, "atol": 1e-6, "engine": "embedded"}


def integral(flow, *, side, box):
    """By the trapezoidal rule, whose error on a smooth density is exponentially small once it sees the detail."""
    axis = torch.linspace(-box, box, side, dtype=torch.float64)
    base = MultivariateNormal(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    with torch.no_grad():
        log_prob = FlowDistribution(flow.double(), base).log_prob(torch.cartesian_prod(axis, axis))
    return (log_prob.exp().sum() * (axis[1] - axis[0]) ** 2).item()


def ring(count):
    angle = 2 * math.pi * torch.rand(count)
    return 2 * torch.stack([angle.cos(), angle.sin()], -1) + 0.3 * torch.randn(count, 2)


def likelihood(distribution):
    """The mean negative log likelihood of samples of the ring."""
    return -distribution.log_prob(ring(256)).mean()


def divergence(distribution):
    """The KL divergence from the ring, up to a constant."""
    x, log_q = distribution.rsample_and_log_prob((256,))
    return (log_q + 0.5 * ((x.norm(dim=-1) - 2) / 0.3) ** 2).mean()


def learn(flow, iterations, loss=likelihood):
    """How much lower the loss is at the end than at first."""
    distribution = FlowDistribution(flow, MultivariateNormal(torch.zeros(2), torch.eye(2)))
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.1)
    losses = []
    for _ in range(iterations):
        optimizer.zero_grad()
        losses.append(loss(distribution))
        losses[-1].backward()
        optimizer.step()
    return (losses[0] - losses[-1]).item()


@pytest.mark.parametrize("trace", [ExactTrace(), BruteForceTrace(), ClosedFormTrace()], ids=lambda t: type(t).__name__)
def test_every_exact_trace_gives_a_density(trace):
    dynamics = GatedSum(2, 6, hidden=4)
    with torch.no_grad():
        dynamics.constant.mul_(0.7)  # gentle, so that few points do: the brute force is slow
    flow = CNF(dynamics, trace=trace, t=(0.0, 0.5), **TRAINING)
    assert flow(torch.randn(20, 2))[1].abs().max() > 0.1  # the density is not that of the base
    assert integral(flow, side=17, box=6.4) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_learnt_continuous_flow_is_a_density():
    flow = CNF(GatedSum(2, 8), trace=ClosedFormTrace(), **TRAINING)
    assert learn(flow, 60) > 0.2
    flow.solver = MEASURING
    for flow.trace in (ExactTrace(), ClosedFormTrace()):
        assert integral(flow, side=121, box=7.2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_learnt_flow_of_a_network_is_a_density():
    flow = CNF(ConcatSquash(2, hidden=(16,)), **TRAINING)
    assert learn(flow, 40) > 0.2
    flow.solver = MEASURING
    assert integral(flow, side=101, box=7.0) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_learnt_planar_flow_is_a_density():
    """By divergence, as its samples are cheap; the density is then that of its inverse, found by root finding."""
    flow = PlanarFlow(2, 8)
    assert learn(flow, 150, divergence) > 0.2
    assert integral(flow, side=321, box=8.0) == pytest.approx(1.0, abs=1e-3)


def test_learnt_planar_flow_the_other_way_is_a_density():
    """By likelihood, where densities are cheap."""
    flow = InverseFlow(PlanarFlow(2, 8))
    assert learn(flow, 150) > 0.2
    assert integral(flow, side=321, box=8.0) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_estimated_log_determinant_of_a_learnt_flow_is_unbiased(noise):
    count = 1000
    flow = CNF(ConcatSquash(2, hidden=(16,)), **TRAINING)
    learn(flow, 10)
    flow.solver = MEASURING
    x = ring(1)
    exact = flow.inverse(x)[1].item()
    flow.trace = HutchinsonTrace(noise)
    estimates = flow.inverse(x.expand(count, 2))[1].detach()
    standard_error = estimates.std().item() / math.sqrt(count)
    assert standard_error > 1e-4
    assert abs(estimates.mean().item() - exact) < 4 * standard_error  # exceeded with probability 6e-5
