"""Which solver is accurate and cheap for a problem: work-precision diagrams of any solvers by name.

Each solver runs over a range of tolerances, or of steps if its steps are fixed. Its error at the end, the largest
relative error of a component, is measured against values that no compared solver made, and drawn against time and
against evaluations of the dynamics. Solvers of torchdiffeq, torchode, SciPy and diffrax are in the same picture, those
that are installed, all over the same right-hand side in torch, but for diffrax, which has its own in JAX. For the
Kepler orbit, the drift of the energy over many periods is drawn as well, for the Brusselator, the time against the
number of grid points, and for a Brownian motion, the error of paths against the steps of solvers for noise (Julia's).
For Lotka-Volterra and ROBER, the error of the gradient of a loss is drawn too, against the time of a solve with it;
expected gradients are forward sensitivities by SciPy's codes.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.studies.compare_solvers import figures, gradients, others, stochastic
from examples.studies.compare_solvers.methods import (
    default_methods,
    has_fixed_steps,
    is_partitioned,
    second_order_methods,
)
from examples.support import common
from examples.support.measurements import cells, first_line, measured, print_table, repeated, sweep, write_table
from examples.support.problems.brusselator import brusselator
from examples.support.problems.nonstiff import PERIOD
from examples.support.problems.nonstiff import PROBLEMS as NONSTIFF
from examples.support.problems.problem import Problem
from examples.support.problems.references import SIZES
from examples.support.problems.stiff import PROBLEMS as STIFF
from pyode_bridge.engines import select_engine
from pyode_bridge.problem.methods import as_method

TOLERANCES, QUICK_TOLERANCES = tuple(10.0**-k for k in range(4, 11)), (1e-4, 1e-7)
FEWEST_STEPS = 200  # of a fixed-step solver; each next run has twice as many
LONGEST, QUICK_LONGEST = 10.0, 4.0  # seconds; what took longer is not run with a tighter tolerance
GROWING_RTOL = 1e-6
ENERGY_RTOL, ENERGY_STEPS = 1e-6, 200  # tolerance, or fixed steps a period
MAXITERS, QUICK_MAXITERS = 30_000, 1000  # steps that an adaptive solver may take
PERIODS, QUICK_PERIODS = 100, 10
QUICK_PROBLEMS = ("Kepler", "ROBER", stochastic.NAME)
LOOKS = 20  # at the energy in each period, at ends of the fixed steps


@dataclass(frozen=True)
class Case:
    """A problem with a solver.

    Attributes:
        problem, method: what is solved, and by which solver.
        fixed: whether the solver's steps are; else it may take ``maxiters`` of them.
        maxiters: the largest number of steps.
        partitioned: whether the solver wants positions and velocities apart.
        other: makes the solver of another library; None for one of ours.
    """

    problem: Problem
    method: str
    fixed: bool
    maxiters: int
    partitioned: bool
    other: Callable[[], others.Solver] | None = None

    @functools.cached_property
    def solver(self) -> others.Solver:
        """The other library's, made once: diffrax compiles at its first solve."""
        assert self.other is not None
        return self.other()


@dataclass(frozen=True)
class Run:
    """One measurement: ``control`` is the relative tolerance, or the number of fixed steps.

    What a solve that failed has no number for is None; its return code and message say why.
    """

    problem: str
    size: int
    method: str
    control: float
    retcode: str
    error: float | None = None
    seconds: float | None = None
    repeats: int | None = None
    nfe: int | None = None
    njac: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Drift:
    """The largest relative error of the energy in each period, or why there is none."""

    method: str
    control: float
    retcode: str
    nfe: int | None = None
    drift: tuple[float, ...] = ()
    message: str = ""


