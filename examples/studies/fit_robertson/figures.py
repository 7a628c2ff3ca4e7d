"""The figure of the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from examples.studies.fit_robertson.fit import Fit, Measurements
from examples.studies.fit_robertson.model import RATES, Robertson, sensitivities
from examples.support.measurements import COLORS, MARKERS, save

POINTS = 300  # of each curve
RTOL = 1e-6
SPECIES = ("A", "B", "C")


def draw(path: Path, data: Measurements, fits: list[Fit], best: Fit, expected: Tensor, solver: dict[str, Any]) -> None:
    """Save the species over time, the way of the constants, and where they ended, as PNG and SVG under ``path``."""
    figure = plt.figure(figsize=(12, 9), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1))
    over_time(figure.add_subplot(grid[0, :]), data, best, solver)
    convergence(figure.add_subplot(grid[1, 0]), fits)
    recovered(figure.add_subplot(grid[1, 1]), fits, expected)
    save(figure, path)


def over_time(panel: Axes, data: Measurements, best: Fit, solver: dict[str, Any]) -> None:
    t = torch.logspace(*data.t[[1, -1]].log10().tolist(), POINTS)
    styles = {"start": (best.ratios[0], ":"), "fit": (best.ratios[-1], "-")}
    for ratios, line in styles.values():
        model = Robertson(RATES * torch.tensor(ratios))
        y = sensitivities(model, torch.cat([torch.zeros(1), t]), RTOL, solver)[0][1:]
        for position, values in enumerate((y / data.scale).T):
            panel.semilogx(t, values, line, color=COLORS[position], lw=1.3)
    for position, (name, largest) in enumerate(zip(SPECIES, data.scale.tolist(), strict=True)):
        panel.plot(
            data.t[1:],
            data.y[:, position] / largest,
            MARKERS[position],
            color=COLORS[position],
            ms=4,
            label=f"{name}, measured, over {largest:.3g}",
        )
    handles, _ = panel.get_legend_handles_labels()
    handles += [Line2D([], [], color="0.3", ls=line, label=name) for name, (_, line) in styles.items()]
    panel.legend(handles=handles, loc="center right", fontsize="small")  # left, the curves of B rise
    panel.set(
        title=f"Robertson's reaction, measured with noise of {100 * data.noise:g} % of each species' largest value",
        xlabel="t (s)",
        ylabel="concentration over its largest",
    )


def looks(fits: list[Fit]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Colour, marker and line of each combination of optimiser and gradients."""
    kinds = dict.fromkeys((fit.optimizer, fit.gradients) for fit in fits)
    return dict(zip(kinds, zip(COLORS, MARKERS, ("--", "-", "-."), strict=False), strict=False))


def convergence(panel: Axes, fits: list[Fit]) -> None:
    """The largest relative error of a constant, over the solves made."""
    for (optimizer, gradients), (color, _, line) in looks(fits).items():
        label: str | None = f"{optimizer} by {gradients}"
        for fit in (fit for fit in fits if (fit.optimizer, fit.gradients) == (optimizer, gradients)):
            errors = [max(abs(ratio - 1) for ratio in ratios) for ratios in fit.ratios]
            panel.loglog([1 + solves for solves in fit.solves], errors, line, color=color, lw=1.2, label=label)
            label = None
    panel.axhline(0.01, color="0.5", ls=":", label="1 %")
    panel.set(title="Convergence", xlabel="solves with gradients, plus one", ylabel="largest relative error")
    panel.legend(fontsize="small")


def recovered(panel: Axes, fits: list[Fit], expected: Tensor) -> None:
    """Where each fit ended, beside the standard errors."""
    places = torch.arange(len(RATES))
    error = 200 * expected
    panel.bar(places, 2 * error, bottom=-error, width=0.6, color="0.88", label="two standard errors")
    for position, ((optimizer, gradients), (color, marker, _)) in enumerate(looks(fits).items()):
        label: str | None = f"{optimizer} by {gradients}"
        for fit in (fit for fit in fits if (fit.optimizer, fit.gradients) == (optimizer, gradients)):
            misses = [100 * (ratio - 1) for ratio in fit.ratios[-1]]
            panel.plot(places + 0.15 * (position - 1), misses, marker, color=color, ms=6, alpha=0.7, label=label)
            label = None
    panel.use_sticky_edges = False  # a margin below the bars too
    panel.set_yscale("symlog", linthresh=1)  # so that fits within 1 % are told apart beside one that is far off
    panel.yaxis.set_major_formatter(ScalarFormatter())
    panel.axhline(0, color="k", lw=0.8)
    panel.set_xticks(places, [f"k{position + 1} = {rate:g}" for position, rate in enumerate(RATES.tolist())])
    panel.set(title="Recovered constants", ylabel="distance from the truth (%)")
    panel.legend(fontsize="small")
