"""The figures of the study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from examples.studies.density.tasks import Matching, Task, plane_grid
from pyode_bridge.models import FlowDistribution, InverseFlow, PlanarFlow

VIEW = 5.0  # half-width of the squares that are drawn
PIXELS = 120  # a side
SAMPLES = 4000
PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a flow's time, or of its layers
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


def densities(
    path: Path,
    tasks: dict[str, Task],
    flows: dict[tuple[str, str], FlowDistribution],
    scores: dict[tuple[str, str], float],
    width: int,
) -> None:
    """For each density: the target, and both models' densities, with their scores, and samples."""
    titles = ("target", f"planar flow, K = {width}", "its samples", f"continuous flow, M = {width}", "its samples")
    size = (2.1 * len(titles), 2.1 * len(tasks) + 0.3)
    figure, axes = plt.subplots(len(tasks), len(titles), figsize=size, layout="constrained", squeeze=False)
    points, _ = plane_grid(PIXELS, VIEW)
    for row, (name, task) in zip(axes, tasks.items(), strict=True):
        with torch.no_grad():
            learnt = {model: flows[name, model].log_prob(points.float()).exp() for model in STYLES}
        if isinstance(task, Matching):
            target = task.log_density(points).exp()
            top = target.max()
            image(row[0], target, top)
        else:
            top = learnt["continuous"].max()
            scatter(row[0], task.held_out[:SAMPLES])
        for (density, samples), (model, values) in zip((row[1:3], row[3:5]), learnt.items(), strict=True):
            image(density, values, top)
            caption = f"{task.measure} {scores[name, model]:.3f}"
            density.text(0.04, 0.04, caption, color="white", size=8, transform=density.transAxes)
            scatter(samples, flows[name, model].sample((SAMPLES,)))
        row[0].set_ylabel(name)
    label(axes, titles)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def over_time(path: Path, names: Iterable[str], flows: dict[tuple[str, str], FlowDistribution]) -> None:
    """From the base to the model: the continuous flow's density over its time, the planar flow's layer by layer."""
    rows = list(names)
    points, _ = plane_grid(PIXELS, VIEW)
    figure = plt.figure(figsize=(3.0 * len(PARTS) + 0.6, 1.5 * len(rows) + 0.7), layout="constrained")
    left, right = figure.subfigures(1, 2, wspace=0.03)
    for side, model, name_stage, at in (
        (left, "continuous", lambda part, _: f"t = {part:g}", density_at),
        (right, "planar", lambda part, flow: f"{layers(flow, part)} of {layers(flow, 1.0)} layers", density_after),
    ):
        axes = side.subplots(len(rows), len(PARTS), squeeze=False)
        for row, name in zip(axes, rows, strict=True):
            for axis, part in zip(row, PARTS, strict=True):
                values = at(flows[name, model], points.float(), part)
                image(axis, values, values.max())
            row[0].set_ylabel(name)
        label(axes, [name_stage(part, flows[rows[0], model]) for part in PARTS], size=9)
        side.suptitle(STYLES[model][2])
    figure.savefig(path, dpi=110)
    plt.close(figure)


def density_at(distribution: FlowDistribution, points: Tensor, time: float) -> Tensor:
    """The density at a time within the flow: the points are carried back to the base."""
    with torch.no_grad():
        if time == 0:
            return distribution.base.log_prob(points).exp()
        z, change = distribution.flow.solve(points, torch.tensor([time, 0.0])).y
        return (distribution.base.log_prob(z[-1]) - change[-1]).exp()


def density_after(distribution: FlowDistribution, points: Tensor, part: float) -> Tensor:
    """The density after a part of a planar flow's layers, counted from the base."""
    count = layers(distribution, part)
    with torch.no_grad():
        if count == 0:
            return distribution.base.log_prob(points).exp()
        reversed_ = isinstance(distribution.flow, InverseFlow)  # its last layer is the one next to the base
        planar = distribution.flow.flow if reversed_ else distribution.flow
        nearest = slice(planar.depth - count, None) if reversed_ else slice(count)
        some = PlanarFlow(planar.dim, count)
        some.load_state_dict({name: value[nearest] for name, value in planar.state_dict().items()})
        return FlowDistribution(InverseFlow(some) if reversed_ else some, distribution.base).log_prob(points).exp()


def layers(distribution: FlowDistribution, part: float) -> int:
    """How many layers a part of a planar flow is."""
    flow = distribution.flow
    return round(part * (flow.flow if isinstance(flow, InverseFlow) else flow).depth)


def image(axis: Any, values: Tensor, top: Any) -> None:
    extent = (-VIEW, VIEW, -VIEW, VIEW)
    axis.imshow(values.view(PIXELS, PIXELS), origin="lower", extent=extent, cmap="viridis", vmin=0, vmax=float(top))


def scatter(axis: Any, samples: Tensor) -> None:
    axis.plot(*samples.T, ".", ms=1.2, alpha=0.5, color="tab:blue", rasterized=True)


def label(axes: Any, titles: Sequence[str], size: float = 11) -> None:
    """Titles over the columns, and ticks at the left and at the bottom alone."""
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, size=size)
    for axis in axes.flat:
        axis.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), xticks=(-3, 0, 3), yticks=(-3, 0, 3), aspect="equal")
        axis.tick_params(labelsize=7)
        axis.label_outer()
