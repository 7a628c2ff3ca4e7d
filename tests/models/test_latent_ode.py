"""The latent ODE: its bound, gradients, predictions and state."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from pyode_bridge import InputError
from pyode_bridge.models import (
    GaussianLikelihood,
    GaussianPosterior,
    GRUEncoder,
    LatentDynamics,
    LatentODE,
    ODERNNEncoder,
    OrnsteinUhlenbeckLikelihood,
    PoissonProcess,
    Series,
    kl_to_prior,
)

LATENT = 3
SOLVER = {"method": "dopri5", "rtol": 1e-6, "atol": 1e-7}


def irregular(batch=4, rows=6):
    t = torch.rand(batch, rows).sort(dim=1).values
    mask = torch.rand(batch, rows, 2) < 0.7
    mask[:, 0] = True
    return Series(t, torch.randn(batch, rows, 2), mask)


def make(engine, encoder=None, arrivals=None, learned=True):
    decoder = nn.Sequential(nn.Linear(LATENT, 8), nn.Tanh(), nn.Linear(8, 2))
    noise = GaussianLikelihood(2, std=0.5, learned=learned)
    encoder = encoder or GRUEncoder(2, hidden=6)
    dynamics = LatentDynamics(LATENT, units=7)
    return LatentODE(encoder, dynamics, decoder, noise, latent=LATENT, arrivals=arrivals, engine=engine, **SOLVER)


def test_kl_is_the_closed_form():
    """``(mean² + std² - 1) / 2 - log std``, summed (Kingma & Welling 2014, appendix B)."""
    mean, std = torch.randn(5, LATENT), torch.rand(5, LATENT) + 0.1
    expected = (0.5 * (mean**2 + std**2 - 1) - std.log()).sum(dim=1)
    torch.testing.assert_close(kl_to_prior(Independent(Normal(mean, std), 1)), expected)
    standard = Independent(Normal(torch.zeros(5, LATENT), torch.ones(5, LATENT)), 1)
    assert torch.equal(kl_to_prior(standard), torch.zeros(5))


def test_posterior_is_linear_in_the_state_with_positive_deviation():
    head = GaussianPosterior(6, LATENT)
    h = torch.randn(5, 6)
    posterior = head(h)
    torch.testing.assert_close(posterior.mean, head.head(h)[:, :LATENT])
    torch.testing.assert_close(posterior.stddev.log(), head.head(h)[:, LATENT:])
    assert posterior.event_shape == (LATENT,)


def test_gaussian_likelihood_counts_observed_values_alone():
    series = irregular()
    noise, mean = GaussianLikelihood(2, std=0.3), torch.randn(4, 6, 2)
    each = Normal(mean, 0.3).log_prob(series.x)
    expected = torch.where(series.mask, each, 0.0).sum(dim=(1, 2))
    torch.testing.assert_close(noise.log_prob(mean, series), expected)
    assert not list(noise.parameters())
    with pytest.raises(InputError, match="positive"):
        GaussianLikelihood(2, std=0.0)


def wandering():
    noise = OrnsteinUhlenbeckLikelihood(2, std=0.2, wander=0.7, timescale=0.4).double()
    with torch.no_grad():
        noise.log_timescale[1] = 0.5  # features with their own
    return noise


def ou_covariance(noise, feature, t):
    """Written out for one feature at times ``(n,)``."""
    decay = torch.exp(-(t[:, None] - t).abs() / noise.timescale[feature])
    return noise.wander[feature] ** 2 * decay, noise.std[feature] ** 2 * torch.eye(len(t), dtype=t.dtype)


def in_double(series):
    return Series(series.t.double(), series.x.double(), series.mask)


def test_lasting_errors_have_the_density_of_a_gaussian_process():
    """Beside torch's multivariate normal over what was observed of each feature."""
    noise, series = wandering(), in_double(irregular())
    mean = torch.randn_like(series.x)
    expected = torch.zeros(len(series), dtype=torch.float64)
    for row in range(len(series)):
        for feature in range(2):
            seen = series.mask[row, :, feature]
            if seen.any():
                process, white = ou_covariance(noise, feature, series.t[row, seen])
                normal = torch.distributions.MultivariateNormal(mean[row, seen, feature], process + white)
                expected[row] += normal.log_prob(series.x[row, seen, feature])
    torch.testing.assert_close(noise.log_prob(mean, series), expected)


