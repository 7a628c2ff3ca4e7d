"""Latent ODE and RNN on the weekly CO2 of Mauna Loa: filling gaps and forecasting weeks that were held out.

Both models learn from windows of five years of the record before 1997. Of every four weeks one is drawn, and of each
window a part is hidden, half the time the last two years, else a run of up to 40 weeks somewhere; weeks that the record
lacks are masked. The latent ODE reads what is left, and has to explain the whole window; the RNN predicts each value
from those before it. Concentrations count from the mean of what was read, so that no model is told the year.

Held out, and never learnt from, are the years 1997-2001 and runs of 4 to 16 weeks before. Each model forecasts the
year after each New Year from the three years before it, five years from 1997, and fills the runs: the latent ODE from
both sides, the RNN from the past; each prediction is the mean over four readings, of every fourth week. Beside them
are polynomial trends with seasons, fitted to all that was measured until then, and the straight line across a run.
Data: statsmodels' `co2`, weekly, 1958-2001 (Keeling and Whorf, Scripps Institution of Oceanography).
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

from examples.studies.latent_ode_co2 import figures
from examples.studies.latent_ode_co2.figures import ODE, RNN
from examples.studies.latent_ode_co2.record import (
    CENTRE,
    CONTEXT,
    EVERY,
    HELD_OUT_FROM,
    RUNS,
    SCALE,
    WEEK,
    WINDOW,
    Record,
    draw_batch,
    load,
    real_gaps,
    window,
)
from examples.support import common
from examples.support.co2_data import EPOCH, design
from pyode_bridge.models import (
    AutoregressiveRNN,
    GaussianLikelihood,
    GRUEncoder,
    LatentDynamics,
    LatentODE,
)

LATENT, HIDDEN, UNITS = 6, 32, 32
BATCH, QUICK_BATCH = 64, 16
LEARNING_RATE = 1e-2
KL_WARM_UP = 0.5  # of training
TOLERANCES = {"rtol": 1e-3, "atol": 1e-4}
TRENDS = {"linear trend + seasons": 1, "quadratic trend + seasons": 2}  # degrees


class SeasonalDynamics(nn.Module):
    """``dz/dt = A z + net(z)``: oscillations and drifts, and what is not linear about them.

    ``A`` is learnt from a first guess that turns two pairs of states once and twice a year: from small random numbers
    training settled for the trend, and had found no season after 300 iterations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(LATENT, LATENT, bias=False)
        self.net = LatentDynamics(LATENT, UNITS)
        turns = torch.zeros(LATENT, LATENT)
        for pair, frequency in ((0, 1.0), (2, 2.0)):
            turns[pair, pair + 1], turns[pair + 1, pair] = frequency, -frequency
        with torch.no_grad():
            self.linear.weight.copy_(turns)
            self.net.net[-1].weight.mul_(0.1)
            self.net.net[-1].bias.zero_()

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.linear(z) + self.net(t, z)


def make(name: str, solver: dict[str, Any]) -> nn.Module:
    if name == RNN:
        return AutoregressiveRNN(1, HIDDEN)
    decoder = nn.Linear(LATENT, 1)
    noise = GaussianLikelihood(1, std=0.5, learned=True)
    return LatentODE(GRUEncoder(1, HIDDEN), SeasonalDynamics(), decoder, noise, latent=LATENT, **solver)


def learn(model: nn.Module, record: Record, args: argparse.Namespace) -> dict[str, Any]:
    optimizer = torch.optim.Adam(model.parameters())

    def step(iteration: int) -> dict[str, float]:
        done = iteration / args.iterations
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * done))
        read, whole = draw_batch(record, QUICK_BATCH if args.quick else BATCH)
        if isinstance(model, LatentODE):
            elbo = model.elbo(read, whole, kl_weight=min(1.0, done / KL_WARM_UP))
            objective, shown = elbo.value, {"kl": elbo.kl.mean().item(), "nfe": elbo.solution.stats.nfe}
        else:
            objective, shown = model.log_prob(whole), {}
        loss = -objective.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        optimizer.step()
        return {"loss": loss.item(), **shown}

    return common.train(step, {"model": model, "optimizer": optimizer}, args, every=50)


@torch.no_grad()
def predict(model: nn.Module, record: Record, starts: Tensor, readable: Tensor, first: int, count: int) -> Tensor:
    """ppm at ``count`` weeks of each window from its week ``first`` on: the mean over readings of one week in EVERY.

    A latent ODE reads the whole window, an RNN what lies before ``first``.
    """
    readings = []
    for offset in range(EVERY):
        if isinstance(model, LatentODE):
            read, level = window(record, starts, torch.arange(offset, WINDOW, EVERY), readable)
            # Fixed steps go from time to time, so it is solved through all weeks.
            values = model.predict(read, (torch.arange(first + count) * WEEK).float())[:, first:, 0]
        else:
            read, level = window(record, starts, torch.arange(offset, first, EVERY), readable)
            values = torch.empty(len(starts), count)
            for ahead in range(EVERY):  # it goes on by the steps that it has learnt
                weeks = torch.arange(ahead, count, EVERY)
                values[:, weeks] = model.predict(read, ((first + weeks) * WEEK).float())[..., 0]
        readings.append(level + SCALE * values.double())
    return torch.stack(readings).mean(dim=0)


