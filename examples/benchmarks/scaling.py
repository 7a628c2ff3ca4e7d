"""How cost grows: with the elements of one system, and with the trajectories of an ensemble.

Lotka-Volterra's equations. A batch is solved as one system, whose steps all share; an ensemble has steps for each
trajectory or for a pack of them, and rates of its own, and several ways to use a machine's cores, each measured in a
process of its own.
Medians of a few solves after a first one, which compiles and starts what is needed; a million trajectories are reckoned
from them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import command_line, common
from examples.support.measurements import look, measured, print_table, save
from pyode_bridge.engines import select_engine

SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
ENSEMBLES = {"julia": (1, 10, 100, 1_000, 10_000), "embedded": (1, 10, 100)}
IN_PACKS = {"julia": 10_000, "embedded": 100}
PACKS = (None, 8, 16, 32, 64, 128, 256)  # trajectories that share their steps
IN_EACH_WAY = {"julia": 1_000, "embedded": 100}  # trajectories
QUICK_LARGEST = 10
METHODS = {"julia": "Tsit5", "embedded": "DP5"}
CORES = os.cpu_count() or 1
ROUNDS = 3
MILLION = 1_000_000
TIMES = torch.linspace(0.0, 10.0, 11, dtype=torch.float64)


def lotka_volterra(t: Tensor, y: Tensor, p: Tensor) -> Tensor:
    prey, predators = y[..., 0], y[..., 1]
    growth = p[..., 0] * prey - p[..., 1] * prey * predators
    return torch.stack([growth, p[..., 3] * prey * predators - p[..., 2] * predators], dim=-1)


def inputs(count: int) -> tuple[Tensor, Tensor]:
    """Initial states and rates, which differ a little from one trajectory to the next."""
    rates = torch.tensor([1.5, 1.0, 3.0, 1.0], dtype=torch.float64)
    return torch.ones(count, 2, dtype=torch.float64), rates * (1 + 0.1 * torch.rand(count, 4, dtype=torch.float64))


def batch(count: int, engine: str) -> Tensor:
    y0, p = inputs(count)
    y = pb.odeint(lambda t, y: lotka_volterra(t, y, p), y0, TIMES, method=METHODS[engine], engine=engine)
    assert isinstance(y, Tensor)
    return y


def ensemble(count: int, engine: str, *, gradient: bool = False, **settings: Any) -> Tensor:
    y0, p = inputs(count)
    settings = {"method": METHODS[engine], "engine": engine, **settings}
    y = pb.solve_ensemble(lotka_volterra, y0, TIMES, p.requires_grad_(gradient), **settings).y
    assert isinstance(y, Tensor)
    if gradient:
        y.square().mean().backward()  # type: ignore[no-untyped-call]
    return y


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of ``rounds`` runs after a first one."""
    taken = []
    for _ in range(1 + rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


@dataclass(frozen=True)
class Grown:
    """Milliseconds of a solve, and microseconds of each of its ``count`` systems."""

    what: str
    count: int
    ms: float
    us_each: float


@dataclass(frozen=True)
class Packed:
    """Microseconds of each trajectory of an ensemble, in packs of so many."""

    trajectories: str
    us_each: float


@dataclass(frozen=True)
class Way:
    """Seconds of the same ensemble in one way, without and with its gradient."""

    way: str
    trajectories: int
    solve: float
    solve_and_gradient: float
    million: str  # how long as many would take


def grown(what: str, engine: str, largest: int, rounds: int) -> Iterator[Grown]:
    counts, solve = (SIZES, batch) if what == "batch" else (ENSEMBLES[engine], ensemble)
    for count in counts:
        if count <= largest:
            taken = seconds(functools.partial(solve, count, engine), rounds)
            yield Grown(what, count, 1e3 * taken, 1e6 * taken / count)


def in_packs(lanes: int | None, engine: str, count: int, rounds: int) -> Iterator[Packed]:
    taken = seconds(functools.partial(ensemble, count, engine, shared_steps=lanes), rounds)
    yield Packed("each alone" if lanes is None else str(lanes), 1e6 * taken / count)


def processes() -> Any:
    """A pool of one process for each core, that starts each anew."""
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,))