def test_errors_that_do_not_last_are_independent_ones():
    series, mean = irregular(), torch.randn(4, 6, 2)
    brief = OrnsteinUhlenbeckLikelihood(2, std=0.3, wander=0.4, timescale=1e-6)
    torch.testing.assert_close(brief.log_prob(mean, series), GaussianLikelihood(2, std=0.5).log_prob(mean, series))
    assert (brief.expected_error(mean, series, series.t + 0.1).abs() < 1e-6).all()


def test_expected_errors_are_those_of_a_gaussian_process():
    """By the conditional distribution of the process, written out (Rasmussen & Williams 2006, equation 2.23)."""
    noise, series = wandering(), in_double(irregular())
    mean, t = torch.randn_like(series.x), torch.rand(4, 3, dtype=torch.float64) * 1.5
    found = noise.expected_error(mean, series, t)
    for row in range(len(series)):
        for feature in range(2):
            seen = series.mask[row, :, feature]
            times = torch.cat([t[row], series.t[row, seen]])
            process, white = ou_covariance(noise, feature, times)
            among = (process + white)[3:, 3:]
            error = (series.x - mean)[row, seen, feature]
            expected = process[:3, 3:] @ torch.linalg.solve(among, error)
            torch.testing.assert_close(found[row, :, feature], expected)


@pytest.mark.parametrize("guess", ["std", "wander", "timescale"])
def test_guesses_of_lasting_errors_are_positive(guess):
    with pytest.raises(InputError, match=f"{guess} is 0"):
        OrnsteinUhlenbeckLikelihood(2, **{guess: 0})


def test_predictions_carry_lasting_errors_on():
    torch.manual_seed(0)
    lasting = OrnsteinUhlenbeckLikelihood(2, std=0.01, wander=1.0, timescale=2.0)
    parts = (GRUEncoder(2, hidden=6), LatentDynamics(LATENT, units=7), nn.Linear(LATENT, 2))
    series = irregular()
    with torch.no_grad():
        means = LatentODE(*parts, GaussianLikelihood(2), latent=LATENT, engine="embedded", **SOLVER)
        carrying = LatentODE(*parts, lasting, latent=LATENT, engine="embedded", **SOLVER)
        carrying.posterior_head = means.posterior_head
        plain, carried = means.predict(series, series.t), carrying.predict(series, series.t)
        torch.testing.assert_close(carried, plain + lasting.expected_error(plain, series, series.t), atol=1e-5, rtol=0)
    seen = series.mask
    assert (carried - series.x)[seen].abs().max() < 0.1, "it goes through what was observed"
    assert (plain - series.x)[seen].abs().max() > 0.5
    carrying.elbo(series).value.mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in carrying.parameters())


def test_bound_is_log_likelihood_less_weighted_kl():
    model, series = make("embedded"), irregular()
    elbo = model.elbo(series, kl_weight=0.25)
    torch.testing.assert_close(elbo.value, elbo.log_likelihood - 0.25 * elbo.kl)
    torch.testing.assert_close(elbo.kl, kl_to_prior(model.posterior(series)))
    torch.manual_seed(3)
    first = model.elbo(series)
    torch.manual_seed(3)
    mean = model.predict(series, series.t, sample=True)
    torch.testing.assert_close(first.log_likelihood, model.likelihood.log_prob(mean, series))


