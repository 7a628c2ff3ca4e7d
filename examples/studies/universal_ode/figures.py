"""The figure of the study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from torch import Tensor

from examples.studies.universal_ode.data import Data
from examples.support.measurements import COLORS, save

SPECIES = ("prey u", "predators v")
LOOKS = {
    "universal ODE": (COLORS[0], "-"),
    "neural ODE": (COLORS[1], "--"),
    "with the terms found": (COLORS[2], "-."),
}


def draw(
    path: Path,
    data: Data,
    t: Tensor,
    truth: Tensor,
    forecasts: Mapping[str, Tensor],
    missing: tuple[Tensor, Tensor, Tensor],
    field: tuple[Tensor, Tensor, Tensor],
    trainings: Mapping[str, dict[str, Any]],
) -> None:
    """Save the forecasts, the missing part, its error over the plane and the training, as PNG and SVG under ``path``.

    Args:
        missing: times and values of the missing part along the cycle, learnt and true.
        field: grids of u and v, and the network's relative error there.
    """
    figure = plt.figure(figsize=(13, 10), layout="constrained")
    grid = figure.add_gridspec(3, 3)
    for column, name in enumerate(SPECIES):
        over_time(figure.add_subplot(grid[column, :]), column, name, data, t, truth, forecasts)
    along_the_cycle(figure.add_subplot(grid[2, 0]), *missing)
    over_the_plane(figure.add_subplot(grid[2, 1]), truth[t <= data.t[-1]], *field)
    training(figure.add_subplot(grid[2, 2]), trainings)
    save(figure, path)


def over_time(
    panel: Axes, column: int, name: str, data: Data, t: Tensor, truth: Tensor, forecasts: Mapping[str, Tensor]
) -> None:
    panel.axvspan(data.t[-1].item(), t[-1].item(), color="0.94")
    panel.plot(t, truth[:, column], color="0.6", lw=4, label="truth")
    for model, values in forecasts.items():
        color, line = LOOKS[model]
        panel.plot(t, values[:, column], line, color=color, lw=1.4, label=model)
    panel.plot(data.t, data.y[:, column], "o", color="k", ms=3.5, label="measured")
    top = 1.45 * truth[:, column].max().item()  # room for the legend
    panel.set(xlabel="t", ylabel=name, ylim=(-0.1 * top, top), xlim=(t[0].item(), t[-1].item()))
    if column == 0:
        panel.set_title("Forecasts; grey ground: beyond the measurements")
        panel.legend(loc="upper center", ncols=5, fontsize="small")


def along_the_cycle(panel: Axes, t: Tensor, learnt: Tensor, true: Tensor) -> None:
    for column, label in enumerate(("of the prey, true", "of the predators, true")):
        panel.plot(t, true[:, column], color=("0.6", "0.8")[column], lw=4, label=label)
        panel.plot(t, learnt[:, column], color=COLORS[0], lw=1.3, label="learnt" if column else None)
    panel.set(title="Missing part of the rates", xlabel="t", ylabel="rate")
    panel.margins(y=0.6)  # room for the legend
    panel.legend(fontsize="small", loc="upper right")


def over_the_plane(panel: Axes, visited: Tensor, u: Tensor, v: Tensor, error: Tensor) -> None:
    shown = panel.pcolormesh(
        u, v, 100 * error, norm=LogNorm(1, 100), cmap="cividis", shading="nearest", rasterized=True
    )
    panel.plot(*visited.T, color="w", lw=1.5)
    panel.set(title="Error of the missing part; line: visited", xlabel="u", ylabel="v")
    panel.figure.colorbar(shown, ax=panel, label="% of its root mean square", extend="both")


def training(panel: Axes, trainings: Mapping[str, dict[str, Any]]) -> None:
    for model, found in trainings.items():
        color, line = LOOKS[model]
        panel.semilogy([row["loss"] for row in found["history"]], line, color=color, lw=1, label=model)
    panel.set(title="Training: Adam, then L-BFGS", xlabel="iteration", ylabel="mean square of scaled misses")
    panel.legend(fontsize="small")
