"""Latent ODE and RNNs on the weekly CO2 of Mauna Loa: filling gaps and forecasting weeks that were held out.

All models learn from windows of five years of the record before 1997. Of every four weeks one is drawn, and of each
window a part is hidden, half the time the last two years, else a run of up to 40 weeks somewhere; weeks that the record
lacks are masked. The latent ODE reads what is left, and has to explain the whole window; an RNN predicts each value
from those before it. The first latent state is the level of the concentration, on which its growth may depend, the
others turn with the seasons, and errors of the path last for years (models.py).

Held out, and never learnt from, are the years 1997-2001 and runs of 4 to 16 weeks before, which each seed draws anew.
Each model forecasts the year after each New Year from the three years before it, five years from 1997, and fills the
runs: the latent ODE from both sides, an RNN from the past; each prediction is the mean over four readings, of every
fourth week. Beside them are polynomial trends with seasons, fitted to all that was measured until then, and the
straight line across a run. Settings were chosen with --since 1985 and --since 1990, which end the record five years
later and hold these out in the same way (seeds 101 and 102).
Data: statsmodels' `co2`, weekly, 1958-2001 (Keeling and Whorf, Scripps Institution of Oceanography).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

from examples.studies.latent_ode_co2 import figures
from examples.studies.latent_ode_co2.models import ODE, RNN, RNN_BLIND, make
from examples.studies.latent_ode_co2.predictions import fillings, forecasts, rmse
from examples.studies.latent_ode_co2.record import RUNS, SCALE, Record, draw_batch, load, real_gaps
from examples.support import common, seeds
from examples.support.likelihood import maximise
from pyode_bridge.models import LatentODE

SEEDS = 5
BATCH, QUICK_BATCH = 64, 16
LEARNING_RATE = 1e-2
KL_WARM_UP = 0.5  # of training
LARGEST_GRADIENT = 1000.0  # norm
TOLERANCES = {"rtol": 1e-3, "atol": 1e-4}
FILL, ONE_YEAR, FIVE_YEARS = "fill", "one year ahead", "five years ahead"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=int, default=1997, help="the first of the five years held out; the last read")
    seeds.add_option(parser, SEEDS)


def learn(model: nn.Module, record: Record, args: argparse.Namespace) -> dict[str, Any]:
    def objective(kl_weight: float) -> tuple[Tensor, dict[str, float]]:
        read, whole = draw_batch(record, QUICK_BATCH if args.quick else BATCH)
        if not isinstance(model, LatentODE):
            return model.log_prob(read, whole), {}
        elbo = model.elbo(read, whole, kl_weight=kl_weight)
        return elbo.value, {"kl": elbo.kl.mean().item(), "nfe": elbo.solution.stats.nfe}

    return maximise(
        model, objective, args, learning_rate=LEARNING_RATE, kl_warm_up=KL_WARM_UP, largest_gradient=LARGEST_GRADIENT
    )


@dataclass(frozen=True)
class Fit:
    """The models of one seed, how they were trained, and by task what each of them predicts, ``(W,)``."""

    models: dict[str, nn.Module]
    trainings: list[dict[str, Any]]
    found: dict[str, dict[str, Tensor]]


def fit(record: Record, args: argparse.Namespace) -> Fit:
    models: dict[str, nn.Module] = {}
    trainings = []
    for name in (RNN_BLIND, RNN, ODE):
        print(f"{name}, seed {args.seed}")
        own = common.part(args, f"{name.replace(' ', '_')}_{args.seed}")
        models[name] = make(name, {**common.solver_settings(args), **TOLERANCES})
        trainings.append(learn(models[name], record, own))
    found = {
        FILL: fillings(models, record, record.runs),
        ONE_YEAR: forecasts(models, record, 1),
        FIVE_YEARS: forecasts(models, record, 5),
    }
    return Fit(models, trainings, found)


def main() -> None:
    args = common.arguments(
        __doc__, name="latent_ode_co2", method="dopri5", iterations=1500, quick_iterations=20, own=options
    )
    records = {seed: load(seed, args.since) for seed in seeds.chosen(args, SEEDS)}
    describe(records[args.seed])
    fits, by_seed = [], []
    for seed, record in records.items():
        fits.append(fit(record, seeds.with_seed(args, seed)))
        by_seed.append({task: rmse(found, record, held_out(record, task)) for task, found in fits[-1].found.items()})
        print_errors("RMSE in ppm of held-out weeks", by_seed[-1])
    table, spread = (seeds.over_seeds(by_seed, of) for of in (statistics.fmean, statistics.pstdev))
    if len(by_seed) > 1:
        print_errors(f"The same, mean over {len(by_seed)} seeds", table)
        print_errors("Its standard deviation", spread)
    record, first = records[args.seed], fits[0]
    gaps = real_gaps(record)
    path = args.output / "latent_ode_co2.png"
    figures.draw(path, record, first.found, gaps, fillings(first.models, record, gaps), by_seed)
    ode = first.models[ODE]
    solution = ode.elbo(*draw_batch(record, BATCH)).solution
    numbers = {
        "error": max(table[task][ODE] for task in (FILL, ONE_YEAR)),
        "rmse_ppm": table,
        "spread_ppm": spread,
        "by_seed": by_seed,
        "learnt_noise_ppm": SCALE * ode.likelihood.std.item(),
        "learnt_wander_ppm": SCALE * ode.likelihood.wander.item(),
    }
    common.write_results(args, solution, common.together([one for each in fits for one in each.trainings]), numbers)


def describe(record: Record) -> None:
    missing = int(torch.isnan(record.ppm).sum())
    print(f"{int(record.learn.sum())} weeks to learn from, {missing} were not measured; held out are", end=" ")
    print(f"{int(record.fill.sum())} weeks to fill in {RUNS} runs and {int(record.ahead.sum())} to forecast")


def held_out(record: Record, task: str) -> Tensor:
    return record.fill if task == FILL else record.ahead


def print_errors(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"{title:32s}" + "".join(f"{task:>18}" for task in table))
    for name in table[FILL]:
        cells = (f"{row[name]:18.3f}" if name in row else f"{'-':>18}" for row in table.values())
        print(f"{name:32s}" + "".join(cells))


if __name__ == "__main__":
    main()