@pytest.mark.parametrize("kind", ["gru", "ode_rnn", "arrivals"])
def test_gradients_reach_every_parameter(engine, kind):
    encoder = ODERNNEncoder(2, hidden=6, units=7, engine=engine, **SOLVER) if kind == "ode_rnn" else None
    arrivals = PoissonProcess(nn.Linear(LATENT, 1)) if kind == "arrivals" else None
    model = make(engine, encoder, arrivals)
    (-model.elbo(irregular(), end=1.0).value.mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_gradient_of_the_bound_is_its_slope():
    """Central differences along a random direction, in float64 with tight tolerances."""
    model = make("embedded").double()
    model.solver = {**model.solver, "rtol": 1e-10, "atol": 1e-12}
    series = irregular()
    series = Series(series.t.double(), series.x.double(), series.mask)
    parameters = list(model.parameters())
    directions = [torch.randn_like(parameter) for parameter in parameters]

    def bound():
        torch.manual_seed(1)
        return model.elbo(series).value.mean()

    slope = sum((g * d).sum() for g, d in zip(torch.autograd.grad(bound(), parameters), directions, strict=True))
    h, values = 1e-5, []
    with torch.no_grad():
        for shift in (h, -2 * h):
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += shift * direction
            values.append(bound())
    torch.testing.assert_close(slope, (values[0] - values[1]) / (2 * h), rtol=1e-6, atol=1e-6)


def test_arrivals_add_the_likelihood_of_the_times():
    """With a rate of 2 everywhere: N log 2 - 2 (end - start)."""
    rate = nn.Linear(LATENT, 1)
    nn.init.zeros_(rate.weight)
    nn.init.constant_(rate.bias, math.log(2))
    with_times, series = make("embedded", arrivals=PoissonProcess(rate)), irregular()
    without = make("embedded")
    without.load_state_dict(with_times.state_dict(), strict=False)
    bounds = []
    for model, window in ((with_times, {"end": 1.5}), (without, {})):
        torch.manual_seed(2)
        bounds.append(model.elbo(series, **window).log_likelihood)
    expected = series.observed.sum(dim=1) * math.log(2) - 2 * 1.5
    torch.testing.assert_close(bounds[0] - bounds[1], expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="end="):
        with_times.elbo(series)


def test_predictions_do_not_depend_on_the_rest_of_the_batch(engine):
    model, series = make(engine), irregular()
    t = torch.rand(4, 5).sort(dim=1).values + 0.2
    together = model.predict(series, t)
    alone = torch.cat([model.predict(series[row : row + 1], t[row : row + 1]) for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    shared = model.predict(series, t[0])
    torch.testing.assert_close(shared[0], together[0], rtol=1e-4, atol=1e-4)


class MeanEncoder(nn.Module):
    """An encoder of somebody's own: a linear map of the mean over what was observed."""

    hidden = 5

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, self.hidden)

    def forward(self, series, start=0.0):
        count = series.mask.sum(dim=1).clamp(min=1)
        return self.linear(series.x.sum(dim=1) / count)


class Laplace(nn.Module):
    """Another distribution of values."""

    def log_prob(self, mean, targets):
        return torch.where(targets.mask, -(targets.x - mean).abs() - math.log(2), 0.0).sum(dim=(1, 2))


def test_encoder_dynamics_decoder_and_likelihood_may_be_ones_own():
    dynamics = nn.Module()
    dynamics.net = nn.Linear(LATENT, LATENT)
    dynamics.forward = lambda t, z: torch.tanh(dynamics.net(z))
    model = LatentODE(MeanEncoder(), dynamics, nn.Linear(LATENT, 2), Laplace(), latent=LATENT, engine="embedded")
    series = irregular()
    elbo = model.elbo(series)
    elbo.value.mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    with torch.no_grad():
        means = model.predict(series, series.t)
    assert means.shape == series.x.shape
    assert (elbo.log_likelihood < 0).all()  # a density of Laplace is below 1/2


def test_an_encoder_that_does_not_say_its_size_is_refused():
    with pytest.raises(InputError, match="The encoder, a Linear, has no whole number `hidden`"):
        make("embedded", encoder=nn.Linear(2, 6))


def test_targets_may_differ_from_what_the_encoder_reads():
    model, series = make("embedded"), irregular()
    kept = series.mask.clone()
    kept[:, 3:] = False
    prefix = Series(series.t, series.x, kept)
    torch.manual_seed(4)
    conditional = model.elbo(prefix, series)
    torch.testing.assert_close(conditional.kl, model.elbo(prefix).kl)
    torch.manual_seed(4)
    mean = model.predict(prefix, series.t, sample=True)
    torch.testing.assert_close(conditional.log_likelihood, model.likelihood.log_prob(mean, series))


def test_times_before_the_start_are_refused():
    model, series = make("embedded"), irregular()
    with pytest.raises(InputError, match="start = 0"):
        model.predict(series, torch.tensor([-1.0, 0.5]))


def test_training_fits_oscillations_of_unknown_phase():
    """After some steps the reconstruction explains more than half of the variance."""
    model = make("embedded")
    model.solver = {"method": "rk4", "engine": "embedded"}
    t = torch.linspace(0.0, 1.0, 8)
    phase = torch.rand(16, 1) * 6
    series = Series.of(t, torch.stack([(4 * t + phase).sin(), (4 * t + phase).cos()], dim=-1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    for step in range(60):
        loss = -model.elbo(series, kl_weight=step / 60).value.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        miss = (model.predict(series, t) - series.x).square().mean()
    assert miss < 0.5 * series.x.var()
