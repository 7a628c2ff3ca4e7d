"""The figure of the study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from examples.studies.latent_ode_co2.models import ODE, RNN
from examples.studies.latent_ode_co2.record import Record

COLORS = {ODE: "tab:blue", RNN: "tab:orange", "quadratic trend + seasons": "tab:green"}


def draw(
    path: Path,
    record: Record,
    found: dict[str, dict[str, Tensor]],
    gaps: Tensor,
    in_gaps: dict[str, Tensor],
    by_seed: list[dict[str, dict[str, float]]],
) -> None:
    """Curves are of the first seed, ``found`` and ``in_gaps``; bars are of all."""
    figure, ((runs, real, bars), (one, five, spare)) = plt.subplots(2, 3, figsize=(21, 10), layout="constrained")
    middle = record.runs[len(record.runs) // 2, 0]
    draw_fills(runs, record, found["fill"], middle, 130, "Runs of weeks that were held out, filled in")
    longest = gaps[gaps[:, 1].argmax()]
    title = f"A gap of the record, {int(longest[1])} weeks never measured, filled in"
    draw_fills(real, record, in_gaps, longest[0], 60, title)
    draw_forecast(one, record, found["one year ahead"], "Each year forecast from the three before it")
    draw_forecast(five, record, found["five years ahead"], f"Five years forecast from {record.since}")
    draw_misses(spare, record, found["five years ahead"])
    draw_bars(bars, by_seed)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def draw_bars(axes: Any, by_seed: list[dict[str, dict[str, float]]]) -> None:
    names = list(by_seed[0]["fill"])
    places = np.arange(len(names))
    for position, task in enumerate(by_seed[0]):
        each = np.array([[table[task].get(name, math.nan) for name in names] for table in by_seed])
        shade = ("0.85", "0.65", "0.45")[position]
        at = places + 0.27 * (position - 1)
        bars = axes.bar(at, each.mean(0), 0.25, label=task, color=shade)
        axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=6)
        axes.plot(np.broadcast_to(at, each.shape), each, ".", ms=4, color="k")
    axes.set_xticks(places, [name.replace(" with ", "\nwith ").replace(" trend + ", "\ntrend +\n") for name in names])
    axes.margins(y=0.3)  # room for the legend above the bars
    axes.set(title="Error on the held-out weeks: mean, and each seed (dots)", ylabel="RMSE (ppm)")
    axes.legend(loc="upper center", ncols=3)


def draw_misses(axes: Any, record: Record, found: dict[str, Tensor]) -> None:
    for name, color in COLORS.items():
        axes.plot(record.year[record.ahead], (found[name] - record.ppm)[record.ahead], color=color, label=name)
    axes.axhline(0, color="k", lw=0.8)
    axes.set(title=f"Five years forecast from {record.since}: forecast less measured", xlabel="year", ylabel="ppm")
    axes.legend(loc="best")


def draw_forecast(axes: Any, record: Record, found: dict[str, Tensor], title: str) -> None:
    near = record.year > record.since - 2
    axes.plot(record.year[near], record.ppm[near], ".", ms=4, color="0.6", label="measured")
    for name, color in COLORS.items():
        axes.plot(record.year[near], found[name][near], color=color, lw=1.4, label=name)
    axes.axvline(record.since, color="k", lw=0.8, ls=":")
    axes.set(title=title, xlabel="year", ylabel="CO2 (ppm)")
    axes.legend(loc="upper left")


def draw_fills(axes: Any, record: Record, found: dict[str, Tensor], centre: Tensor, weeks: int, title: str) -> None:
    near = slice(int(centre) - weeks, int(centre) + weeks)
    year = record.year[near]
    for chosen, style, label in (
        (record.learn, {"marker": ".", "ms": 4, "color": "0.6"}, "measured"),
        (record.fill, {"marker": "o", "ms": 4, "mfc": "none", "color": "k"}, "measured, held out"),
    ):
        axes.plot(year, torch.where(chosen, record.ppm, math.nan)[near], ls="", **style, label=label)
    for name, color in COLORS.items():
        axes.plot(year, found[name][near], color=color, lw=2, label=name)
    axes.set(title=title, xlabel="year", ylabel="CO2 (ppm)")
    axes.legend(loc="upper left", fontsize=8)