def own_options(parser: argparse.ArgumentParser) -> None:
    names = [problem.name for problem in (*NONSTIFF, *STIFF)] + ["Brusselator", stochastic.NAME, "all"]
    parser.add_argument("--problem", nargs="+", default=["all"], choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="solvers by name; default: some for the problem's kind"
    )
    parser.add_argument(
        "--others",
        nargs="*",
        choices=list(others.LIBRARIES),
        help="other libraries to compare with; default: those that are installed, or none with --quick",
    )


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="compare_solvers", own=own_options)
    if args.quick:
        args.problem = list(QUICK_PROBLEMS) if args.problem == ["all"] else args.problem
        args.others = args.others or []
    engine = select_engine(args.engine)
    problems = chosen_problems(args)
    cases = [case for problem in problems for case in cases_of(problem, args, engine.name)]
    try:
        for method in dict.fromkeys(case.method for case in cases if case.other is None):
            engine.check(as_method(method), None)
    except (pb.UnknownSolverError, pb.UnsupportedError) as error:
        raise SystemExit(f"--methods: {error}") from None
    numbers: dict[str, Any] = {}
    complete = True
    for experiment in (accuracy, gradient_errors, orbit_energy, growing_grids, noisy_paths):
        if complete:
            found, complete = experiment(args, engine.name, cases)
            numbers.update(found)
    common.write_measurements(args, numbers, engine=engine.name, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


Findings = tuple[dict[str, Any], bool]  # numbers by name, and whether they are complete


def accuracy(args: argparse.Namespace, engine: str, cases: Sequence[Case]) -> Findings:
    """Error of every case over the tolerances or steps."""
    runs, complete = measured(cases, functools.partial(work_precision, args, engine), label)
    report(args, "compare_solvers", runs)
    stiff = {case.problem.name for case in cases if case.problem.stiff}
    figures.errors(args.output / "compare_solvers_stiff", [run for run in runs if run.problem in stiff], engine)
    others = [run for run in runs if run.problem not in stiff]
    figures.errors(args.output / "compare_solvers_nonstiff", others, engine)
    return {"work_precision": [asdict(run) for run in runs]}, complete


def gradient_errors(args: argparse.Namespace, engine: str, _cases: Sequence[Case]) -> Findings:
    """Errors of gradients, where a problem that has some is among the problems."""
    libraries = others.installed(args.others)
    contests = gradients.contests(engine, libraries, args.problem, args.methods, quick=args.quick)
    if not contests:
        return {}, True
    found, complete = measured(
        contests,
        lambda contest: gradients.errors(contest, quick=args.quick),
        lambda contest: f"gradient, {contest.task.name}, {contest.method}",
    )
    figures.gradients(args.output / "compare_solvers_gradients", found, engine)
    for row in found:
        shown = row.message or f"error {row.error:.2e}, {1e3 * row.seconds:.1f} ms"
        print(f"gradient, {row.problem}, {row.method} with rtol {row.control:g}: {shown}")
    return {"gradients": [asdict(row) for row in found]}, complete


def orbit_energy(args: argparse.Namespace, engine: str, cases: Sequence[Case]) -> Findings:
    """Drift of the energy, where the Kepler orbit is among the problems."""
    orbits = [case for case in cases if case.problem.invariant and case.other is None]
    if not orbits:
        return {}, True
    drifts, complete = measured(orbits, functools.partial(energy_drift, args, engine), label)
    figures.energy(args.output / "compare_solvers_energy", drifts, engine)
    for drift in drifts:
        found = drift.message or f"energy off by {max(drift.drift):.2e}, {drift.nfe} evaluations"
        print(f"{drift.method}: {found}")
    return {"energy_drift": [asdict(drift) for drift in drifts]}, complete


def growing_grids(args: argparse.Namespace, engine: str, cases: Sequence[Case]) -> Findings:
    """Time and error on finer and finer grids, where the Brusselator is among the problems."""
    if not any(case.problem.name.startswith("Brusselator") for case in cases):
        return {}, True
    grids = [brusselator(points) for points in (SIZES[:2] if args.quick else SIZES)]
    growing = [case for problem in grids for case in cases_of(problem, args, engine)]
    runs, complete = measured(growing, functools.partial(one_tolerance, args, engine), label)
    report(args, "compare_solvers_brusselator", runs)
    figures.growing(args.output / "compare_solvers_brusselator", runs, engine, GROWING_RTOL)
    return {"growing_brusselator": [asdict(run) for run in runs]}, complete


def noisy_paths(args: argparse.Namespace, engine: str, _cases: Sequence[Case]) -> Findings:
    """Errors of paths, where the Brownian motion is among the problems and the engine has solvers for noise."""
    methods = stochastic.available(engine, quick=args.quick) if {stochastic.NAME, "all"} & set(args.problem) else []
    if not methods:
        return {}, True
    paths, complete = measured(
        methods,
        lambda method: stochastic.strong_errors(method, engine, quick=args.quick),
        lambda method: f"{stochastic.NAME}, {method}",
    )
    figures.paths(args.output / "compare_solvers_paths", paths, engine)
    for path in paths:
        found = path.message or f"error {path.error:.2e}"
        print(f"{path.method} with {path.control:g} steps: {found}")
    return {"paths": [asdict(path) for path in paths]}, complete


def label(case: Case) -> str:
    return f"{case.problem.name}, {case.method}"


def chosen_problems(args: argparse.Namespace) -> list[Problem]:
    every = {problem.name: problem for problem in (*NONSTIFF, *STIFF)}
    every["Brusselator"] = brusselator(16 if args.quick else 32)
    return [problem for name, problem in every.items() if name in args.problem or "all" in args.problem]


def cases_of(problem: Problem, args: argparse.Namespace, engine: str) -> list[Case]:
    maxiters = QUICK_MAXITERS if args.quick else MAXITERS
    of_kind = default_methods(problem.stiff, engine, quick=args.quick)
    methods = args.methods or [*of_kind, *second_order_methods(problem, engine, quick=args.quick)]
    ours = [
        Case(problem, method, has_fixed_steps(method, engine), maxiters, is_partitioned(method, engine))
        for method in methods
    ]
    theirs = others.solvers_of(problem, others.installed(args.others))
    return ours + [Case(problem, name, False, maxiters, False, make) for name, make in theirs.items()]


def settings(case: Case, control: float, engine: str) -> dict[str, Any]:
    """The keyword arguments of `pyode_bridge.solve` that make a case's run."""
    named = {"method": case.method, "engine": engine}
    if case.fixed:
        return {**named, "options": {"adaptive": False, "dt": case.problem.t_end / control}}
    return {**named, "options": {"maxiters": case.maxiters}, "rtol": control, "atol": case.problem.atol_at(control)}


def work_precision(args: argparse.Namespace, engine: str, case: Case) -> Iterator[Run]:
    tolerances = QUICK_TOLERANCES if args.quick else TOLERANCES
    controls = [float(FEWEST_STEPS * 2**i) for i in range(len(tolerances))] if case.fixed else tolerances
    return runs_of(case, controls, engine, args.quick)


def one_tolerance(args: argparse.Namespace, engine: str, case: Case) -> Iterator[Run]:
    control = 5.0 * FEWEST_STEPS if case.fixed else GROWING_RTOL
    return runs_of(case, [control], engine, args.quick)


def runs_of(case: Case, controls: Sequence[float], engine: str, quick: bool) -> Iterator[Run]:
    return sweep(
        controls,
        lambda control, once: one_run(case, control, engine, once),
        lambda control, reason: _failed(case, control, "NotRun", reason),
        quick=quick,
        longest=QUICK_LONGEST if quick else LONGEST,
    )


def solve(case: Case, t: Tensor, control: float, engine: str) -> tuple[Tensor, pb.Solution]:
    """The states at ``t``, shape ``(T, n)``, and the solution that they come from."""
    problem = case.problem
    with torch.no_grad():
        if not (case.partitioned and problem.acceleration):
            solution = pb.solve(problem.f, problem.start(), t, **settings(case, control, engine))
            return solution.y, solution
        acceleration = problem.acceleration
        halves = tuple(problem.start().chunk(2))
        func = pb.SecondOrder(lambda t, q, v: acceleration(q))
        solution = pb.solve(func, halves, t, **settings(case, control, engine))
        return torch.cat(solution.y, dim=-1), solution


def one_run(case: Case, control: float, engine: str, once: bool) -> Run:
    problem = case.problem
    if case.other is not None:
        return others_run(case, control, once)
    try:
        (y, solution), seconds, repeats = repeated(lambda: solve(case, problem.times(), control, engine), once=once)
    except pb.BridgeError as error:
        return _failed(case, control, getattr(error, "retcode", type(error).__name__), first_line(error))
    stats = solution.stats
    return Run(
        *(problem.name, len(problem.y0), case.method, control, solution.retcode),
        *(problem.error(y[-1]), seconds, repeats),
        *(stats.nfe, stats.njac, stats.accepted, stats.rejected),
    )


def others_run(case: Case, rtol: float, once: bool) -> Run:
    try:
        with torch.no_grad():
            (y, nfe), seconds, repeats = repeated(lambda: case.solver(rtol), once=once)
    except (others.FailedError, AssertionError, RuntimeError, ValueError) as error:  # torchdiffeq's are assertions
        return _failed(case, rtol, "Failure", first_line(error))
    name, size, off = case.problem.name, len(case.problem.y0), case.problem.error(y)
    return Run(name, size, case.method, rtol, "Success", off, seconds, repeats, nfe)


def _failed(case: Case, control: float, retcode: str, message: str) -> Run:
    return Run(case.problem.name, len(case.problem.y0), case.method, control, retcode, message=message)


def energy_drift(args: argparse.Namespace, engine: str, case: Case) -> Iterator[Drift]:
    """Follow the orbit over many periods; the energy is looked at some times in each."""
    problem = case.problem
    assert problem.invariant is not None
    periods = QUICK_PERIODS if args.quick else PERIODS
    control = float(ENERGY_STEPS) if case.fixed else ENERGY_RTOL
    t = torch.linspace(0, periods * PERIOD, LOOKS * periods + 1, dtype=torch.float64)
    try:
        y, solution = solve(case, t, control, engine)
    except pb.BridgeError as error:
        yield Drift(case.method, control, getattr(error, "retcode", type(error).__name__), message=first_line(error))
        return
    energy = problem.invariant(y)
    off = ((energy - energy[0]) / energy[0]).abs()[1:].reshape(periods, LOOKS).amax(-1)
    yield Drift(case.method, control, solution.retcode, solution.stats.nfe, tuple(off.tolist()))


def report(args: argparse.Namespace, name: str, runs: Sequence[Run]) -> None:
    """Write the runs as CSV and print them."""
    write_table(args.output / f"{name}.csv", runs)
    header = ("problem", "method", "rtol or steps", "error", "ms", "evaluations", "Jacobians", "ended")
    rows = [(run.problem, run.method, f"{run.control:g}", *cells(run, ("nfe", "njac"))) for run in runs]
    print_table(header, rows)
    messages = {(run.problem, run.method, run.retcode): run.message for run in reversed(runs) if run.message}
    for (problem, method, _), message in reversed(messages.items()):
        print(f"  {problem}, {method}: {message}")


if __name__ == "__main__":
    main()
