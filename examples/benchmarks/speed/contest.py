"""Runs the contestants in turns and reports."""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import torch

from examples.support import common
from examples.support.measurements import measured
from pyode_bridge.engines import select_engine

from . import cores, equal_error, memory, report
from .cases import Case, problem_cases, span_cases
from .contestants import EVERYWHERE, WHAT, WITH_JULIA, Contestant
from .entry import Entry
from .networks import ensemble_case, network_cases
from .rounds import EFFORT, QUICK_EFFORT, Row, in_turns, warmed_up, why
from .targets import targets
from .threads import measured as compared_threads
from .versions import versions


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", help="those whose name contains one of these; default: all"
    )
    parser.add_argument(
        "--contestants", nargs="+", metavar="NAME", choices=tuple(WHAT), help=f"default: all of {', '.join(WHAT)}"
    )
    parser.add_argument("--cores", type=int, default=1, help="that all contestants share")
    besides = parser.add_mutually_exclusive_group()
    besides.add_argument("--equal-error", action="store_true", help="compare times at an equal error")
    besides.add_argument("--memory", action="store_true", help="measure what a training step adds, in new processes")


def main(description: str | None) -> None:
    args = common.measuring_arguments(description or "", name="benchmarks", own=own_options)
    if args.cores > cores.available() or args.cores < 1:
        raise SystemExit(f"--cores: {args.cores} were asked for, and this process may run on {cores.available()}.")
    if args.memory:
        memory.refuse_elsewhere()
    engine = select_engine(args.engine).name
    chosen = chosen_cases(args)
    contestants = {**(WITH_JULIA if engine == "julia" else {}), **EVERYWHERE}
    contestants = {name: one for name, one in contestants.items() if not args.contestants or name in args.contestants}
    torch.set_num_threads(cores.available())
    print(f"On {cores.available()} of the cores, and no others; torch has as many threads; seed {args.seed}")
    for name in contestants:
        print(f"  {name}: {WHAT[name]}")
    race_all = equal_error.main if args.equal_error else at_equal_tolerances
    race_all(args, engine, chosen, contestants)


def at_equal_tolerances(
    args: argparse.Namespace, engine: str, chosen: Sequence[Case], contestants: Mapping[str, Contestant]
) -> None:
    """Measure, print and draw."""
    rows, complete = measured(chosen, functools.partial(race, args, contestants), lambda case: case.name)
    threads = None
    if complete and engine == "julia" and any(case.kind == "ensemble" for case in chosen):
        threads, complete = compared_threads(args)
    report.tables(rows)
    goals = targets(rows, threads, quick=args.quick)
    report.print_targets(goals)
    report.draw(args.output / "benchmarks", rows)
    numbers = {
        "rows": [asdict(row) for row in rows],
        "cores": cores.available(),
        "threads": None if threads is None else asdict(threads),
        "targets": report.judged(goals),
        "versions": versions(engine),
    }
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def chosen_cases(args: argparse.Namespace) -> list[Case]:
    problems = problem_cases(quick=args.quick)
    every = [*problems, *span_cases(problems, quick=args.quick), *network_cases(quick=args.quick)]
    every.append(ensemble_case(quick=args.quick))
    chosen = [case for case in every if not args.cases or any(name in case.name for name in args.cases)]
    if not chosen:
        raise SystemExit(f"--cases: none of {', '.join(case.name for case in every)} contains {args.cases}")
    return chosen


def race(args: argparse.Namespace, contestants: Mapping[str, Contestant], case: Case) -> Iterator[Row]:
    """A row for each contestant, whose samples were taken in turns."""
    waiting = {name: one for name, one in contestants.items() if not case.only or name in case.only}
    ready: dict[str, tuple[Entry, Row]] = {}
    for name, one in waiting.items():
        try:
            ready[name] = warmed_up(case, name, one)
        except Exception as error:
            yield Row(case.name, case.kind, name, reason=why(error))
    samples = in_turns(
        {name: (entry, row.calls) for name, (entry, row) in ready.items()},
        QUICK_EFFORT if args.quick else EFFORT,
    )
    for name, (_, row) in ready.items():
        seconds, loads = zip(*samples[name], strict=True)
        load = statistics.median(loads)
        reason = cores.check(load)
        median = None if reason else statistics.median(seconds)
        added = memory.measured(args, case, name) if args.memory and case.kind == "training" else None
        yield replace(row, seconds=median, samples=seconds, load=load, reason=reason, memory=added)
