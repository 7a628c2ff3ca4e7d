"""Seconds from a process's start to its first solve and its first gradient, from each that Julia can start from.

Each is a process of its own, in turns: torch's import, which is told apart, then a small network's equation without a
method named, or by one. Medians; prints a table, writes JSON and a figure. "plain" has what packages bring,
"packages" also what `python -m pyode_bridge install` compiles of first solves, "image" the system image that
`install --image` makes; where there is none, or it is outdated, its rows are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

from examples.support import common
from examples.support.measurements import COLORS, measured, print_table, save
from pyode_bridge.install.image import IMAGE, PACKAGES, PLAIN, START_VARIABLE, image_for
from pyode_bridge.install.julia import chosen

ROUNDS, QUICK_ROUNDS = 5, 1
METHODS = (None, "Tsit5")
PROCESS = """
import json, sys, time
begin = time.perf_counter()
import torch
imported = time.perf_counter()
import pyode_bridge as pb
net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
y0, t = torch.ones(2), torch.linspace(0, 1, 5)
y = pb.odeint(lambda t, y: net(y), y0, t, method=json.loads(sys.argv[1]), engine="julia")
solved = time.perf_counter()
y.sum().backward()
print(json.dumps([imported - begin, solved - imported, time.perf_counter() - imported]))
"""


@dataclass(frozen=True)
class Task:
    """From what Julia starts, and the solver."""

    start: str
    method: str | None

    @property
    def name(self) -> str:
        return f"{self.start}, {self.method or 'no method named'}"


@dataclass(frozen=True)
class Row:
    """Seconds, medians: of torch's import, and after it to the first solve and to the first gradient."""

    task: str
    torch: float
    solve: float
    gradient: float
    slowest: float
    rounds: int


def seconds(task: Task) -> list[float]:
    """Those of one process."""
    variables = {**os.environ, START_VARIABLE: task.start}
    command = [sys.executable, "-c", PROCESS, json.dumps(task.method)]
    ended = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def measure(task: Task, rounds: int) -> list[Row]:
    """The first process is not counted: it brings the files into memory."""
    seconds(task)
    times = [seconds(task) for _ in range(rounds)]
    torch, solve, gradient = (statistics.median(column) for column in zip(*times, strict=True))
    return [Row(task.name, torch, solve, gradient, max(time[-1] for time in times), rounds)]


def has_image() -> bool:
    """Whether sessions start from a current image."""
    found = chosen()
    image = image_for(*found) if found else None
    return image is not None and not image.changed


def plot(rows: list[Row], path: Any) -> None:
    figure, panel = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    places = range(len(rows))
    solves, gradients = [row.solve for row in rows], [row.gradient - row.solve for row in rows]
    panel.barh(places, solves, color=COLORS[0], label="to the first solve")
    panel.barh(places, gradients, left=solves, color=COLORS[1], label="to its gradient")
    for place, row in zip(places, rows, strict=True):
        panel.text(row.gradient, place, f" {row.gradient:.1f} s", va="center", fontsize=9)
    panel.set_yticks(places, [row.task for row in rows])
    panel.invert_yaxis()
    panel.set_xlabel("seconds after torch's import, median")
    panel.margins(x=0.12)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, help=f"processes of each kind; default: {ROUNDS}")


def main() -> None:
    args = common.measuring_arguments(__doc__ or "", name="cold_start", own=own_arguments)
    if args.engine == "embedded":
        raise SystemExit("--engine embedded has no Julia that would start; leave it out.")
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    starts = (PLAIN, PACKAGES, IMAGE) if has_image() else (PLAIN, PACKAGES)
    tasks = [Task(start, method) for method in METHODS for start in starts]
    rows, complete = measured(tasks, lambda task: measure(task, rounds), lambda task: task.name)
    print_table(
        ["start", "torch, s", "first solve, s", "first gradient, s", "slowest, s", "processes"],
        [
            [
                row.task,
                *(f"{value:.1f}" for value in (row.torch, row.solve, row.gradient, row.slowest)),
                str(row.rounds),
            ]
            for row in rows
        ],
    )
    if rows:
        plot(rows, args.output / "cold_start")
    common.write_measurements(args, {"rows": [asdict(row) for row in rows]}, engine="julia", complete=complete)


if __name__ == "__main__":
    main()
