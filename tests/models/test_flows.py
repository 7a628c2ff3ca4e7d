"""Flows against closed forms: densities that integrate to one, inverses, gradients, and energies."""

import pytest
import torch
from torch.distributions import MultivariateNormal

import pyode_bridge as pb
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
    JacobianFrobenius,
    KineticEnergy,
    PlanarFlow,
)

TIGHT = {"method": "dopri5", "rtol": 1e-8, "atol": 1e-8}
MATRIX = torch.tensor([[0.3, -0.8], [0.5, -0.4]], dtype=torch.float64)


class Linear(torch.nn.Module):
    """``dz/dt = A z``: whatever is Gaussian stays so."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.nn.Parameter(MATRIX.clone())

    def forward(self, _t, z):
        return z @ self.matrix.T


def normal(dim=2):
    return MultivariateNormal(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64))


def cnf(dynamics=None, **settings):
    return CNF(GatedSum(2, 6, hidden=4).double() if dynamics is None else dynamics, **{**TIGHT, **settings})


def planar():
    flow = PlanarFlow(2, 4).double()
    with torch.no_grad():
        flow.u.add_(torch.randn_like(flow.u))  # far from the identity
    return flow


FLOWS = {
    "cnf": lambda: cnf(trace=ClosedFormTrace(), engine="embedded"),
    "planar": planar,
    "inverse planar": lambda: InverseFlow(planar()),
}


@pytest.fixture(params=FLOWS, ids=lambda name: name.replace(" ", "-"))
def flow(request):
    return FLOWS[request.param]()


def test_log_density_integrates_to_one(flow):
    side = 201 if isinstance(flow, CNF) else 601  # a planar flow folds sharply, and its density is cheap
    axis = torch.linspace(-12, 12, side, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prob = FlowDistribution(flow, normal()).log_prob(points)
    assert log_prob.exp().sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_inverse_of_forward_is_the_identity(flow):
    z = 2 * torch.randn(50, 2, dtype=torch.float64)
    x, log_det = flow(z)
    back, log_det_back = flow.inverse(x)
    assert (x - z).abs().max() > 0.1
    torch.testing.assert_close(back, z, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det_back, -log_det, rtol=0, atol=1e-6)


def test_log_determinant_is_that_of_the_jacobian(flow):
    z = torch.randn(2, dtype=torch.float64)
    columns = []
    for direction in torch.eye(2, dtype=torch.float64):  # central differences
        columns.append((flow(z + 1e-4 * direction)[0] - flow(z - 1e-4 * direction)[0]).detach() / 2e-4)
    expected = torch.stack(columns, -1).det().abs().log()
    assert flow(z)[1].item() == pytest.approx(expected.item(), abs=1e-5)


def test_planar_flow_is_invertible_whatever_its_parameters():
    flow = planar()
    with torch.no_grad():
        flow.u.copy_(-5 * flow.w)  # w·u is far below -1, where the layer without the constraint folds space
    u, slope = flow._constrained()
    torch.testing.assert_close((flow.w * u).sum(-1), slope)
    assert (slope > -1).all()
    z = torch.randn(50, 2, dtype=torch.float64)
    torch.testing.assert_close(flow.inverse(flow(z)[0])[0], z, rtol=0, atol=1e-6)


def test_linear_flow_is_the_closed_form_gaussian(engine):
    flow = cnf(Linear(), engine=engine)
    transition = torch.linalg.matrix_exp(MATRIX)
    x = torch.randn(20, 2, dtype=torch.float64)
    expected = MultivariateNormal(torch.zeros(2, dtype=torch.float64), transition @ transition.T).log_prob(x)
    torch.testing.assert_close(FlowDistribution(flow, normal()).log_prob(x), expected, rtol=0, atol=1e-6)
    moved, log_det = flow(x)
    torch.testing.assert_close(moved, x @ transition.T, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det, MATRIX.trace().expand(20), rtol=0, atol=1e-6)


def test_linear_flow_has_the_closed_form_gradient(engine):
    flow = cnf(Linear(), engine=engine)
    x = torch.randn(20, 2, dtype=torch.float64)
    FlowDistribution(flow, normal()).log_prob(x).sum().backward()
    matrix = MATRIX.clone().requires_grad_()
    transition = torch.linalg.matrix_exp(matrix)
    expected = MultivariateNormal(torch.zeros(2, dtype=torch.float64), transition @ transition.T)
    expected.log_prob(x).sum().backward()
    torch.testing.assert_close(flow.dynamics.matrix.grad, matrix.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("trace", [ExactTrace(), BruteForceTrace(), ClosedFormTrace()], ids=lambda t: type(t).__name__)
def test_log_prob_has_the_gradient_of_finite_differences(trace):
    dynamics = GatedSum(2, 1, hidden=1).double()
    steps = {"method": "rk4", "options": {"step_size": 0.125}}  # which have a gradient of their own, and are few
    distribution = FlowDistribution(cnf(dynamics, trace=trace, t=(0.0, 0.5), engine="embedded", **steps), normal())
    x = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)

    def log_prob(x, *parameters):
        return distribution.log_prob(x)

    assert torch.autograd.gradcheck(log_prob, (x, *dynamics.parameters()), eps=1e-3, atol=1e-5)


def test_the_hypernetwork_of_a_gated_sum_bends_all_over_the_flows_time_at_first():
    hidden = GatedSum(2, 3, hidden=8).hypernetwork[:2]
    times = torch.linspace(0, 1, 101)[:, None]
    values = hidden(times)
    rising = values.diff(dim=0)
    assert (rising.argmax(0).diff() > 5).all()  # each is steepest elsewhere
    assert (values[0].sign() != values[-1].sign()).all()


def test_planar_gradients_are_those_of_finite_differences_both_ways():
    flow = planar()
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: flow(x), (x, *flow.parameters()))
    assert torch.autograd.gradcheck(lambda x, *_: flow.inverse(x), (x, *flow.parameters()), atol=1e-4)


def test_hutchinson_log_prob_is_unbiased():
    dynamics = ConcatSquash(2, hidden=(5,)).double()
    x = torch.randn(2, dtype=torch.float64)
    exact = cnf(dynamics, engine="embedded").inverse(x)[1]
    _, estimates = cnf(dynamics, trace=HutchinsonTrace(), engine="embedded").inverse(x.expand(2000, 2))
    standard_error = estimates.std() / 2000**0.5
    assert standard_error > 0
    assert (estimates.mean() - exact).abs() < 4 * standard_error


def test_energies_of_a_linear_flow(engine):
    """``∫|A z(t)|² dt`` by quadrature over the matrix exponential, and ``|A|²_F`` times the time."""
    flow = cnf(Linear(), regularisers=(KineticEnergy(), JacobianFrobenius()), engine=engine)
    z = torch.randn(5, 2, dtype=torch.float64)
    times = torch.linspace(0, 1, 2001, dtype=torch.float64)
    paths = z @ torch.linalg.matrix_exp(times[:, None, None] * MATRIX).mT  # (time, batch, 2)
    kinetic = torch.trapezoid((paths @ MATRIX.T).square().sum(-1), times, dim=0)
    there = flow.transport(z)
    back = flow.transport(there.value, reverse=True)
    for transport in (there, back):
        torch.testing.assert_close(transport.energies[0], kinetic, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(transport.energies[1], MATRIX.square().sum().expand(5), rtol=1e-6, atol=1e-6)


def test_estimated_frobenius_norm_is_unbiased_and_shares_the_noise():
    count = 4000
    flow = cnf(Linear(), trace=HutchinsonTrace("gaussian"), regularisers=(JacobianFrobenius(),), engine="embedded")
    (estimates,) = flow.transport(torch.zeros(count, 2, dtype=torch.float64)).energies
    error = estimates.mean() - MATRIX.square().sum()
    assert error.abs() < 4 * estimates.std() / count**0.5


def test_energies_have_gradients():
    flow = cnf(Linear(), regularisers=(KineticEnergy(), JacobianFrobenius()), engine="embedded")
    _, frobenius = flow.transport(torch.randn(5, 2, dtype=torch.float64)).energies
    frobenius.mean().backward()
    torch.testing.assert_close(flow.dynamics.matrix.grad, 2 * MATRIX, rtol=1e-6, atol=1e-6)


def test_solution_over_time_starts_at_the_base():
    flow = cnf(Linear(), engine="embedded")
    z = torch.randn(5, 2, dtype=torch.float64)
    solution = flow.solve(z, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    path, change = solution.y
    assert path.shape == (3, 5, 2)
    torch.testing.assert_close(path[0], z)
    expected = -MATRIX.trace() * torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(change, expected[:, None].expand(3, 5), rtol=0, atol=1e-6)
    assert flow.stats == solution.stats


def test_unusable_input_is_refused():
    with pytest.raises(pb.InputError, match="t has shape \\(3,\\); expected two times"):
        CNF(Linear(), t=(0.0, 1.0, 2.0))
    with pytest.raises(pb.InputError, match="expected \\(\\*batch, D\\)"):
        cnf(Linear())(torch.tensor(1.0))
    with pytest.raises(pb.InputError, match="expected \\(\\*batch, D\\)"):
        cnf(Linear())(torch.ones(3, 2, dtype=torch.long))
    with pytest.raises(pb.InputError, match="depth is 0; expected a positive whole number"):
        PlanarFlow(2, 0)
    with pytest.raises(pb.InputError, match=r"width is 2\.5"):
        GatedSum(2, 2.5)
    with pytest.raises(pb.InputError, match="hidden\\[1\\] is -1"):
        ConcatSquash(2, hidden=(4, -1))
