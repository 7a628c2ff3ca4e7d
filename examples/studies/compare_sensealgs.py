"""How accurate the gradient of each sensitivity algorithm is, and what it costs.

Each algorithm differentiates a loss over a linear system, Lotka-Volterra's, a small neural ODE and Robertson's stiff
reaction, over a range of tolerances. Its error is measured against gradients that no compared algorithm made, and
drawn against the tolerance, the time of a solve with its gradient and vector-Jacobian products.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common, work_precision
from examples.support.gradient_tasks import METHODS, SENSEALGS, Gradients, Task, distance, reference, tasks
from examples.support.measurements import cells, first_line, measured, print_table, repeated, sweep, write_table
from pyode_bridge.engines import select_engine

TOLERANCES, QUICK_TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10), (1e-4, 1e-7)
MAXITERS, QUICK_MAXITERS = 10_000, 400  # steps forward, and backward
LONGEST, QUICK_LONGEST = 30.0, 5.0  # seconds; what took longer is not run with a tighter tolerance


@dataclass(frozen=True)
class Case:
    """A task with its gradients as they should be, and what differentiates it."""

    task: Task
    expected: Gradients
    sensealg: str
    method: str
    engine: str
    maxiters: int


@dataclass(frozen=True)
class Run:
    """One measurement; what a solve that failed has no number for is None, and its return code and message say why."""

    problem: str
    sensealg: str
    method: str
    rtol: float
    retcode: str
    error: float | None = None
    seconds: float | None = None
    repeats: int | None = None
    nfe: int | None = None
    adjoint_nfe: int | None = None
    nvjp: int | None = None
    message: str = ""


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--problem", nargs="+", default=["all"], metavar="NAME", help="by name, or all")
    parser.add_argument(
        "--sensealgs", nargs="+", metavar="NAME", help="sensitivity algorithms; default: those of the engine"
    )
    parser.add_argument("--method", help="solver by name; default: one for the problem's kind")


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="compare_sensealgs", own=own_options)
    engine = select_engine(args.engine).name
    chosen = chosen_tasks(args.problem)
    cases, references = [], {}
    for task in chosen:
        expected, difference = reference(task)
        references[task.name] = {"values": [part.tolist() for part in expected], "two_ways_differ_by": difference}
        print(f"{task.name}: two ways to the expected gradient differ by {difference:.1e}")
        method = args.method or METHODS[engine][task.stiff]
        maxiters = QUICK_MAXITERS if args.quick else MAXITERS
        for sensealg in args.sensealgs or SENSEALGS[engine]:
            cases.append(Case(task, expected, sensealg, method, engine, maxiters))
    tolerances = QUICK_TOLERANCES if args.quick else TOLERANCES
    runs, complete = measured(
        cases,
        functools.partial(runs_of, tolerances, args.quick),
        lambda case: f"{case.task.name}, {case.sensealg}",
    )
    report(runs)
    write_table(args.output / "compare_sensealgs.csv", runs)
    work_precision.draw(
        args.output / "compare_sensealgs",
        runs,
        line="sensealg",
        costs={
            "rtol": "relative tolerance",
            "seconds": "time of a solve and its gradient (s)",
            "nvjp": "vector-Jacobian products",
        },
        error="relative error of the gradient",
        title=f"Error of gradients, {engine} engine",
    )
    numbers = {"runs": [asdict(run) for run in runs], "references": references}
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def chosen_tasks(names: Sequence[str]) -> list[Task]:
    every = tasks()
    unknown = set(names) - {task.name for task in every} - {"all"}
    if unknown:
        known = ", ".join(f"'{task.name}'" for task in every)
        raise SystemExit(f"--problem: there is no {', '.join(sorted(unknown))}; choose from {known}, all.")
    return [task for task in every if task.name in names or "all" in names]


def runs_of(tolerances: Sequence[float], quick: bool, case: Case) -> Iterator[Run]:
    return sweep(
        tolerances,
        lambda rtol, once: one_run(case, rtol, once),
        lambda rtol, reason: Run(case.task.name, case.sensealg, case.method, rtol, "NotRun", message=reason),
        quick=quick,
        longest=QUICK_LONGEST if quick else LONGEST,
    )


def one_run(case: Case, rtol: float, once: bool) -> Run:
    task = case.task
    named = (task.name, case.sensealg, case.method, rtol)

    def work() -> tuple[pb.Solution, Gradients]:
        y0 = task.y0.clone().requires_grad_()
        solution = pb.solve(
            task.model,
            y0,
            task.t,
            method=case.method,
            sensealg=case.sensealg,
            engine=case.engine,
            rtol=rtol,
            atol=task.scale * rtol,
            options={"maxiters": case.maxiters},
        )
        by_y0, *by_parameters = torch.autograd.grad(task.loss(solution.y), (y0, *task.model.parameters()))
        return solution, Gradients(by_y0, torch.cat([part.reshape(-1) for part in by_parameters]))

    try:
        (solution, found), seconds, repeats = repeated(work, once=once)
    except pb.BridgeError as error:
        return Run(*named, getattr(error, "retcode", type(error).__name__), message=first_line(error))
    error = distance(found, case.expected)
    if not math.isfinite(error):
        return Run(*named, "NotFinite", message="the gradient is not finite")
    adjoint = solution.adjoint_stats
    assert adjoint is not None  # a gradient was taken
    return Run(*(*named, solution.retcode, error, seconds, repeats), solution.stats.nfe, adjoint.nfe, adjoint.nvjp)


def report(runs: Sequence[Run]) -> None:
    header = ("problem", "sensealg", "rtol", "error", "ms", "evaluations", "backward", "products", "ended")
    counts = ("nfe", "adjoint_nfe", "nvjp")
    rows = [(run.problem, run.sensealg, f"{run.rtol:g}", *cells(run, counts)) for run in runs]
    print_table(header, rows)
    for message in dict.fromkeys(f"{run.problem}, {run.sensealg}: {run.message}" for run in runs if run.message):
        print(f"  {message}")


if __name__ == "__main__":
    main()
