"""Times at an equal error: each contestant over tolerances of its own, and the time read off its work-precision curve.

Equal tolerances are not equal errors: codes differ by a factor of ten or more in what they make of a tolerance. Each
contestant solves a case with tolerances up to a thousand times looser and tighter than the case's own, as one
would who wants a certain accuracy; between two runs, the time is interpolated in the logarithms of both.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from examples.support import common
from examples.support.measurements import measured, print_table
from examples.support.work_precision import Point, draw

from . import cores, report
from .cases import Case
from .contestants import WHAT, Contestant
from .rounds import QUICK_EFFORT, in_turns, warmed_up, why
from .versions import versions

FACTORS, QUICK_FACTORS = tuple(10.0**k for k in range(3, -4, -1)), (10.0, 1.0, 0.1)
TARGET = 10.0  # times the case's relative tolerance: the error at which times are compared
LONGEST = 5.0  # seconds; what took longer is not run with tighter tolerances


@dataclass(frozen=True)
class Measured(Point):
    """With how many cores were at work."""

    load: float | None = None


@dataclass(frozen=True)
class At:
    """The time of a contestant at the error of a case; None where it does not get there, for a reason.

    ``at_most`` says that its error was smaller with the loosest tolerance already.
    """

    case: str
    contestant: str
    error: float
    seconds: float | None
    at_most: bool = False
    reason: str = ""


def main(args: argparse.Namespace, engine: str, cases: Sequence[Case], contestants: Mapping[str, Contestant]) -> None:
    """Measure, print and draw."""
    cases = [case for case in cases if case.error is not None]
    races = [(case, name, one) for case in cases for name, one in contestants.items()]
    points, complete = measured(races, functools.partial(curve, args.quick), lambda race: f"{race[0].name}, {race[1]}")
    found = [at_error(case, name, points) for case in cases for name in contestants]
    print_table(("case", "error", "contestant", "time", "times compiled"), table(found))
    draw(
        args.output / "equal_error",
        [point for point in points if point.error is not None],
        line="method",
        costs={"seconds": "time (s)"},
        error="error",
        title="Error against time",
    )
    numbers = {
        "points": [asdict(point) for point in points],
        "at_error": [asdict(row) for row in found],
        "cores": cores.available(),
        "versions": versions(engine),
    }
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def curve(quick: bool, race: tuple[Case, str, Contestant]) -> Iterator[Point]:
    """A contestant's errors and times, the loosest tolerances first."""
    case, name, contestant = race
    for factor in QUICK_FACTORS if quick else FACTORS:
        asked = replace(case, rtol=factor * case.rtol, atol=factor * case.atol)
        try:
            entry, row = warmed_up(asked, name, contestant)
        except Exception as error:
            yield Measured(case.name, name, asked.rtol, "Failure", message=why(error))
            return
        samples = in_turns({name: (entry, row.calls)}, QUICK_EFFORT)[name]
        seconds = statistics.median(sample.seconds for sample in samples)
        load = statistics.median(sample.load for sample in samples)
        yield Measured(case.name, name, asked.rtol, "Success", row.error, seconds, cores.check(load), load)
        if seconds > LONGEST:
            return


def at_error(case: Case, name: str, points: Sequence[Point]) -> At:
    """The time at the case's error, between the last run with a larger error and the first with a smaller one."""
    target = TARGET * case.rtol
    here = [point for point in points if (point.problem, point.method) == (case.name, name)]
    done = [(point.error, point.seconds) for point in here if point.error is not None and not point.message]
    reason = next((point.message for point in here if point.message), "")
    if not done:
        return At(case.name, name, target, None, reason=reason or "it was not run")
    if done[0][0] <= target:
        return At(case.name, name, target, done[0][1], at_most=True)
    for (larger, fast), (smaller, slow) in pairwise(done):
        if smaller <= target < larger:
            return At(case.name, name, target, between(target, (larger, fast), (smaller, slow)))
    return At(case.name, name, target, None, reason=reason or f"its errors stay above {min(done)[0]:.1e}")


def between(target: float, looser: tuple[float, Any], tighter: tuple[float, Any]) -> float:
    """The time at an error between two others, on a line through the logarithms."""
    (larger, fast), (smaller, slow) = looser, tighter
    share = math.log(larger / target) / math.log(larger / max(smaller, 1e-300))
    return math.exp(math.log(fast) + share * (math.log(slow) - math.log(fast)))


def table(found: Sequence[At]) -> list[tuple[str, ...]]:
    """A row for each contestant of a case that gets to the error, the fastest first."""
    rows = []
    for case, here in report.by_case(found).items():
        done = sorted((row for row in here if row.seconds is not None), key=lambda row: row.seconds)
        ours = next((row.seconds for row in done if row.contestant == "compiled"), None)
        for row in done:
            time = f"{'<= ' if row.at_most else ''}{report.duration(row.seconds)}"
            ratio = "" if ours is None else f"{row.seconds / ours:.2f}"
            rows.append((case, f"{row.error:.0e}", row.contestant.ljust(max(map(len, WHAT))), time, ratio))
    return rows
