"""The figure of the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from examples.studies.latent_ode_spirals.data import NOISE, SCALE, STEPS, Spirals

ODE, RNN, RNN_BLIND = "latent ODE", "RNN with time gaps", "RNN"
COLORS = {ODE: "tab:blue", RNN: "tab:orange", RNN_BLIND: "0.55"}


def principal(latent: Tensor) -> Tensor:
    """Two principal components of latent states ``(B, M, L)``."""
    flat = latent.reshape(-1, latent.shape[-1])
    centred = flat - flat.mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    return (centred @ directions[:2].T).view(*latent.shape[:-1], 2)


def draw(path: Path, spirals: Spirals, fits: dict[str, dict[int, Any]]) -> None:
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


def draw_spiral(axes: Any, spirals: Spirals, fits: dict[str, Any], which: int, count: int) -> None:
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


def draw_latent(axes: Any, spirals: Spirals, one: Any, shown: int = 40) -> None:
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


def draw_errors(axes: Any, spirals: Spirals, fits: dict[str, Any]) -> None:
    for name, one in fits.items():
        error = (one.all_times - spirals.truth).square().mean(dim=(0, 2)).sqrt()
        axes.semilogy(spirals.t, error, color=COLORS[name], lw=1.8, label=name)
    axes.axvline(spirals.t[STEPS], color="k", lw=0.8, ls=":")
    axes.axhline(NOISE, color="k", lw=0.8, ls="--")
    axes.text(spirals.t[-1], NOISE * 0.97, "measurement noise", va="top", ha="right", fontsize=8)
    axes.set(title="Error by time; right of the line is beyond", xlabel="t (radians swept)", ylabel="RMSE")
    axes.legend(loc="best")
