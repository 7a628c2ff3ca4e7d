"""What Julia in a worker process costs: the same solves with isolation="none" and "process", in turns within one run.

A small solve and a training step of Lotka-Volterra's equations, which show the cost of a call, and a solve of many
elements, which shows that of its arrays. Medians; prints a table, writes JSON and a figure.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import COLORS, measured, print_table, save

ISOLATIONS = ("none", "process")
ROUNDS, QUICK_ROUNDS = 60, 8
SECONDS = 3.0  # after which a task has been measured enough
LARGE = 100_000  # elements


class LotkaVolterra(nn.Module):
    """Prey and predators, with their rates as parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([1.5, 1.0, 3.0, 1.0], dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        a, b, c, d = self.rates
        prey, predators = y
        return torch.stack([a * prey - b * prey * predators, d * prey * predators - c * predators])


def relaxation(t: Tensor, y: Tensor) -> Tensor:
    return torch.cos(t) - y


@dataclass(frozen=True)
class Row:
    """Milliseconds of a task, both ways; what isolation adds to it."""

    task: str
    none: float
    process: float
    added: float
    rounds: int


@dataclass(frozen=True)
class Task:
    name: str
    work: Callable[[str], object]


def tasks(method: str) -> list[Task]:
    func, y0, t = LotkaVolterra(), torch.ones(2, dtype=torch.float64), torch.linspace(0, 2, 11, dtype=torch.float64)
    large, span = torch.linspace(0, 1, LARGE, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    settings: dict[str, Any] = {"method": method, "engine": "julia", "lane": "compiled"}

    def solve(isolation: str) -> None:
        with torch.no_grad():
            pb.odeint(func, y0, t, isolation=isolation, **settings)

    def train(isolation: str) -> None:
        func.zero_grad()
        pb.odeint(func, y0, t, isolation=isolation, **settings).square().mean().backward()

    def solve_large(isolation: str) -> None:
        pb.odeint(relaxation, large, span, isolation=isolation, **settings)

    return [
        Task("solve", solve),
        Task("training step", train),
        Task(f"solve of {LARGE} elements", solve_large),
    ]


def milliseconds(work: Callable[[str], object], isolation: str) -> float:
    began = time.perf_counter()
    work(isolation)
    return 1e3 * (time.perf_counter() - began)


def measure(task: Task, rounds: int) -> list[Row]:
    """In turns, so that whatever else the machine does troubles both alike."""
    for isolation in ISOLATIONS:
        milliseconds(task.work, isolation)  # compiles
    times: dict[str, list[float]] = {isolation: [] for isolation in ISOLATIONS}
    end = time.perf_counter() + SECONDS
    while len(times["none"]) < rounds and (len(times["none"]) < 3 or time.perf_counter() < end):
        for isolation in ISOLATIONS:
            times[isolation].append(milliseconds(task.work, isolation))
    none, process = (statistics.median(times[isolation]) for isolation in ISOLATIONS)
    return [Row(task.name, none, process, process - none, len(times["none"]))]


def plot(rows: list[Row], path: Any) -> None:
    figure, panel = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
    for position, isolation in enumerate(ISOLATIONS):
        places = [place + 0.36 * (position - 0.5) for place in range(len(rows))]
        heights = [getattr(row, isolation) for row in rows]
        bars = panel.bar(places, heights, 0.34, color=COLORS[position], label=f'isolation="{isolation}"')
        panel.bar_label(bars, fmt="%.2g", fontsize=8, padding=2)
    panel.set_xticks(range(len(rows)), [row.task for row in rows])
    panel.set_yscale("log")
    panel.margins(y=0.15)
    panel.set_ylabel("milliseconds, median")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="Tsit5", help="solver by name")


def main() -> None:
    args = common.measuring_arguments(
        __doc__ or "",
        name="isolation_cost",
        own=own_arguments,
    )
    if args.engine == "embedded":
        raise SystemExit("--engine embedded has no Julia that could be isolated; leave it out.")
    rounds = QUICK_ROUNDS if args.quick else ROUNDS
    rows, complete = measured(tasks(args.method), lambda task: measure(task, rounds), lambda task: task.name)
    print_table(
        ["task", "in process, ms", "isolated, ms", "added, ms", "rounds"],
        [
            [row.task, *(f"{value:.3f}" for value in (row.none, row.process, row.added)), str(row.rounds)]
            for row in rows
        ],
    )
    if rows:
        plot(rows, args.output / "isolation_cost")
    common.write_measurements(args, {"rows": [asdict(row) for row in rows]}, engine="julia", complete=complete)


if __name__ == "__main__":
    main()
