"""A flow as a distribution of torch: shapes, sampling, gradients, and what torch itself does with it."""

import pytest
import torch
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal

import pyode_bridge as pb
from pyode_bridge.models import CNF, ClosedFormTrace, FlowDistribution, GatedSum, InverseFlow, PlanarFlow


def base(*batch):
    return Independent(Normal(torch.zeros(*batch, 2, dtype=torch.float64), 1.0), 1)


FLOWS = {
    "cnf": lambda: CNF(GatedSum(2, 4).double(), trace=ClosedFormTrace(), rtol=1e-7, atol=1e-7, engine="embedded"),
    "planar": lambda: PlanarFlow(2, 3).double(),
    "inverse planar": lambda: InverseFlow(PlanarFlow(2, 3).double()),
}


@pytest.fixture(params=FLOWS, ids=lambda name: name.replace(" ", "-"))
def distribution(request):
    return FlowDistribution(FLOWS[request.param](), base())


def test_protocol(distribution):
    assert isinstance(distribution, Distribution)
    assert distribution.event_shape == (2,)
    assert distribution.batch_shape == ()
    assert distribution.has_rsample
    sample = distribution.sample((4, 3))
    assert sample.shape == (4, 3, 2)
    assert not sample.requires_grad
    assert distribution.log_prob(sample).shape == (4, 3)
    assert distribution.sample().shape == (2,)
    assert distribution.log_prob(sample[0, 0]).shape == ()
    assert distribution.support.check(sample).all()


def test_samples_are_the_flow_of_base_samples(distribution):
    torch.manual_seed(3)
    x = distribution.sample((50,))
    torch.manual_seed(3)
    z = base().sample((50,))
    torch.testing.assert_close(distribution.flow.inverse(x)[0], z, rtol=0, atol=1e-4)


def test_log_prob_of_samples_comes_with_them(distribution):
    x, log_prob = distribution.rsample_and_log_prob((20,))
    torch.testing.assert_close(distribution.log_prob(x.detach()), log_prob, rtol=0, atol=1e-4)


def test_sampled_moments_are_those_of_the_density(distribution):
    """The mean and variance by sampling, and by quadrature over the density."""
    count = 20_000
    axis = torch.linspace(-12, 12, 161, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        weight = distribution.log_prob(points).exp() * (axis[1] - axis[0]) ** 2
    mean = weight @ points
    variance = weight @ (points - mean).square()
    fourth = weight @ (points - mean) ** 4
    samples = distribution.sample((count,))
    assert ((samples.mean(0) - mean).abs() < 4.5 * (variance / count).sqrt()).all()
    spread = ((fourth - variance.square()) / count).sqrt()
    assert ((samples.var(0) - variance).abs() < 4.5 * spread).all()


def test_rsample_reaches_the_parameters(distribution):
    distribution.rsample((5,)).square().sum().backward()
    gradients = [parameter.grad for parameter in distribution.flow.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_expand_and_batches(distribution):
    batch = distribution.expand((3,))
    assert batch.batch_shape == (3,)
    assert batch.sample((4,)).shape == (4, 3, 2)
    x = torch.randn(2, dtype=torch.float64)
    torch.testing.assert_close(batch.log_prob(x.expand(3, 2)), distribution.log_prob(x).expand(3), rtol=0, atol=1e-4)


def test_mixture_of_torch_takes_a_flow():
    distribution = FlowDistribution(PlanarFlow(2, 3).double(), base(2))
    mixture = MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7], dtype=torch.float64)), distribution)
    x = torch.randn(5, 2, dtype=torch.float64)
    # Both components are the same, so the weights do not matter.
    expected = FlowDistribution(distribution.flow, base()).log_prob(x)
    torch.testing.assert_close(mixture.log_prob(x), expected, rtol=0, atol=1e-8)


def test_values_of_the_wrong_shape_or_not_finite_are_refused(distribution):
    with pytest.raises(ValueError, match="shape"):
        distribution.log_prob(torch.zeros(4, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="support"):
        distribution.log_prob(torch.full((4, 2), torch.nan, dtype=torch.float64))


def test_values_are_checked_where_torch_has_switched_it_off():
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)  # as the import of torch._dynamo does
    try:
        distribution = FlowDistribution(PlanarFlow(2, 3).double(), base())
        with pytest.raises(ValueError, match="support"):
            distribution.log_prob(torch.full((4, 2), torch.nan, dtype=torch.float64))
    finally:
        Distribution.set_default_validate_args(before)


def test_base_over_scalars_is_refused():
    with pytest.raises(pb.InputError, match="base has event_shape \\(\\); expected one dimension"):
        FlowDistribution(PlanarFlow(2, 1), Normal(torch.zeros(2), 1.0))