# By name: the threads that Julia is given, and what `solve_ensemble` is told besides.
WAYS: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {
    "one thread": (1, dict),
    f"{CORES} threads": (CORES, dict),
    f"{CORES} isolated workers": (CORES, lambda: {"isolation": "process", "workers": CORES}),
    f"{CORES} processes (loky)": (1, lambda: {"executor": processes()}),
}
ON_ENGINE = {"julia": tuple(WAYS), "embedded": ("one thread", f"{CORES} processes (loky)")}


def child(name: str, engine: str, count: int, rounds: int) -> None:
    """Measure a way in this process, and print its seconds."""
    with contextlib.ExitStack() as stack:
        settings = WAYS[name][1]()
        if "executor" in settings:
            stack.enter_context(settings["executor"])
        taken = [
            seconds(functools.partial(ensemble, count, engine, gradient=g, **settings), rounds) for g in (False, True)
        ]
    print(json.dumps(taken))


def in_way(name: str, engine: str, count: int, rounds: int, seed: int) -> Iterator[Way]:
    threads = str(WAYS[name][0])
    environment = {**os.environ, "PYTHON_JULIACALL_THREADS": threads, "JULIA_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--child", name, engine, *map(str, (count, rounds, seed))]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    solve, both = json.loads(ended.stdout.splitlines()[-1])
    yield Way(name, count, solve, both, f"{MILLION * solve / count / 60:.1f} min")


def draw(path: Path, rows: list[Grown]) -> None:
    figure, panel = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for position, what in enumerate(dict.fromkeys(row.what for row in rows)):
        own = [row for row in rows if row.what == what]
        label = {"batch": "a batch as one system", "ensemble": "an ensemble, each with its own steps"}[what]
        panel.loglog([row.count for row in own], [row.ms for row in own], label=label, **look(position))
    panel.set(xlabel="systems of two equations", ylabel="milliseconds of a solve, median")
    panel.legend(frameon=False)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def main() -> None:
    if "--child" in sys.argv:
        name, engine, count, rounds, seed = sys.argv[sys.argv.index("--child") + 1 :]
        command_line.seed(int(seed))
        child(name, engine, int(count), int(rounds))
        return
    args = common.measuring_arguments(__doc__ or "", name="scaling")
    engine = select_engine(args.engine).name
    largest = QUICK_LARGEST if args.quick else MILLION
    rounds = 1 if args.quick else ROUNDS
    rows, complete = measured(("batch", "ensemble"), lambda what: grown(what, engine, largest, rounds), str)
    packs: list[Packed] = []
    if complete:
        count = min(largest, IN_PACKS[engine])
        packs, complete = measured(PACKS, lambda lanes: in_packs(lanes, engine, count, rounds), str)
    ways: list[Way] = []
    if complete:
        count = min(largest, IN_EACH_WAY[engine])
        ways, complete = measured(ON_ENGINE[engine], lambda name: in_way(name, engine, count, rounds, args.seed), str)
    print_table(
        ["solve", "systems", "ms", "us each"],
        [[row.what, str(row.count), f"{row.ms:.3f}", f"{row.us_each:.2f}"] for row in rows],
    )
    print_table(["share their steps", "us each"], [[row.trajectories, f"{row.us_each:.2f}"] for row in packs])
    print_table(
        ["ensemble", "trajectories", "solve, s", "with gradient, s", "a million"],
        [[w.way, str(w.trajectories), f"{w.solve:.3f}", f"{w.solve_and_gradient:.3f}", w.million] for w in ways],
    )
    if rows:
        draw(args.output / "scaling", rows)
    by_pack = {row.trajectories: {"us each": row.us_each} for row in packs}
    numbers = {"growth": by_count(rows), "packs": by_pack, "ways": {way.way: asdict(way) for way in ways}}
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def by_count(rows: list[Grown]) -> dict[str, dict[str, float]]:
    """Microseconds of each system: a row for each number of them."""
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        table.setdefault(f"{row.count:,}", {})[f"{row.what}, us each"] = row.us_each
    return table


if __name__ == "__main__":
    main()
