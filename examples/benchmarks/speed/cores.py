"""The cores that all contestants share: this process is bound to them, whatever threads its libraries start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's and Julia's
    "JULIA_NUM_THREADS": "1",
    "PYTHON_JULIACALL_THREADS": "1",
}
CORES = "BENCHMARK_CORES"
SLACK = 1.05  # of the clock that counts a process's time


class Sample(NamedTuple):
    """Mean seconds of a solve, and how many cores were at work meanwhile: CPU over wall time, of all threads."""

    seconds: float
    load: float


def bind(count: int) -> None:
    """Keep this process, and all threads that it will start, on so many cores; before any library is loaded.

    With one core, libraries are told to start one thread; with several, they start as many as they do by themselves.
    Where the system binds no process, that is all, and `check` finds who takes more.
    """
    if count == 1:
        os.environ.update(ONE_THREAD)
    os.environ[CORES] = str(count)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def unbind() -> None:
    """Let this process run on every core, whatever the one has that started it."""
    os.environ.pop(CORES, None)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def available() -> int:
    """How many cores this process may run on, or is to, where the system binds none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return int(os.environ.get(CORES, os.cpu_count() or 1))


def sampled(seconds: Callable[[], float]) -> Sample:
    """What a clock says, beside what the process took."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = seconds()
    return Sample(found, (time.process_time() - cpu) / (time.perf_counter() - wall))


def check(load: float) -> str:
    """Why a measurement does not count; empty where it does."""
    limit = available()
    return "" if load <= SLACK * limit else f"it took {load:.2f} cores, of {limit}"
