"""Contestants take turns: how long a solve takes, and how many cores it has at work."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from examples.support.measurements import first_line

from . import cores
from .cases import Case
from .contestants import Contestant
from .cores import Sample
from .entry import Entry, SkipError

SAMPLE = 0.05  # seconds that a sample is to take at least, by repeating the solve
MOST_CALLS = 500
TRIALS = 3  # solves whose fastest says how many a sample takes


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
        load: the median of CPU over wall time: how many cores it had at work.
        error: relative to a tight reference; None where the case has none.
        memory: bytes that a training step adds at its peak, where that was asked for.
        reason: why it did not take part, or does not count.
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
    load: float | None = None
    memory: int | None = None
    reason: str = ""


def why(error: Exception) -> str:
    """Why a contestant takes no part."""
    return first_line(error) if isinstance(error, SkipError) else f"{type(error).__name__}: {first_line(error)}"


def warmed_up(case: Case, name: str, contestant: Contestant) -> tuple[Entry, Row]:
    """The contestant after its first solves, with its error, and how often it is to solve for a sample."""
    entry = contestant(case)
    began = time.perf_counter()
    answer = entry.work()
    first = time.perf_counter() - began
    error = None if case.error is None else case.error(answer)
    calls = max(1, min(MOST_CALLS, round(SAMPLE / min(entry.seconds(1) for _ in range(TRIALS)))))
    return entry, Row(case.name, case.kind, name, entry.method, error=error, first=first, calls=calls)


def in_turns(entries: Mapping[str, tuple[Entry, int]], effort: Effort) -> dict[str, list[Sample]]:
    """Samples of each, in turns, so that whatever else the machine does slows all; each round begins with another.

    A sample comes after a solve that is not timed, which fetches what the others have pushed out of the caches.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in entries}
    names = list(entries)
    for turn in range(effort.rounds if names else 0):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            entry, calls = entries[name]
            taken = samples[name]
            if len(taken) < effort.fewest or calls * sum(sample.seconds for sample in taken) < effort.budget:
                entry.seconds(1)
                taken.append(cores.sampled(functools.partial(entry.seconds, calls)))
    return samples


def medians(samples: Mapping[str, list[Sample]]) -> dict[str, float]:
    """The median seconds of each."""
    return {name: statistics.median(sample.seconds for sample in taken) for name, taken in samples.items()}
