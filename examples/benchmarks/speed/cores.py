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
SLACK = 1.05  # of the clock that counts a process's time


class Sample(NamedTuple):
    """Mean seconds of a solve, and how many cores were at work meanwhile: CPU over wall time, of all threads."""

    seconds: float
    load: float


def bind(count: int) -> None:
    """Keep this process, and all threads that it will start, on so many cores; before any library is loaded.

    With one core, libraries are told to start one thread; with several, they start as many as they do by themselves.
    """
    if count == 1:
        os.environ.update(ONE_THREAD)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def available() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def sampled(seconds: Callable[[], float]) -> Sample:
    """What a clock says, beside what the process took."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = seconds()
    return Sample(found, (time.process_time() - cpu) / (time.perf_counter() - wall))


def check(load: float) -> str:
    """Why a measurement does not count; empty where it does."""
    limit = available()
    return "" if load <= SLACK * limit else f"it took {load:.2f} cores, of {limit}"
