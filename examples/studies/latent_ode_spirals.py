"""Latent ODE and RNN on spirals seen at irregular times (Chen et al. 2018, section 5.1, table 2 and figure 8).

1,000 spirals of two dimensions start at different points of one Archimedean spiral; half run along it outwards,
counter-clockwise, half inwards, clockwise. Each is measured with Gaussian noise at 200 equally spaced times; time is
the angle swept, in radians. Of the first 100 times 30, 50 or all 100 are observed, drawn without replacement for each
spiral. The models are trained on those alone and predict the next 100 times, which lie beyond all that was observed.
The error is the root mean square over spirals, times and both coordinates, against the spirals without noise. The
paper says neither the size of its spirals nor their noise, so its figures are for orientation, not for a match.

The latent state and the hidden layer of the dynamics have the paper's sizes. The models depart from the paper, by
trials on other spirals (seeds 100 and 101): the recurrent networks of all have 50 units, not 25; the latent dynamics
have a linear map beside the network, at first a random rotation, which mattered most; and the decoder is linear, which
is simpler and no worse. The RNNs train for twice as many iterations as the latent ODE, at a learning rate of their own.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

from examples.support import common
from pyode_bridge.models.encoders import GRUEncoder
from pyode_bridge.models.latent_ode import LatentDynamics, LatentODE
from pyode_bridge.models.likelihood import GaussianLikelihood
from pyode_bridge.models.rnn import AutoregressiveRNN
from pyode_bridge.models.series import Series

SPIRALS = 1000
STEPS = 100  # times that may be observed, and as many to predict
TURNS = 3  # of the whole spiral
CURVE = 500  # equally spaced angles along it
SLOPE = 0.3  # radius gained in a radian
NOISE = 0.1  # standard deviation of each measured coordinate
COUNTS = (30, 50, 100)
BATCH = 200
SCALE = 3.0  # about the root mean square of the radius; models see positions divided by it
LATENT, HIDDEN, UNITS = 4, 50, 20  # HIDDEN is of the encoder and of the RNNs alike, 25 in the paper
RNN_ROUNDS = 2  # iterations of an RNN for one of the latent ODE
LEARNING_RATE, RNN_LEARNING_RATE = 1e-2, 2e-2
LARGEST_GRADIENT = 100.0  # norm
KL_WARM_UP = 0.2  # of training, over which the KL divergence's weight rises from 0 to 1
TOLERANCES = {"rtol": 1e-3, "atol": 1e-4}
QUICK_SPIRALS, QUICK_COUNTS = 100, (30, 100)

ODE, RNN, RNN_BLIND = "latent ODE", "RNN with time gaps", "RNN"
PUBLISHED = {  # table 2 of the paper
    "RNN (published)": {30: 0.3937, 50: 0.3202, 100: 0.1813},
    "latent ODE (published)": {30: 0.1642, 50: 0.1502, 100: 0.1346},
}
COLORS = {ODE: "tab:blue", RNN: "tab:orange", RNN_BLIND: "0.55"}


@dataclass(frozen=True)
class Spirals:
    """``t`` ``(2 STEPS,)``, the true and the measured positions ``(B, 2 STEPS, 2)``, which ones run ``outwards``."""

    t: Tensor
    truth: Tensor
    measured: Tensor
    outwards: Tensor


def make_spirals(count: int, seed: int) -> Spirals:
    random = torch.Generator().manual_seed(seed)
    steps = torch.arange(2 * STEPS)
    first = torch.randint(0, CURVE - 2 * STEPS + 1, (count, 1), generator=random)
    outwards = torch.arange(count) % 2 == 0
    along = torch.where(outwards[:, None], first + steps, CURVE - 1 - first - steps)
    step = 2 * math.pi * TURNS / (CURVE - 1)
    angle = step * along
    truth = SLOPE * angle[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    measured = truth + NOISE * torch.randn(truth.shape, generator=random)
    return Spirals(steps * step, truth, measured, outwards)


def observe(spirals: Spirals, count: int, seed: int) -> Series:
    """``count`` of the first STEPS points of each spiral, drawn without replacement."""
    random = torch.Generator().manual_seed(seed)
    chosen = torch.rand((len(spirals.truth), STEPS), generator=random).argsort(dim=1)[:, :count].sort(dim=1).values
    return Series.of(spirals.t[chosen], spirals.measured[torch.arange(len(chosen))[:, None], chosen] / SCALE)


class TurningDynamics(nn.Module):
    """``dz/dt = A z + net(z)``: rotations, which go on beyond what was seen, and what is not linear about them.

    ``A`` is learnt from a random antisymmetric matrix, which tells neither the frequency nor the sense of the turns;
    the network starts small beside it. With the network alone the error beyond was three times as large (30 points,
    seed 100).
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(LATENT, LATENT, bias=False)
        self.net = LatentDynamics(LATENT, UNITS)
        random = torch.randn(LATENT, LATENT)
        with torch.no_grad():
            self.linear.weight.copy_((random - random.T) / math.sqrt(2 * LATENT))
            self.net.net[-1].weight.mul_(0.1)
            self.net.net[-1].bias.zero_()

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.linear(z) + self.net(t, z)


