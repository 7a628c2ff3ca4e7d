"""The figure of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from examples.studies.optimal_control.optimum import Optimum
from examples.support.measurements import COLORS, save


@dataclass(frozen=True)
class Curve:
    """A learnt control from one start, and the best: states ``(T, 2)`` and forces ``(T,)``."""

    name: str
    bounded: bool
    optimum: Optimum
    states: Tensor
    forces: Tensor
    excess: list[float]  # of the mean cost over the best, relatively, before each iteration


LINES = ("--", "-.")


def draw(path: Path, curves: Sequence[Curve], end: float) -> None:
    """Save the forces and the states, without and with a bound, and the training, as PNG and SVG under ``path``."""
    figure = plt.figure(figsize=(12, 10), layout="constrained")
    grid = figure.add_gridspec(3, 2)
    for column, bounded in enumerate((False, True)):
        chosen = [curve for curve in curves if curve.bounded == bounded]
        title = "Force within its bound" if bounded else "Force without a bound"
        forces(figure.add_subplot(grid[0, column]), chosen, title, end)
        states(figure.add_subplot(grid[1, column]), chosen, end)
    training(figure.add_subplot(grid[2, :]), curves)
    save(figure, path)


def forces(panel: Axes, curves: Sequence[Curve], title: str, end: float) -> None:
    for position, curve in enumerate(curves):
        t = torch.linspace(0, end, len(curve.forces))
        if position == 0:
            panel.plot(t, curve.optimum.forces, color="0.7", lw=4, label="best")
        panel.plot(t, curve.forces, LINES[position], color=COLORS[position], lw=1.5, label=curve.name)
    panel.set(title=title, xlabel="t", ylabel="force")
    if curves:
        panel.legend(fontsize="small", loc="lower right")


def states(panel: Axes, curves: Sequence[Curve], end: float) -> None:
    for position, curve in enumerate(curves):
        t = torch.linspace(0, end, len(curve.forces))
        for row, name in enumerate(("position", "speed")):
            if position == 0:
                gray = ("0.6", "0.8")[row]
                panel.plot(t, curve.optimum.states[:, row], color=gray, lw=4, label=f"{name}, best")
            panel.plot(t, curve.states[:, row], LINES[position], color=COLORS[position], lw=1.5)
    panel.set(title="The motion by the same controls", xlabel="t", ylabel="position, speed")
    if curves:
        panel.legend(fontsize="small", loc="upper right")


def training(panel: Axes, curves: Sequence[Curve]) -> None:
    for position, curve in enumerate(curves):
        shown = [100 * max(excess, 1e-8) for excess in curve.excess]
        style: dict[str, Any] = {"color": COLORS[position], "ls": ("-", "--", "-.", ":")[position]}
        panel.semilogy(range(len(shown)), shown, label=curve.name, **style)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set(title="Training", xlabel="iterations of L-BFGS, four steps each", ylabel="mean cost over the best (%)")
    panel.legend(fontsize="small", loc="upper right")
