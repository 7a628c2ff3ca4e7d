"""Trace estimators against the trace of the whole Jacobian, and the noise that is held during a solve."""

import math

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.models import (
    CNF,
    BruteForceTrace,
    ClosedFormTrace,
    ConcatSquash,
    ExactTrace,
    GatedSum,
    HutchinsonTrace,
)
from pyode_bridge.models.linearization import Linearization

DYNAMICS = {
    "gated sum": lambda: GatedSum(dim=3, width=5, hidden=4).double(),
    "concat-squash": lambda: ConcatSquash(dim=3, hidden=(6, 6)).double(),
}
TIME = torch.tensor(0.4, dtype=torch.float64)


def at(dynamics, z, probe=None):
    return Linearization(dynamics, TIME, z, probe)


def jacobian_traces(dynamics, z):
    """From `torch.autograd.functional.jacobian`, sample by sample."""
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda row: dynamics(TIME, row[None])[0], row).trace() for row in z]
    )


@pytest.fixture(params=DYNAMICS, ids=lambda name: name.replace(" ", "-"))
def dynamics(request):
    return DYNAMICS[request.param]()


@pytest.mark.parametrize("trace", [ExactTrace(), BruteForceTrace()], ids=lambda trace: type(trace).__name__)
def test_exact_traces_are_those_of_the_jacobian(dynamics, trace):
    z = torch.randn(4, 3, dtype=torch.float64)
    value, divergence = trace(at(dynamics, z))
    torch.testing.assert_close(value, dynamics(TIME, z))
    torch.testing.assert_close(divergence, jacobian_traces(dynamics, z), rtol=1e-12, atol=1e-12)


def test_closed_form_is_the_trace_of_the_jacobian():
    dynamics, z = DYNAMICS["gated sum"](), torch.randn(4, 3, dtype=torch.float64)
    value, divergence = ClosedFormTrace()(at(dynamics, z))
    torch.testing.assert_close(value, dynamics(TIME, z))
    torch.testing.assert_close(divergence, jacobian_traces(dynamics, z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_hutchinson_agrees_in_expectation(dynamics, noise):
    count = 20_000
    z = torch.randn(3, dtype=torch.float64).expand(count, 3)
    trace = HutchinsonTrace(noise)
    _, estimates = trace(at(dynamics, z, trace.draw(z)))
    error = estimates.mean() - jacobian_traces(dynamics, z[:1])[0]
    standard_error = estimates.std() / math.sqrt(count)
    assert standard_error > 0
    assert error.abs() < 4 * standard_error  # exceeded with probability 6e-5


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_noise_has_the_moments_that_make_the_estimate_unbiased(noise):
    probe = HutchinsonTrace(noise).draw(torch.zeros(40_000, 2, dtype=torch.float64))
    covariance = probe.T @ probe / len(probe)
    # The standard error of a mean of products of such entries is at most sqrt(2) / 200.
    torch.testing.assert_close(covariance, torch.eye(2, dtype=torch.float64), rtol=0, atol=0.03)
    assert probe.mean(0).abs().max() < 0.025
    if noise == "rademacher":
        assert set(probe.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(3,), (2, 5, 3)])
def test_any_batch_shape(dynamics, shape):
    z = torch.randn(shape, dtype=torch.float64)
    probed = HutchinsonTrace()
    for divergence in (
        ExactTrace()(at(dynamics, z))[1],
        BruteForceTrace()(at(dynamics, z))[1],
        probed(at(dynamics, z, probed.draw(z)))[1],
    ):
        assert divergence.shape == shape[:-1]


def test_divergence_is_differentiable(dynamics):
    z = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: ExactTrace()(at(dynamics, z))[1], z)


def test_products_need_no_grad_mode_and_leave_no_leaf_but_the_parameters(dynamics):
    z = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        quiet = ExactTrace()(at(dynamics, z))[1]
    recorded = ExactTrace()(at(dynamics, z))[1]
    torch.testing.assert_close(quiet, recorded)
    assert not quiet.requires_grad

    leaves, pending, seen = set(), [recorded.grad_fn], set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        pending.extend(following for following, _ in node.next_functions)
    assert leaves <= {id(parameter) for parameter in dynamics.parameters()}
    assert leaves


class Spy(HutchinsonTrace):
    """Notes what noise each evaluation sees."""

    def __init__(self):
        super().__init__("gaussian")
        self.drawn = 0
        self.seen = []

    def draw(self, z):
        self.drawn += 1
        return super().draw(z)

    def __call__(self, at):
        self.seen.append(at.probe)
        return super().__call__(at)


def test_noise_is_held_through_the_solve_and_its_adjoint(engine):
    spy = Spy()
    flow = CNF(
        GatedSum(2, 4), trace=spy, method="dopri5", rtol=1e-4, atol=1e-5, sensealg="BacksolveAdjoint", engine=engine
    )
    x, log_det = flow(torch.randn(8, 2))
    forward = len(spy.seen)
    (x.sum() + log_det.sum()).backward()
    assert spy.drawn == 1
    assert 0 < forward < len(spy.seen)
    assert all(torch.equal(probe, spy.seen[0]) for probe in spy.seen)
    flow(torch.randn(8, 2))
    assert spy.drawn == 2
    assert not torch.equal(spy.seen[-1], spy.seen[0])


def test_wrong_noise_and_missing_formula_say_what_to_do():
    with pytest.raises(pb.InputError, match="'uniform'; expected one of rademacher, gaussian"):
        HutchinsonTrace("uniform")
    with pytest.raises(pb.InputError, match="ConcatSquash has no method value_and_divergence"):
        CNF(ConcatSquash(2), trace=ClosedFormTrace(), engine="embedded")(torch.zeros(1, 2))
