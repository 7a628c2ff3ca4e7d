"""The figures of density.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from density_tasks import Matching, Task, plane_grid
from torch import Tensor

from pyode_bridge.models import FlowDistribution

VIEW = 4.5  # half-width of the squares that are drawn
SIDE = 120
SAMPLES = 4000
TIMES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
STYLES = {"planar": ("tab:orange", "s", "planar flow"), "continuous": ("tab:blue", "o", "continuous flow")}


def comparison(path: Path, rows: list[dict[str, Any]], tasks: dict[str, Task]) -> None:
    """The score of both flows against K = M, a panel for each task."""
    columns = min(4, len(tasks))
    lines = -(-len(tasks) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.6 * columns, 3.2 * lines), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(tasks) :]:
        axis.set_axis_off()
    for axis, (name, task) in zip(axes.flat, tasks.items(), strict=False):
        mine = [row for row in rows if row["task"] == name]
        widths = [row["width"] for row in mine]
        for model, (color, marker, label) in STYLES.items():
            axis.plot(widths, [row[model] for row in mine], marker=marker, color=color, label=label)
            for row in mine:
                scores = row[f"{model}_seeds"]
                axis.plot([row["width"]] * len(scores), scores, marker, color=color, alpha=0.35, ms=4)
        axis.set_xscale("log", base=2)
        axis.set_xticks(widths, [str(width) for width in widths])
        axis.minorticks_off()
        if isinstance(task, Matching) and all(score > 0 for row in mine for m in STYLES for score in row[f"{m}_seeds"]):
            axis.set_yscale("log")
        axis.set(title=name, xlabel="K = M", ylabel=f"{task.measure} (nats)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def densities(path: Path, tasks: dict[str, Task], flows: dict[tuple[str, str], FlowDistribution], width: int) -> None:
    """For each density: the target, both models' densities, and samples of the continuous flow."""
    titles = ("target", f"planar flow, K = {width}", f"continuous flow, M = {width}", "its samples")
    figure, axes = plt.subplots(
        len(tasks), 4, figsize=(10, 2.5 * len(tasks) + 0.3), layout="constrained", squeeze=False
    )  # fmt: skip
    points, _ = plane_grid(SIDE, VIEW)
    for row, (name, task) in zip(axes, tasks.items(), strict=True):
        planar, continuous = flows[name, "planar"], flows[name, "continuous"]
        with torch.no_grad():
            samples = continuous.sample((SAMPLES,))
            learnt = [flow.log_prob(points.float()).exp() for flow in (planar, continuous)]
        if isinstance(task, Matching):
            target = task.log_density(points).exp()
            image(row[0], target, target.max())
        else:
            scatter(row[0], task.held_out[:SAMPLES])
        top = target.max() if isinstance(task, Matching) else torch.stack(learnt).max()
        for axis, values in zip(row[1:3], learnt, strict=True):
            image(axis, values, top)
        scatter(row[3], samples)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    for axis in axes.flat:
        frame(axis)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def over_time(path: Path, flows: dict[str, FlowDistribution]) -> None:
    """The continuous flow's density from the base, at time 0, to the model, at time 1."""
    points, _ = plane_grid(SIDE, VIEW)
    size = (1.9 * len(TIMES), 2.0 * len(flows) + 0.3)
    figure, axes = plt.subplots(len(flows), len(TIMES), figsize=size, layout="constrained", squeeze=False)
    for row, (name, distribution) in zip(axes, flows.items(), strict=True):
        for axis, time in zip(row, TIMES, strict=True):
            values = density_at(distribution, points.float(), time)
            image(axis, values, values.max())
            frame(axis)
        row[0].set_ylabel(name)
    for axis, time in zip(axes[0], TIMES, strict=True):
        axis.set_title(f"t = {time:g}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def density_at(distribution: FlowDistribution, points: Tensor, time: float) -> Tensor:
    """The density at a time within the flow: the points are carried back to the base."""
    with torch.no_grad():
        if time == 0:
            return distribution.base.log_prob(points).exp()
        z, change = distribution.flow.solve(points, torch.tensor([time, 0.0])).y
        return (distribution.base.log_prob(z[-1]) - change[-1]).exp()


def image(axis: Any, values: Tensor, top: Any) -> None:
    extent = (-VIEW, VIEW, -VIEW, VIEW)
    axis.imshow(values.view(SIDE, SIDE), origin="lower", extent=extent, cmap="viridis", vmin=0, vmax=float(top))


def scatter(axis: Any, samples: Tensor) -> None:
    axis.plot(*samples.T, ".", ms=1.2, alpha=0.5, color="tab:blue", rasterized=True)


def frame(axis: Any) -> None:
    axis.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), xticks=(-3, 0, 3), yticks=(-3, 0, 3), aspect="equal")
    axis.tick_params(labelsize=7)