def forecasts(models: dict[str, nn.Module], record: Record, years: int) -> dict[str, Tensor]:
    """Forecasts of all that is held out from the New Year of every so many ``years`` to the next such day."""
    found = {name: torch.full_like(record.ppm, math.nan) for name in (*models, *TRENDS)}
    for year in range(HELD_OUT_FROM, math.ceil(record.year[-1]), years):
        origin, end = (int((record.year < limit).sum()) for limit in (year, year + years))
        known = (record.learn | record.ahead) & (record.year < year)
        starts = torch.tensor([origin - CONTEXT])
        for name, model in models.items():
            found[name][origin:end] = predict(model, record, starts, known, CONTEXT, end - origin)[0]
        for name, degree in TRENDS.items():
            found[name][origin:end] = trend(record, known, degree)[origin:end]
    return found


def fillings(models: dict[str, nn.Module], record: Record, runs: Tensor) -> dict[str, Tensor]:
    """Every one of ``runs``, first weeks and lengths ``(R, 2)``, filled in; NaN elsewhere."""
    starts, lengths = runs.unbind(dim=1)
    weeks = torch.arange(len(record.ppm))
    found = {name: trend(record, record.learn, degree) for name, degree in TRENDS.items()}
    found["straight line"] = torch.from_numpy(np.interp(weeks, weeks[record.learn], record.ppm[record.learn]))
    for name, model in models.items():
        found[name] = torch.full_like(record.ppm, math.nan)
        filled = predict(model, record, starts - CENTRE, record.learn, CENTRE, int(lengths.max()))
        for (start, length), values in zip(runs.tolist(), filled, strict=True):
            found[name][start : start + length] = values[:length]
    inside = ((weeks >= starts[:, None]) & (weeks < (starts + lengths)[:, None])).any(dim=0)
    return {name: torch.where(inside, found[name], math.nan) for name in (*models, *TRENDS, "straight line")}


def trend(record: Record, known: Tensor, degree: int) -> Tensor:
    """Polynomial and seasons, fitted to the weeks that are known by least squares, at every week."""
    columns = design(record.year - EPOCH, degree)
    return (columns @ torch.linalg.lstsq(columns[known], record.ppm[known][:, None]).solution)[:, 0]


def rmse(found: dict[str, Tensor], record: Record, weeks: Tensor) -> dict[str, float]:
    return {name: (values - record.ppm)[weeks].square().mean().sqrt().item() for name, values in found.items()}


def main() -> None:
    args = common.arguments(__doc__, name="latent_ode_co2", method="rk4", iterations=1000, quick_iterations=20)
    record = load(args.seed)
    missing = int(torch.isnan(record.ppm).sum())
    print(f"{int(record.learn.sum())} weeks to learn from, {missing} were not measured; held out are", end=" ")
    print(f"{int(record.fill.sum())} weeks to fill in {RUNS} runs and {int(record.ahead.sum())} to forecast")
    models, trainings = {}, {}
    for name in (RNN, ODE):
        print(name)
        own = common.part(args, name.replace(" ", "_"))
        models[name] = make(name, {**common.solver_settings(args), **TOLERANCES})
        trainings[name] = learn(models[name], record, own)
    found = {
        "fill": fillings(models, record, record.runs),
        "one year ahead": forecasts(models, record, 1),
        "five years ahead": forecasts(models, record, 5),
    }
    table = {
        task: rmse(values, record, record.fill if task == "fill" else record.ahead) for task, values in found.items()
    }
    print_table(table)
    gaps = real_gaps(record)
    figures.draw(args.output / "latent_ode_co2.png", record, found, gaps, fillings(models, record, gaps), table)
    solution = models[ODE].elbo(*draw_batch(record, BATCH)).solution
    numbers = {
        "error": max(table[task][ODE] for task in ("fill", "one year ahead")),
        "rmse_ppm": table,
        "learnt_noise_ppm": SCALE * models[ODE].likelihood.std.item(),
        "trained": {name: {key: one[key] for key in ("iteration", "seconds")} for name, one in trainings.items()},
    }
    common.write_results(args, solution, common.together(list(trainings.values())), numbers)


def print_table(table: dict[str, dict[str, float]]) -> None:
    print(f"{'RMSE in ppm of held-out weeks':32s}" + "".join(f"{task:>18}" for task in table))
    for name in table["fill"]:
        cells = (f"{row[name]:18.3f}" if name in row else f"{'-':>18}" for row in table.values())
        print(f"{name:32s}" + "".join(cells))


if __name__ == "__main__":
    main()
