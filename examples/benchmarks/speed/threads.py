"""How an ensemble gains from threads: one process with a single Julia thread and one with all, in turns.

Run as a module with a number of trajectories, it is such a process: it solves once for each line that it reads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyode_bridge

from .cores import unbind

ROUNDS, QUICK_ROUNDS = 11, 3
REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Threads:
    """Medians in seconds of an ensemble with a single thread and with ``count``."""

    count: int
    single: float
    all: float


def measured(args: argparse.Namespace) -> tuple[Threads | None, bool]:
    """None where there is a single core or Ctrl-C came, and whether it did not."""
    count = os.cpu_count() or 1
    if count == 1:
        return None, True
    workers = [_start(threads, args.quick, args.seed) for threads in (1, count)]
    times: tuple[list[float], list[float]] = ([], [])
    try:
        for turn in range((QUICK_ROUNDS if args.quick else ROUNDS) + 1):
            for worker, taken in zip(workers, times, strict=True):
                seconds = _ask(worker)
                if turn:  # in the first it compiles
                    taken.append(seconds)
    except KeyboardInterrupt:
        print("\nStopped; the threads were not compared.")
        return None, False
    except (OSError, ValueError) as error:  # a worker that is no longer there neither reads nor writes
        print(f"A process of the comparison of threads ended early ({error!r}); the threads were not compared.")
        return None, True
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return Threads(count, *map(statistics.median, times)), True


def _start(threads: int, quick: bool, seed: int) -> subprocess.Popen[str]:
    path = [str(Path(pyode_bridge.__file__).parents[1]), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "examples.benchmarks.speed.threads", str(int(quick)), str(seed)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHON_JULIACALL_THREADS": str(threads),
        "JULIA_NUM_THREADS": str(threads),
    }
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def serve(quick: bool, seed: int) -> None:
    """Solve once for each line that comes, and write the seconds."""
    unbind()
    import torch

    from .contestants import WITH_JULIA
    from .networks import ensemble_case

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    entry = WITH_JULIA["compiled"](ensemble_case(quick=quick))
    for _ in sys.stdin:
        began = time.perf_counter()
        entry.work()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    serve(bool(int(sys.argv[1])), int(sys.argv[2]))
