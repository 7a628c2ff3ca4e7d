"""What Python in the loop costs, for each kind of equation: compiled, in callbacks, and beside Julia by hand.

Second-order, split and quasilinear equations, events, noise, delays and residuals, and ensembles of such: each problem
is written once in torch, and once in Julia as one would there. All take the same solver, steps or tolerances, on one
thread, in turns within one run.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

from examples.benchmarks.kinds.problems import CALLED, Kind, problems
from examples.benchmarks.speed.entry import Entry
from examples.benchmarks.speed.report import duration
from examples.benchmarks.speed.rounds import EFFORT, QUICK_EFFORT, SAMPLE, in_turns, medians
from examples.benchmarks.speed.versions import versions
from examples.support import common
from examples.support.measurements import first_line, look, measured, print_table, save
from pyode_bridge.engines import select_engine

COMPILED, BY_HAND = "compiled", "handwritten"
CONTESTANTS = (COMPILED, CALLED, BY_HAND)
MOST_CALLS = 200


@dataclass(frozen=True)
class Row:
    """Median seconds of a solve by each way; ``error`` of the compiled one beside Julia by hand, relative."""

    problem: str
    method: str
    compiled: float | None = None
    callback: float | None = None
    handwritten: float | None = None
    first: float | None = None  # solve, with what is translated and compiled then
    error: float | None = None
    reason: str = ""

    @property
    def beside_hand(self) -> float | None:
        return None if self.compiled is None or self.handwritten is None else self.compiled / self.handwritten

    @property
    def beside_callbacks(self) -> float | None:
        return None if self.compiled is None or self.callback is None else self.callback / self.compiled


@functools.cache
def julia() -> Any:
    from juliacall import Main

    Main.seval((Path(__file__).parent / "handwritten.jl").read_text())
    return Main.HandwrittenKinds


def by_hand(kind: Kind) -> Entry:
    from juliacall import Main

    module = julia()
    algorithm = Main.PyODEBridge.algorithm(kind.method, kind.equation)
    weights = tuple(weight.numpy() for weight in kind.weights)
    solve = module.solver(kind.twin, kind.y0.numpy(), kind.end, weights, algorithm, *kind.controls)
    return Entry(kind.method, lambda: module.flat(solve()), lambda calls: module.seconds(solve, calls))


def race(kind: Kind, *, quick: bool) -> Iterator[Row]:
    entries = {lane: Entry(kind.method, functools.partial(kind.work, lane)) for lane in (COMPILED, CALLED)}
    try:
        began = time.perf_counter()
        found = entries[COMPILED].work()
        first = time.perf_counter() - began
        entries[CALLED].work()
        entries[BY_HAND] = by_hand(kind)
        twin = torch.as_tensor(entries[BY_HAND].work())
    except Exception as error:
        yield Row(kind.name, kind.method, reason=f"{type(error).__name__}: {first_line(error)}")
        return
    error = None if kind.error is None else float((found - twin).abs().max() / twin.abs().max())
    calls = {name: max(1, min(MOST_CALLS, round(SAMPLE / entry.seconds(1)))) for name, entry in entries.items()}
    ready = {name: (entry, calls[name]) for name, entry in entries.items()}
    samples = in_turns(ready, QUICK_EFFORT if quick else EFFORT)
    yield Row(kind.name, kind.method, **medians(samples), first=first, error=error)


def table(rows: list[Row]) -> None:
    header = ("problem", COMPILED, CALLED, BY_HAND, "by hand, times", "callbacks, times", "first solve", "error")
    print_table(header, [line(row) for row in rows if not row.reason])
    for row in rows:
        if row.reason:
            print(f"  without {row.problem}: {row.reason}")


def line(row: Row) -> tuple[str, ...]:
    taken = [duration(seconds or 0.0) for seconds in (row.compiled, row.callback, row.handwritten)]
    ratios = [f"{ratio or 0.0:.3g}" for ratio in (row.beside_hand, row.beside_callbacks)]
    return row.problem, *taken, *ratios, duration(row.first or 0.0), "" if row.error is None else f"{row.error:.1e}"


def draw(path: Path, rows: list[Row]) -> None:
    """A line for each problem, a marker on it for each way."""
    done = [row for row in rows if not row.reason]
    if not done:
        return
    figure, panel = plt.subplots(figsize=(9, 1.6 + 0.36 * len(done)), layout="constrained")
    for position, name in enumerate(CONTESTANTS):
        style = {**look(position), "linestyle": "none", "markersize": 7}
        panel.plot([1e3 * getattr(row, name) for row in done], range(len(done)), label=name, **style)
    panel.set(xscale="log", xlabel="median time (ms)", title="One solve of each kind; left is faster")
    panel.set_yticks(range(len(done)), [row.problem for row in done])
    panel.invert_yaxis()
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(CONTESTANTS))
    save(figure, path)


def main() -> None:
    args = common.measuring_arguments(__doc__ or "", name="kinds")
    engine = select_engine(args.engine).name
    if engine != "julia":
        raise SystemExit(f"engine is {engine!r}: lanes are Julia's, so there is nothing to compare.")
    print(f"{torch.get_num_threads()} thread, {os.cpu_count()} cores; seed {args.seed}")
    chosen = problems(quick=args.quick)
    rows, complete = measured(chosen, functools.partial(race, quick=args.quick), lambda kind: kind.name)
    table(rows)
    draw(args.output / "kinds", rows)
    numbers = {
        "rows": [asdict(row) for row in rows],
        "ratios": {
            row.problem: {"over hand-written": row.beside_hand, "callbacks over it": row.beside_callbacks}
            for row in rows
            if not row.reason
        },
        "versions": versions(engine),
    }
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


if __name__ == "__main__":
    main()
