"""Thousands of solves with gradients in one process: does its memory grow, does it become slower?

A small network is solved from a new state each time and differentiated, as a training loop does. Resident memory and
time are noted along the way. After a warm-up, in which caches fill, the mean memory of the last tenth is compared with
that of the first, and so is the time of a solve.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import common
import matplotlib.pyplot as plt
import torch
from measurements import memory, save
from torch import nn
from tqdm import tqdm

import pyode_bridge as pb
from pyode_bridge.engines import select_engine

SOLVES, QUICK_SOLVES = 20_000, 200
SAMPLES = 200
WARM_UP = 0.1  # of all solves
METHODS = {"julia": "Tsit5", "embedded": "DP5"}
TIMES = torch.linspace(0.0, 1.0, 3, dtype=torch.float64)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).double()

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layers(y)


def main() -> None:
    args = common.measuring_arguments(__doc__, name="soak", own=own_options)
    engine = select_engine(args.engine).name
    solves = args.solves or (QUICK_SOLVES if args.quick else SOLVES)
    samples, complete = soak(engine, args.lane, solves)
    numbers = {"engine": engine, "lane": args.lane, "solves": samples[-1]["solves"], **changes(samples)}
    for name, value in numbers.items():
        print(f"{name:>16s}  {value:+.2%}" if name.endswith("change") else f"{name:>16s}  {value}")
    draw(args.output / "soak", samples, f"{engine} engine, lane {args.lane}")
    common.write_measurements(args, {**numbers, "samples": samples}, engine=engine, complete=complete)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lane", choices=("auto", "compiled", "callback"), default="auto")
    parser.add_argument("--solves", type=int, help=f"default: {SOLVES}, or {QUICK_SOLVES} with --quick")


def soak(engine: str, lane: str, solves: int) -> tuple[list[dict[str, float]], bool]:
    """Resident memory in MB and the median ms of a solve, about `SAMPLES` times; and whether it came to the end."""
    network, samples, seconds = Network(), [], []
    every = max(1, solves // SAMPLES)
    try:
        for count in tqdm(range(1, solves + 1), desc="solves", mininterval=1.0):
            begin = time.perf_counter()
            network.zero_grad()
            y = pb.odeint(
                network, torch.randn(2, dtype=torch.float64), TIMES, method=METHODS[engine], engine=engine, lane=lane
            )
            y.square().sum().backward()
            seconds.append(time.perf_counter() - begin)
            if count % every == 0:
                samples.append({"solves": count, "MB": memory("VmRSS") / 1e6, "ms": 1e3 * statistics.median(seconds)})
                seconds.clear()
    except KeyboardInterrupt:
        if not samples:
            raise
        return samples, False
    return samples, True


def changes(samples: list[dict[str, float]]) -> dict[str, float]:
    """From the first to the last tenth after the warm-up, relatively; and how far any memory is from their mean."""
    later = samples[int(WARM_UP * len(samples)) :]
    part = max(1, len(later) // 10)

    def change(name: str) -> float:
        first, last = (statistics.fmean(sample[name] for sample in some) for some in (later[:part], later[-part:]))
        return last / first - 1

    memory = [sample["MB"] for sample in later]
    mean = statistics.fmean(memory)
    return {
        "MB": mean,
        "ms": statistics.median(sample["ms"] for sample in later),
        "memory change": change("MB"),
        "time change": change("ms"),
        "largest change": max(abs(value / mean - 1) for value in memory),
    }


def draw(path: Path, samples: list[dict[str, float]], title: str) -> None:
    figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
    count = [sample["solves"] for sample in samples]
    for axis, name, label in zip(
        axes, ("MB", "ms"), ("resident memory in MB", "a solve with gradient, ms"), strict=True
    ):
        axis.plot(count, [sample[name] for sample in samples])
        axis.axvspan(0, WARM_UP * count[-1], color="0.92", label="warm-up")
        axis.set(ylabel=label, ylim=(0, None))
    axes[0].set(title=title)
    axes[0].legend()
    axes[1].set(xlabel="solves")
    save(figure, path)


if __name__ == "__main__":
    main()
