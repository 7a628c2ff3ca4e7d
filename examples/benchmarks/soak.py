"""Thousands of solves with gradients in one process: does its memory grow, does it become slower?

A small network is solved from a new state each time and differentiated, as a training loop does, on each engine and in
each lane, each in a process of its own. Resident memory and the processor's time are noted along the way; the latter
suffers little from other work on the machine. After a warm-up, in which caches fill, the mean memory of the last tenth
is compared with that of the first, and so is the time of a solve.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import command_line, common
from examples.support.measurements import look, measured, memory, print_table, save
from pyode_bridge.engines import select_engine

SOLVES, QUICK_SOLVES = 20_000, 200
SAMPLES = 100
WARM_UP = 0.1  # of all solves
METHODS = {"julia": "Tsit5", "embedded": "DP5"}
CASES = {"julia": ("compiled", "callback"), "embedded": ("callback",)}
TIMES = torch.linspace(0.0, 1.0, 3, dtype=torch.float64)
Sample = dict[str, float]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).double()

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layers(y)


@dataclass(frozen=True)
class Case:
    engine: str
    lane: str

    def __str__(self) -> str:
        return f"{self.engine}, {self.lane} lane" if self.engine == "julia" else self.engine


@dataclass(frozen=True)
class Soaked:
    """What was noted of a case about `SAMPLES` times: solves done, MB, and the processor's median ms for a solve."""

    case: Case
    samples: list[Sample]


def child(engine: str, lane: str, solves: int) -> None:
    """Solve in this process, and print each sample as a line of JSON."""
    network, seconds = Network(), []
    every = max(1, solves // SAMPLES)
    for count in range(1, solves + 1):
        begin = time.process_time()
        network.zero_grad()
        y0 = torch.randn(2, dtype=torch.float64)
        y = pb.odeint(network, y0, TIMES, method=METHODS[engine], engine=engine, lane=lane)
        y.square().sum().backward()
        seconds.append(time.process_time() - begin)
        if count % every == 0:
            megabytes, milliseconds = memory("VmRSS") / 1e6, 1e3 * statistics.median(seconds)
            sample = {"solves": count, "MB": round(megabytes, 2), "ms": round(milliseconds, 4)}
            print(json.dumps(sample), flush=True)
            seconds.clear()


def soak(case: Case, solves: int, seed: int) -> Iterator[Soaked]:
    """The case in a new process."""
    command = [sys.executable, __file__, "--child", case.engine, case.lane, str(solves), str(seed)]
    samples: list[Sample] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            samples.append(json.loads(line))
            done = samples[-1]
            print(f"\r{case}: {done['solves']}/{solves}, {done['MB']:.0f} MB, {done['ms']:.2f} ms", end="", flush=True)
    print()
    if process.returncode != 0:
        raise SystemExit(f"{case} ended with exit code {process.returncode}.")
    yield Soaked(case, samples)


def changes(samples: Sequence[Sample]) -> dict[str, Any]:
    """From the first to the last tenth after the warm-up, relatively; and how far any memory is from their mean."""
    later = samples[int(WARM_UP * len(samples)) :]
    part = max(1, len(later) // 10)

    def change(name: str) -> float:
        first, last = (statistics.fmean(sample[name] for sample in some) for some in (later[:part], later[-part:]))
        return last / first - 1

    memory = [sample["MB"] for sample in later]
    mean = statistics.fmean(memory)
    return {
        "solves": samples[-1]["solves"],
        "MB": mean,
        "memory change": f"{change('MB'):+.2%}",
        "largest change": f"{max(abs(value / mean - 1) for value in memory):.2%}",
        "ms": statistics.median(sample["ms"] for sample in later),
        "time change": f"{change('ms'):+.1%}",
    }


def draw(path: Path, runs: Sequence[Soaked]) -> None:
    figure, panels = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
    for position, run in enumerate(runs):
        style = {**look(position), "marker": ""}
        count = [sample["solves"] for sample in run.samples]
        for panel, name in zip(panels, ("MB", "ms"), strict=True):
            panel.plot(count, [sample[name] for sample in run.samples], label=str(run.case), **style)
    for panel, label in zip(
        panels, ("resident memory in MB", "a solve with gradient, ms of the processor"), strict=True
    ):
        panel.axvspan(0, WARM_UP * max(run.samples[-1]["solves"] for run in runs), color="0.92")
        panel.set(ylabel=label)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylim=(0, None))
    panels[1].set(yscale="log", xlabel="solves (grey: warm-up)")
    panels[0].legend(frameon=False)
    save(figure, path)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--solves", type=int, help=f"default: {SOLVES}, or {QUICK_SOLVES} with --quick")


def main() -> None:
    if "--child" in sys.argv:
        engine, lane, solves, seed = sys.argv[sys.argv.index("--child") + 1 :]
        command_line.seed(int(seed))
        child(engine, lane, int(solves))
        return
    args = common.measuring_arguments(__doc__ or "", name="soak", own=own_options)
    if not Path("/proc/self/status").exists():
        raise SystemExit("This example reads resident memory from /proc, which Linux alone has.")
    engines = ["julia", "embedded"] if select_engine(args.engine).name == "julia" else ["embedded"]
    solves = args.solves or (QUICK_SOLVES if args.quick else SOLVES)
    cases = [Case(engine, lane) for engine in engines for lane in CASES[engine]]
    runs, complete = measured(cases, lambda case: soak(case, solves, args.seed), str)
    if not runs:
        raise SystemExit(common.INTERRUPTED)
    table = {str(run.case): changes(run.samples) for run in runs}
    columns = list(next(iter(table.values())))
    shown = [
        [name, *(f"{row[key]:.4g}" if isinstance(row[key], float) else str(row[key]) for key in columns)]
        for name, row in table.items()
    ]
    print_table(["", *columns], shown)
    draw(args.output / "soak", runs)
    numbers = {"changes": table, "samples": [{**vars(run.case), "samples": run.samples} for run in runs]}
    common.write_measurements(args, numbers, engine=engines[0], complete=complete)


if __name__ == "__main__":
    main()
