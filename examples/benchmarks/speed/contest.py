"""Runs the contestants in turns and reports."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import torch

from examples.support import common
from examples.support.measurements import first_line, measured
from pyode_bridge.engines import select_engine

from . import report
from .cases import Case, problem_cases, span_cases
from .contestants import EVERYWHERE, WHAT, WITH_JULIA, Contestant
from .entry import Entry, SkipError
from .networks import ensemble_case, network_cases
from .targets import targets
from .threads import measured as compared_threads

SAMPLE = 0.05  # seconds that a sample is to take at least, by repeating the solve
MOST_CALLS = 500
TRIALS = 3  # solves whose fastest says how many a sample takes
PACKAGES = ("torchdiffeq", "scipy", "torchode", "torchsde", "diffrax", "jax", "diffeqpy", "juliacall")


@dataclass(frozen=True)
class Effort:
    """How often is measured: in so many rounds, but no more than ``fewest`` of what has taken ``budget`` seconds."""

    rounds: int
    fewest: int
    budget: float


EFFORT, QUICK_EFFORT = Effort(15, 3, 4.0), Effort(3, 1, 0.1)


@dataclass(frozen=True)
class Row:
    """What a contestant did with a case.

    Attributes:
        seconds: the median of the samples, each the mean of ``calls`` solves; None where it did not take part.
        first: seconds of the first solve, with whatever is compiled then.
        error: relative to a tight reference; None where the case has none.
        reason: why it did not take part.
    """

    case: str
    kind: str
    contestant: str
    method: str = ""
    seconds: float | None = None
    error: float | None = None
    first: float | None = None
    calls: int = 0
    samples: tuple[float, ...] = ()
    reason: str = ""


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", help="those whose name contains one of these; default: all"
    )
    parser.add_argument(
        "--contestants", nargs="+", metavar="NAME", choices=tuple(WHAT), help=f"default: all of {', '.join(WHAT)}"
    )


def main(description: str | None) -> None:
    args = common.measuring_arguments(description or "", name="benchmarks", own=own_options)
    engine = select_engine(args.engine).name
    chosen = chosen_cases(args)
    contestants = {**(WITH_JULIA if engine == "julia" else {}), **EVERYWHERE}
    contestants = {name: one for name, one in contestants.items() if not args.contestants or name in args.contestants}
    print(f"{torch.get_num_threads()} thread for all but the ensembles, {os.cpu_count()} cores; seed {args.seed}")
    for name in contestants:
        print(f"  {name}: {WHAT[name]}")
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
            reason = (
                first_line(error) if isinstance(error, SkipError) else f"{type(error).__name__}: {first_line(error)}"
            )
            yield Row(case.name, case.kind, name, reason=reason)
    samples = in_turns(
        {name: (entry, row.calls) for name, (entry, row) in ready.items()},
        QUICK_EFFORT if args.quick else EFFORT,
    )
    for name, (_, row) in ready.items():
        taken = samples[name]
        yield Row(**{**asdict(row), "seconds": statistics.median(taken), "samples": tuple(taken)})


def warmed_up(case: Case, name: str, contestant: Contestant) -> tuple[Entry, Row]:
    """The contestant after its first solves, with its error, and how often it is to solve for a sample."""
    entry = contestant(case)
    began = time.perf_counter()
    answer = entry.work()
    first = time.perf_counter() - began
    error = None if case.error is None else case.error(answer)
    calls = max(1, min(MOST_CALLS, round(SAMPLE / min(entry.seconds(1) for _ in range(TRIALS)))))
    return entry, Row(case.name, case.kind, name, entry.method, error=error, first=first, calls=calls)


def in_turns(entries: Mapping[str, tuple[Entry, int]], effort: Effort) -> dict[str, list[float]]:
    """Samples of each, in turns, so that whatever else the machine does slows all; each round begins with another.

    A sample comes after a solve that is not timed, which fetches what the others have pushed out of the caches.
    """
    samples: dict[str, list[float]] = {name: [] for name in entries}
    names = list(entries)
    for turn in range(effort.rounds if names else 0):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            entry, calls = entries[name]
            if len(samples[name]) < effort.fewest or calls * sum(samples[name]) < effort.budget:
                entry.seconds(1)
                samples[name].append(entry.seconds(calls))
    return samples


def versions(engine: str) -> dict[str, str]:
    """Of what took part or might have."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    if engine == "julia":
        from juliacall import Main

        found |= {str(name): str(version) for name, version in Main.PyODEBridge.versions()}
        found["Julia threads"] = str(Main.seval("Threads.nthreads()"))
    return found
