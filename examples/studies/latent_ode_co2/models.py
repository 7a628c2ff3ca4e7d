"""The models: a latent ODE whose first state is the concentration's level, and recurrent networks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from examples.studies.latent_ode_co2.record import SCALE
from pyode_bridge.models import (
    AutoregressiveRNN,
    GRUEncoder,
    LatentDynamics,
    LatentODE,
    OrnsteinUhlenbeckLikelihood,
    Series,
)

ODE, RNN, RNN_BLIND = "latent ODE", "RNN with time gaps", "RNN"
HIDDEN, UNITS = 32, 32
SEASONS = 4  # latent states beside the level
LEVEL = 20.0 / SCALE  # what the first latent state counts in
GROWTH = 1.3 / 20.0 / (2 * math.pi)  # first guess: 1.3 ppm a year
NOISE = {"std": 0.15, "wander": 0.5, "timescale": 5 * 2 * math.pi}  # of an error that lasts 5 years


class LevelEncoder(nn.Module):
    """A GRU over what differs from the series' mean, and that mean, the level, beside its state.

    So it reads a window alike at any concentration, and the level, which grows beyond all that it has learnt from, goes
    past the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = HIDDEN + 1
        self.gru = GRUEncoder(1, HIDDEN)

    def forward(self, series: Series, start: float = 0.0) -> Tensor:
        mean = level(series)
        return torch.cat([self.gru(about(series, mean), start), mean[:, 0] / LEVEL], dim=1)


class GrowthAndSeasons(nn.Module):
    """``dz/dt = A z + b + net(seasons)`` of the level and the seasons: growth that depends on the level, oscillations.

    ``A`` and ``b`` are learnt from a first guess that grows steadily, and turns two pairs of states once and twice a
    year: from small random numbers training settled for the trend, and had found no season after 300 iterations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1 + SEASONS, 1 + SEASONS)
        self.net = LatentDynamics(SEASONS, UNITS)
        self.net.net[-1] = nn.Linear(UNITS, 1 + SEASONS)
        turns = torch.zeros(1 + SEASONS, 1 + SEASONS)
        for pair, frequency in ((1, 1.0), (3, 2.0)):
            turns[pair, pair + 1], turns[pair + 1, pair] = frequency, -frequency
        with torch.no_grad():
            self.linear.weight.copy_(turns)
            self.linear.bias.zero_()
            self.linear.bias[0] = GROWTH
            self.net.net[-1].weight.mul_(0.1)
            self.net.net[-1].weight[0] /= LEVEL
            self.net.net[-1].bias.zero_()

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.linear(z) + self.net(t, z[..., 1:])


class LevelAndSeasons(nn.Module):
    """The decoder: the level, and what the seasons add."""

    def __init__(self) -> None:
        super().__init__()
        self.seasons = nn.Linear(SEASONS, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return LEVEL * z[..., :1] + self.seasons(z[..., 1:])


class RelativeRNN(nn.Module):
    """An autoregressive network that sees values relative to the mean of what it has read, its level."""

    def __init__(self, *, time_gaps: bool) -> None:
        super().__init__()
        self.rnn = AutoregressiveRNN(1, HIDDEN, time_gaps=time_gaps)

    def log_prob(self, read: Series, whole: Series) -> Tensor:
        return self.rnn.log_prob(about(whole, level(read)))

    def predict(self, series: Series, t: Tensor) -> Tensor:
        mean = level(series)
        return mean + self.rnn.predict(about(series, mean), t)


def make(name: str, solver: dict[str, Any]) -> LatentODE | RelativeRNN:
    if name != ODE:
        return RelativeRNN(time_gaps=name == RNN)
    noise = OrnsteinUhlenbeckLikelihood(1, **NOISE)
    noise.log_timescale.requires_grad_(False)
    model = LatentODE(LevelEncoder(), GrowthAndSeasons(), LevelAndSeasons(), noise, latent=1 + SEASONS, **solver)
    pass_level_on(model.posterior_head.head)
    return model


@torch.no_grad()
def pass_level_on(head: nn.Linear) -> None:
    """Start with a posterior whose first mean is about the encoder's level, and is narrow."""
    head.weight[:, -1] = 0
    head.weight[0, :-1] /= LEVEL
    head.weight[0, -1] = 1
    head.bias[0] = 0
    head.weight[1 + SEASONS] *= 0.1
    head.bias[1 + SEASONS] = -3.5


def level(series: Series) -> Tensor:
    """The mean of the observed values of each series, shape ``(B, 1, 1)``."""
    return series.x.sum(dim=1, keepdim=True) / series.mask.sum(dim=1, keepdim=True)


def about(series: Series, mean: Tensor) -> Series:
    return Series(series.t, series.x - mean, series.mask)
