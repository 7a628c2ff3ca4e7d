"""Work-precision diagrams: error against what it costs, a line for each solver or sensitivity algorithm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.support.measurements import look, save, whole_decades

LEAST = 1e-16  # an error of zero is drawn here
NARROWEST = 9.5  # inches: what the legend and the title take


@dataclass(frozen=True)
class Point:
    """One measurement: ``control`` is the relative tolerance, or the number of steps.

    What a solve that failed has no number for is None; its return code and message say why.
    """

    problem: str
    method: str
    control: float
    retcode: str
    error: float | None = None
    seconds: float | None = None
    message: str = ""


def draw(path: Path, rows: Sequence[Any], *, line: str, costs: Mapping[str, str], error: str, title: str) -> None:
    """A row of panels for each problem: error against each cost.

    Args:
        path: without a suffix; PNG and SVG are written.
        rows: measurements with attributes ``problem``, ``error``, ``retcode``, the line's and the costs'.
        line: the attribute that tells lines apart.
        costs: attributes to draw against, with the labels of their axes.
        error: the label of the error's axis.
        title: of the figure.
    """
    problems = list(dict.fromkeys(row.problem for row in rows))
    if not problems:
        return
    names = list(dict.fromkeys(getattr(row, line) for row in rows if row.error is not None))
    figure, grid = plt.subplots(
        len(problems),
        len(costs),
        figsize=(max(2.0 + 4.5 * len(costs), NARROWEST), 3.1 * len(problems) + 1.0),
        sharey="row",
        layout="constrained",
        squeeze=False,
    )
    for panels, problem in zip(grid, problems, strict=True):
        here = [row for row in rows if row.problem == problem]
        for panel, (cost, label) in zip(panels, costs.items(), strict=True):
            for position, name in enumerate(names):
                done = [row for row in here if getattr(row, line) == name and row.error is not None]
                errors = [max(row.error, LEAST) for row in done]
                panel.loglog([getattr(row, cost) for row in done], errors, label=name, **look(position))
            panel.set(title=problem, xlabel=label)
            whole_decades(panel)
        panels[0].set_ylabel(error)
        _note_failures(panels[-1], here, line)
    figure.suptitle(title)
    finish(figure, grid.ravel(), path)


def _note_failures(panel: Axes, rows: Sequence[Any], line: str) -> None:
    """Say beside the panel which lines miss how many points, and why."""
    failed = Counter((getattr(row, line), row.retcode) for row in rows if row.error is None)
    if failed:
        notes = [f"{name}: {count} {retcode}" for (name, retcode), count in failed.items()]
        text = "runs without a point:\n" + "\n".join(notes)
        panel.text(1.02, 0.98, text, transform=panel.transAxes, va="top", fontsize="small")


def finish(figure: Figure, panels: Sequence[Axes], path: Path, columns: int = 4) -> None:
    """Add grids and one legend under all panels, and save."""
    for panel in panels:
        panel.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    save(figure, path)