def make(name: str, solver: dict[str, Any]) -> nn.Module:
    if name != ODE:
        return AutoregressiveRNN(2, HIDDEN, time_gaps=name == RNN)
    decoder = nn.Linear(LATENT, 2)
    noise = GaussianLikelihood(2, std=0.5, learned=True)
    return LatentODE(GRUEncoder(2, HIDDEN), TurningDynamics(), decoder, noise, latent=LATENT, **solver)


def learn(model: nn.Module, series: Series, args: argparse.Namespace) -> dict[str, Any]:
    """Maximise the bound of a latent ODE, or the likelihood of an RNN, with mini-batches and Adam."""
    optimizer = torch.optim.Adam(model.parameters())
    batch = min(BATCH, len(series) // 2)
    learning_rate = LEARNING_RATE if isinstance(model, LatentODE) else RNN_LEARNING_RATE

    def step(iteration: int) -> dict[str, float]:
        done = iteration / args.iterations
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        some = series[torch.randperm(len(series))[:batch]]
        objective, shown = bound(model, some, kl_weight=min(1.0, done / KL_WARM_UP))
        loss = -objective.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        return {"loss": loss.item(), **shown}

    return common.train(step, {"model": model, "optimizer": optimizer}, args, every=50)


def bound(model: nn.Module, series: Series, kl_weight: float) -> tuple[Tensor, dict[str, float]]:
    """What training maximises for each series, and numbers to show."""
    if not isinstance(model, LatentODE):
        return model.log_prob(series), {}
    elbo = model.elbo(series, kl_weight=kl_weight)
    return elbo.value, {"kl": elbo.kl.mean().item(), "nfe": elbo.solution.stats.nfe}


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


@dataclass(frozen=True)
class Fit:
    """A trained model, what it was trained on and its predictions of all times."""

    model: nn.Module
    series: Series
    all_times: Tensor
    training: dict[str, Any]


def fit(name: str, count: int, spirals: Spirals, args: argparse.Namespace) -> Fit:
    print(f"{name}, {count} of {STEPS} points observed")
    own = common.part(args, f"{name.replace(' ', '_')}_{count}")
    if name != ODE:
        own.iterations *= RNN_ROUNDS
    series = observe(spirals, count, args.seed)
    model = make(name, {**common.solver_settings(args), **TOLERANCES})
    training = learn(model, series, own)
    with torch.no_grad():
        if name == ODE:  # fixed steps go from time to time, so the observed span is solved through as well
            prediction = model.predict(series, spirals.t)
        else:  # it knows only the times after what it has read
            future = model.predict(series, spirals.t[STEPS:])
            prediction = torch.cat([torch.full_like(future, math.nan), future], dim=1)
    return Fit(model, series, SCALE * prediction, training)


def measure(fits: dict[str, dict[int, Fit]], spirals: Spirals) -> dict[str, Any]:
    rmse, noisy = ({name: {} for name in fits} for _ in range(2))
    for name, by_count in fits.items():
        for count, one in by_count.items():
            future = one.all_times[:, STEPS:]
            rmse[name][count] = rms(future - spirals.truth[:, STEPS:])
            noisy[name][count] = rms(future - spirals.measured[:, STEPS:])
    return {
        "error": max(rmse[ODE].values()),
        "rmse_beyond_observed": rmse,
        "rmse_beyond_observed_to_noisy_points": noisy,
        "rmse_within_observed_span": {
            count: rms(one.all_times[:, :STEPS] - spirals.truth[:, :STEPS]) for count, one in fits[ODE].items()
        },
        "learnt_noise": {count: (SCALE * one.model.likelihood.std).tolist() for count, one in fits[ODE].items()},
        "published": PUBLISHED,
        "trained": {
            name: {count: {key: one.training[key] for key in ("iteration", "seconds")} for count, one in row.items()}
            for name, row in fits.items()
        },
    }


def print_table(numbers: dict[str, Any], counts: tuple[int, ...]) -> None:
    rows = {**numbers["rmse_beyond_observed"], "latent ODE, inside": numbers["rmse_within_observed_span"], **PUBLISHED}
    print(f"RMSE at the {STEPS} times beyond, by observed points" + "".join(f"{count:>9}" for count in counts))
    for name, row in rows.items():
        print(f"{name:48s}" + "".join(f"{row[count]:9.4f}" for count in counts))


def main() -> None:
    args = common.arguments(__doc__, name="latent_ode_spirals", method="midpoint", iterations=700, quick_iterations=20)
    spirals = make_spirals(QUICK_SPIRALS if args.quick else SPIRALS, args.seed)
    counts = QUICK_COUNTS if args.quick else COUNTS
    fits = {name: {count: fit(name, count, spirals, args) for count in counts} for name in (RNN_BLIND, RNN, ODE)}
    numbers = measure(fits, spirals)
    print_table(numbers, counts)
    draw(args.output / "latent_ode_spirals.png", spirals, fits, numbers)
    last = fits[ODE][counts[-1]]
    solution = last.model.elbo(last.series).solution
    common.write_results(
        args, solution, common.together([one.training for row in fits.values() for one in row.values()]), numbers
    )


def principal(latent: Tensor) -> Tensor:
    """Two principal components of latent states ``(B, M, L)``."""
    flat = latent.reshape(-1, latent.shape[-1])
    centred = flat - flat.mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    return (centred @ directions[:2].T).view(*latent.shape[:-1], 2)


def draw(path: Path, spirals: Spirals, fits: dict[str, dict[int, Fit]], numbers: dict[str, Any]) -> None:
    counts = list(fits[ODE])
    figure, grid = plt.subplots(len(counts), 4, figsize=(19, 4.6 * len(counts)), layout="constrained", squeeze=False)
    for row, count in zip(grid, counts, strict=True):
        for axes, which in zip(row[:2], (0, 1), strict=True):
            draw_spiral(axes, spirals, {name: by_count[count] for name, by_count in fits.items()}, which, count)
        draw_latent(row[2], spirals, fits[ODE][count])
        draw_errors(row[3], spirals, {name: by_count[count] for name, by_count in fits.items()})
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_spiral(axes: Any, spirals: Spirals, fits: dict[str, Fit], which: int, count: int) -> None:
    truth, ode = spirals.truth[which], fits[ODE].all_times[which]
    axes.plot(*truth[:STEPS].T, color="k", lw=1, label="truth, span observed")
    axes.plot(*truth[STEPS:].T, color="k", lw=1, ls=":", label="truth, beyond")
    axes.plot(*(SCALE * fits[ODE].series.x[which]).T, "o", ms=4, mec="k", mew=0.5, color="tab:green", label="observed")
    for name in (RNN_BLIND, RNN):
        axes.plot(*fits[name].all_times[which].T, color=COLORS[name], lw=1.2, label=f"{name}, prediction")
    axes.plot(*ode[: STEPS + 1].T, "--", color=COLORS[ODE], lw=2)
    axes.plot(*ode[STEPS:].T, color=COLORS[ODE], lw=2, label=f"{ODE} (dashed inside, solid beyond)")
    way = "outwards, counter-clockwise" if spirals.outwards[which] else "inwards, clockwise"
    axes.set(title=f"{count} of {STEPS} points, {way}", xlabel="x1", ylabel="x2", xlim=(-7, 7), ylim=(-7, 7), aspect=1)


def draw_latent(axes: Any, spirals: Spirals, one: Fit, shown: int = 40) -> None:
    with torch.no_grad():
        paths = principal(one.model.latent(one.series[:shown], spirals.t))
    for outwards, color, label in ((True, "tab:blue", "outwards"), (False, "tab:orange", "inwards")):
        for position, path in enumerate(paths[spirals.outwards[:shown] == outwards]):
            axes.plot(*path[:STEPS].T, color=color, lw=1, label=label if position == 0 else None)
            axes.plot(*path[STEPS - 1 :].T, color=color, lw=0.7, ls=":")
            axes.plot(*path[0], ".", ms=5, color=color)
    axes.set(title="Latent trajectories (dots: start)", xlabel="first principal component", ylabel="second")
    axes.margins(0.2)  # room for the legend
    axes.legend(loc="upper left")


def draw_errors(axes: Any, spirals: Spirals, fits: dict[str, Fit]) -> None:
    for name, one in fits.items():
        error = (one.all_times - spirals.truth).square().mean(dim=(0, 2)).sqrt()
        axes.semilogy(spirals.t, error, color=COLORS[name], lw=1.8, label=name)
    axes.axvline(spirals.t[STEPS], color="k", lw=0.8, ls=":")
    axes.axhline(NOISE, color="k", lw=0.8, ls="--")
    axes.text(spirals.t[-1], NOISE * 0.97, "measurement noise", va="top", ha="right", fontsize=8)
    axes.set(title="Error by time; right of the line is beyond", xlabel="t (radians swept)", ylabel="RMSE")
    axes.legend(loc="best")


if __name__ == "__main__":
    main()
