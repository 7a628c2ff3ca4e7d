"""How accurate gradients are with nothing named but the solver: solvers of all families on stiff and other problems.

Each solver differentiates a loss whose components are scaled by the size of the state's, so that the adjoint starts on
fast directions too. What the bridge chooses for the backward solve is printed beside the error, which is that of each
gradient in units of the tolerance: ``|error| / (atol + rtol |gradient|)``, in the Euclidean norm, where the gradient by
the initial state or that by the parameters is worse. Expected gradients come from SciPy's codes by the forward
sensitivity equations, or from a closed form; no adjoint has a part in them.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.studies.gradient_accuracy.tasks import Task, reference, tasks
from examples.support import common
from examples.support.gradient_tasks import Gradients
from examples.support.measurements import first_line, measured, print_table, save, write_table

EXPLICIT = ("Tsit5", "DP5", "BS3", "Vern7", "VCABM", "ROCK4")
IMPLICIT = ("Rodas5P", "Rosenbrock23", "KenCarp4", "TRBDF2", "FBDF", "QNDF", "RadauIIA5", "AutoTsit5(Rosenbrock23())")
RTOL = 1e-7
MAXITERS = 1_000_000
WITHIN = 100  # tolerances: what counts as accurate
NONE = "(none named)"


@dataclass(frozen=True)
class Run:
    """One gradient; ``error`` is in units of the tolerance, None where the solve failed, and ``message`` says why."""

    problem: str
    method: str
    ran: str
    sensealg: str
    error: float | None
    message: str = ""


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="solvers; default: those of all families")


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="gradient_accuracy", own=own_options)
    chosen = tasks()[:2] if args.quick else tasks()
    expected = {task.name: reference(task) for task in chosen}
    for name, (_, difference) in expected.items():
        print(f"{name}: two ways to the expected gradient differ by {difference:.1e}")
    cases = [(task, method) for task in chosen for method in args.methods or methods(task)]
    runs, complete = measured(
        cases, functools.partial(runs_of, args.engine, expected), lambda case: f"{case[0].name}, {case[1]}"
    )
    report(runs)
    write_table(args.output / "gradient_accuracy.csv", runs)
    draw(args.output / "gradient_accuracy", runs)
    differences = {name: difference for name, (_, difference) in expected.items()}
    numbers = {"rtol": RTOL, "runs": [asdict(run) for run in runs], "two_ways_differ_by": differences}
    common.write_measurements(args, numbers, engine=args.engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def methods(task: Task) -> Sequence[str]:
    """Those that get through the forward solve."""
    return (NONE, *IMPLICIT) if task.stiff else (NONE, *EXPLICIT, *IMPLICIT)


def runs_of(engine: str, expected: dict[str, tuple[Gradients, float]], case: tuple[Task, str]) -> Iterator[Run]:
    task, method = case
    y0 = task.y0.clone().requires_grad_()
    try:
        solution = pb.solve(
            *(task.model, y0, task.t),
            method=None if method == NONE else method,
            engine=engine,
            rtol=RTOL,
            atol=task.scale * RTOL,
            options={"maxiters": MAXITERS},
        )
        by_y0, *by_parameters = torch.autograd.grad(task.loss(solution.y), (y0, *task.model.parameters()))
    except pb.BridgeError as error:
        yield Run(task.name, method, "", "", None, first_line(error))
        return
    found = Gradients(by_y0, torch.cat([part.reshape(-1) for part in by_parameters]))
    errors = [
        ((mine - theirs).norm() / (task.scale * RTOL + RTOL * theirs.norm())).item()
        for mine, theirs in zip(found, expected[task.name][0], strict=True)
    ]
    yield Run(task.name, method, solution.algorithm, str(solution.sensealg), max(errors))


def report(runs: Sequence[Run]) -> None:
    """A row for each solver, a column for each problem."""
    problems, solvers = (list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("problem", "method"))
    cells = {(run.method, run.problem): "failed" if run.error is None else f"{run.error:.2g}" for run in runs}
    print_table(("solver", *problems), [(s, *(cells.get((s, p), "") for p in problems)) for s in solvers])
    print(f"Errors in tolerances of {RTOL:g}; {sum(map(is_accurate, runs))} of {len(runs)} are within {WITHIN}.")
    for run in runs:
        if run.message:
            print(f"  {run.problem}, {run.method}: {run.message}")


def is_accurate(run: Run) -> bool:
    return run.error is not None and run.error <= WITHIN


def draw(path: object, runs: Sequence[Run]) -> None:
    problems = list(dict.fromkeys(run.problem for run in runs))
    solvers = list(dict.fromkeys(run.method for run in runs))
    values = np.full((len(solvers), len(problems)), np.nan)
    for run in runs:
        if run.error is not None:
            values[solvers.index(run.method), problems.index(run.problem)] = np.log10(max(run.error, 1e-4))
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * len(problems), 1.2 + 0.36 * len(solvers)), layout="constrained")
    image = axes.imshow(values, aspect="auto", cmap="RdYlGn_r", vmin=-2, vmax=4)
    for row, column in np.argwhere(np.isfinite(values)):
        axes.text(column, row, f"{10 ** values[row, column]:.2g}", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(problems)), problems, rotation=30, ha="right")
    axes.set_yticks(range(len(solvers)), solvers)
    axes.set_title("Error of gradients, in tolerances")
    figure.colorbar(image, label="power of ten")
    save(figure, path)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
