"""What every encoder and the recurrent baseline do with masks, gaps and batches."""

from __future__ import annotations

import pytest
import torch

from pyode_bridge.models import AutoregressiveRNN, GRUEncoder, ODERNNEncoder, Series

FEATURES = 2


def gru():
    return GRUEncoder(FEATURES, hidden=5)


def ode_rnn():
    return ODERNNEncoder(FEATURES, hidden=5, units=6, method="rk4", engine="embedded")


def rnn_density():
    model = AutoregressiveRNN(FEATURES, hidden=5)
    return lambda series: model.log_prob(series)[:, None]


def rnn_prediction():
    model = AutoregressiveRNN(FEATURES, hidden=5)
    return lambda series: model.predict(series, torch.tensor([2.0, 2.5]))


@pytest.fixture(params=[gru, ode_rnn, rnn_density, rnn_prediction], ids=lambda make: make.__name__)
def reader(request):
    """Something that maps a series to numbers for each of its rows."""
    return request.param()


def irregular(batch=4, rows=7):
    t = torch.rand(batch, rows).sort(dim=1).values
    mask = torch.rand(batch, rows, FEATURES) < 0.6
    mask[:, 0] = True
    mask[0, 3] = False  # a row without any value
    return Series(t, torch.randn(batch, rows, FEATURES), mask)


def test_a_masked_value_changes_nothing(reader):
    series = irregular()
    other = torch.where(series.mask, series.x, torch.full_like(series.x, 1e6))
    assert torch.equal(reader(series), reader(Series(series.t, other, series.mask)))


def test_an_observed_value_changes_its_own_series_alone(reader):
    series = irregular()
    x = series.x.clone()
    x[1, 0] += 1.0
    before, after = reader(series), reader(Series(series.t, x, series.mask))
    assert not torch.allclose(before[1], after[1])
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])


def test_rows_of_padding_change_nothing(reader):
    series = irregular()
    pad = torch.ones(4, 3)
    padded = Series(
        torch.cat([series.t, pad * 1.5], dim=1),
        torch.cat([series.x, torch.full((4, 3, FEATURES), float("nan"))], dim=1),
        torch.cat([series.mask, torch.zeros(4, 3, FEATURES, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(reader(padded), reader(series), rtol=1e-5, atol=1e-6)


def test_a_row_without_values_may_as_well_be_absent(reader):
    series = irregular()[:1]
    keep = [0, 1, 2, 4, 5, 6]
    shorter = Series(series.t[:, keep], series.x[:, keep], series.mask[:, keep])
    torch.testing.assert_close(reader(shorter), reader(series), rtol=1e-5, atol=1e-6)


def test_gaps_matter(reader):
    series = irregular()
    assert not torch.allclose(reader(series), reader(Series(series.t**2, series.x, series.mask)))


def test_a_permuted_batch_is_encoded_as_the_permuted_encoding(reader):
    series, order = irregular(), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(reader(series[order]), reader(series)[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [gru, ode_rnn], ids=lambda make: make.__name__)
def test_encoders_know_how_far_the_start_is(make):
    encoder, series = make(), irregular()
    later = Series(series.t + 0.5, series.x, series.mask)
    torch.testing.assert_close(encoder(later, start=0.5), encoder(series, start=0.0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encoder(later, start=0.0), encoder(series, start=0.0))


def test_without_time_gaps_the_rnn_does_not_see_the_times():
    model, series = AutoregressiveRNN(FEATURES, time_gaps=False), irregular()
    squeezed = Series(series.t**2, series.x, series.mask)
    assert torch.equal(model.log_prob(series), model.log_prob(squeezed))


def test_rnn_density_is_that_of_its_own_one_step_predictions():
    """With a head of zeros the prediction is N(0, 1) whatever was read, and the first row is not scored."""
    model, series = AutoregressiveRNN(FEATURES), irregular()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    each = torch.distributions.Normal(0.0, 1.0).log_prob(series.x)
    expected = torch.where(series.mask, each, 0.0)[:, 1:].sum(dim=(1, 2))
    torch.testing.assert_close(model.log_prob(series), expected)


def test_rnn_feeds_its_predictions_back():
    """The second prediction is what the model says after reading the first one as an observation."""
    model, series = AutoregressiveRNN(FEATURES), irregular()
    first, second = model.predict(series, torch.tensor([1.2, 1.7])).unbind(dim=1)
    longer = Series(
        torch.cat([series.t, torch.full((4, 1), 1.2)], dim=1),
        torch.cat([series.x, first[:, None]], dim=1),
        torch.cat([series.mask, torch.ones(4, 1, FEATURES, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(model.predict(longer, torch.tensor([1.7]))[:, 0], second)
