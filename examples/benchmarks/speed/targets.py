"""What the compiled lane is to reach, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import SPANS, span_name, spans
from .threads import Threads

SOLVE_RATIO = 1.3  # of hand-written Julia's time, for the solve itself
BRIDGE = 150.0  # microseconds of a call
FASTER = {
    "Lotka-Volterra": 500.0,
    "spiral": 25.0,
    "spiral, training": 25.0,
    "MLP 512, batch 512": 1.0,
    "MLP 512, batch 512, training": 1.0,
}  # times than torchdiffeq's dopri5, or its adjoint if that is faster
SCALING = 1.7  # on two cores
EXPLICIT = ("Tsit5", "DP5")
UNNAMED = 1.2  # times what the method by name takes, where none is named and the problem is not stiff


@dataclass(frozen=True)
class Target:
    """``measured`` is to be at most ``limit``, or at least, if ``least``."""

    name: str
    limit: float
    measured: float
    least: bool

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.least else self.measured <= self.limit


def targets(rows: Sequence[Any], threads: Threads | None, *, quick: bool) -> list[Target]:
    """All for which there are measurements."""
    seconds = {(row.case, row.contestant): row.seconds for row in rows if row.seconds is not None}
    found = [*_against_julia(seconds, quick), *_against_torchdiffeq(seconds), *_without_a_name(rows, seconds)]
    if threads is not None:
        speedup = threads.single / threads.all
        found.append(Target(f"ensemble: {threads.count} threads against one, times", SCALING, speedup, True))
    return found


def _against_julia(seconds: dict[tuple[str, str], float], quick: bool) -> Iterator[Target]:
    """From a short and a long time: what a step costs, as a ratio, and what a call costs beside its steps."""
    for name in SPANS:
        ends = [span_name(name, t_end) for t_end in spans(name, quick=quick)]
        if not all((end, lane) in seconds for end in ends for lane in ("compiled", "handwritten")):
            continue
        (short, long), (by_hand, by_hand_long) = (
            [seconds[end, lane] for end in ends] for lane in ("compiled", "handwritten")
        )
        ratio = (long - short) / (by_hand_long - by_hand)
        yield Target(f"{name}: solve against hand-written Julia, times", SOLVE_RATIO, ratio, False)
        yield Target(f"{name}: bridge, us a call", BRIDGE, 1e6 * (short - ratio * by_hand), False)


def _against_torchdiffeq(seconds: dict[tuple[str, str], float]) -> Iterator[Target]:
    for case, limit in FASTER.items():
        theirs = [seconds[case, name] for name in ("torchdiffeq", "torchdiffeq adjoint") if (case, name) in seconds]
        if theirs and (case, "compiled") in seconds:
            ratio = min(theirs) / seconds[case, "compiled"]
            yield Target(f"{case}: faster than torchdiffeq, times", limit, ratio, True)


def _without_a_name(rows: Sequence[Any], seconds: dict[tuple[str, str], float]) -> Iterator[Target]:
    for row in rows:
        if row.contestant == "compiled" and row.method in EXPLICIT and (row.case, "unnamed") in seconds:
            ratio = seconds[row.case, "unnamed"] / seconds[row.case, "compiled"]
            yield Target(f"{row.case}: without a name for the method, times", UNNAMED, ratio, False)
