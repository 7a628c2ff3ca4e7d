"""Tables and the figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from examples.support.measurements import look, print_table, save

from .contestants import WHAT
from .targets import Target


def tables(rows: Sequence[Any]) -> None:
    """Every case with its contestants, the fastest first, and why others were left out."""
    header = ("case", "contestant", "method", "median", "first solve", "times compiled", "CPU/wall", "error", "MiB")
    printed = []
    for case, here in by_case(rows).items():
        done = sorted((row for row in here if row.seconds is not None), key=lambda row: row.seconds)
        ours = next((row.seconds for row in done if row.contestant == "compiled"), None)
        for row in done:
            ratio = "" if ours is None else f"{row.seconds / ours:.2f}"
            error = "" if row.error is None else f"{row.error:.1e}"
            name = (case, row.contestant.ljust(max(map(len, WHAT))), row.method)
            load = f"{row.load:.2f}"
            added = "" if row.memory is None else f"{row.memory / 2**20:.3g}"
            printed.append((*name, duration(row.seconds), duration(row.first), ratio, load, error, added))
    print_table(header, printed)
    left_out: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            left_out.setdefault(f"{row.contestant}: {row.reason}", []).append(row.case)
    for why, cases in left_out.items():
        print(f"  without {why} ({'; '.join(cases)})")


def by_case(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.case, []).append(row)
    return found


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1e6 * seconds:.3g} us"


def print_targets(targets: Sequence[Target]) -> None:
    if not targets:
        print("No target can be judged by these cases and contestants.")
        return
    rows = [(name, row["limit"], f"{row['measured']:.3g}", row["verdict"]) for name, row in judged(targets).items()]
    print_table(("target", "limit", "measured", ""), rows)


def judged(targets: Sequence[Target]) -> dict[str, dict[str, Any]]:
    """By the names of the targets: their limits, what was measured, and whether they are met."""
    return {
        target.name: {
            "limit": f"{'>=' if target.least else '<='} {target.limit:g}",
            "measured": target.measured,
            "verdict": "met" if target.met else "not met",
        }
        for target in targets
    }


def draw(path: Path, rows: Sequence[Any]) -> None:
    """A line for each case, a marker on it for each contestant's median."""
    done = [row for row in rows if row.seconds is not None and "to t =" not in row.case]
    if not done:
        return
    cases = list(by_case(done))
    figure, panel = plt.subplots(figsize=(10, 1.8 + 0.32 * len(cases)), layout="constrained")
    for position, name in enumerate(WHAT):
        here = [row for row in done if row.contestant == name]
        if here:
            style = {**look(position), "linestyle": "none", "markersize": 7}
            panel.plot(
                [1e3 * row.seconds for row in here], [cases.index(row.case) for row in here], label=name, **style
            )
    panel.set(xscale="log", xlabel="median time (ms)", title="Time to solve, at equal tolerances; left is faster")
    panel.set_yticks(range(len(cases)), cases)
    panel.invert_yaxis()
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=5)
    save(figure, path)
