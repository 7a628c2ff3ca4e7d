"""The figures of the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from examples.support import work_precision
from examples.support.measurements import look, whole_decades
from examples.support.work_precision import LEAST


def errors(path: Path, runs: Sequence[Any], engine: str) -> None:
    """Error against time, and against evaluations."""
    work_precision.draw(
        path,
        runs,
        line="method",
        costs={"seconds": "time of a solve (s)", "nfe": "evaluations of the dynamics, without those for Jacobians"},
        error="largest relative error",
        title=f"Error at the end of the solve, {engine} engine",
    )


def gradients(path: Path, rows: Sequence[Any], engine: str) -> None:
    """Error of gradients against the time of a solve with one."""
    work_precision.draw(
        path,
        rows,
        line="method",
        costs={"seconds": "time of a solve with its gradient (s)"},
        error="relative error of the gradient",
        title=f"Gradients, the sensitivity algorithm left open, {engine} engine",
    )


def energy(path: Path, drifts: Sequence[Any], engine: str) -> None:
    """How the energy of the Kepler orbit drifts."""
    done = [drift for drift in drifts if drift.drift]
    if not done:
        return
    figure, panel = plt.subplots(figsize=(8, 6), layout="constrained")
    for position, drift in enumerate(done):
        periods = range(1, len(drift.drift) + 1)
        name = f"{drift.method}, {drift.nfe:,} evaluations"
        values = [max(value, LEAST) for value in drift.drift]
        panel.loglog(periods, values, label=name, markevery=0.1, **look(position))
    whole_decades(panel)
    panel.set(xlabel="periods", ylabel="largest relative error of the energy in a period")
    panel.set_title(f"Energy of a Kepler orbit of eccentricity 0.5, {engine} engine\n{_controls(done)}")
    work_precision.finish(figure, [panel], path, columns=2)


def _controls(drifts: Sequence[Any]) -> str:
    """How the solvers were set: those whose steps are fixed have a number of steps, which is above 1."""
    tolerances = sorted({f"rtol {drift.control:g}" for drift in drifts if drift.control < 1})
    steps = sorted({f"{drift.control:g} fixed steps a period" for drift in drifts if drift.control > 1})
    return ", or ".join(tolerances + steps)


def paths(path: Path, rows: Sequence[Any], engine: str) -> None:
    """The error of paths against the steps, and against time."""
    work_precision.draw(
        path,
        rows,
        line="method",
        costs={"control": "steps", "seconds": "time of a path (s)"},
        error="mean error of a path",
        title=f"Solvers for noise, each beside the solution for its own noise, {engine} engine",
    )


def growing(path: Path, runs: Sequence[Any], engine: str, rtol: float) -> None:
    """Time and error against the number of grid points."""
    methods = list(dict.fromkeys(run.method for run in runs if run.error is not None))
    if not methods:
        return
    figure, (time, error) = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    for position, method in enumerate(methods):
        done = [run for run in runs if run.method == method and run.error is not None]
        points = [run.size // 2 for run in done]
        time.loglog(points, [run.seconds for run in done], label=method, **look(position))
        error.loglog(points, [max(run.error, LEAST) for run in done], **look(position))
    sizes = sorted({run.size // 2 for run in runs})
    for panel in (time, error):
        whole_decades(panel)
        panel.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
        panel.set_xticks(sizes, [str(size) for size in sizes])
    time.set(xlabel="grid points", ylabel="time of a solve (s)")
    error.set(xlabel="grid points", ylabel="largest relative error")
    figure.suptitle(f"The Brusselator on growing grids, rtol {rtol:g}, {engine} engine")
    work_precision.finish(figure, [time, error], path)
