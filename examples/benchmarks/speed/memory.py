"""How much memory a training step takes: each contestant and case in a process of its own, on Linux.

It is how far the resident memory rises, at its peak over some steps, above what it is between steps: the steps of the
solve that are kept for the gradient, and garbage until a collector takes it. Before, the process takes a step, so that
libraries are loaded and all is compiled, and gives back what is free. Libraries, compiled code, weights and what a
library keeps from one step to the next are thus not counted, and a rise of less than a MiB is not told from none.

Run as a module with what to measure as JSON, it is such a process.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.support.measurements import memory

from . import cores
from .cases import Case

STEPS = 5
TIMEOUT = 900.0  # seconds for one process, which starts Julia and compiles
REPOSITORY = Path(__file__).parents[3]
PEAK = Path("/proc/self/clear_refs")


def refuse_elsewhere() -> None:
    if not PEAK.exists():
        raise SystemExit("--memory: the peak of resident memory is read from /proc, which Linux alone has.")


def measured(args: argparse.Namespace, case: Case, contestant: str) -> int | None:
    """Bytes; None where the process failed, which then says why."""
    asked = {"case": case.name, "contestant": contestant, "quick": args.quick, "seed": args.seed}
    command = [sys.executable, "-m", f"{__package__}.memory", json.dumps(asked)]
    try:
        ended = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True)
    except subprocess.SubprocessError as error:
        print(f"No memory of {contestant}, {case.name}: {error}")
        return None
    return int(ended.stdout.splitlines()[-1])


def serve(case: str, contestant: str, quick: bool, seed: int) -> None:
    """Measure in this process, and write the bytes."""
    import torch

    from .contestants import EVERYWHERE, WITH_JULIA
    from .networks import network_cases

    torch.manual_seed(seed)
    torch.set_num_threads(cores.available())
    (chosen,) = (one for one in network_cases(quick=quick) if one.name == case)
    print(added({**WITH_JULIA, **EVERYWHERE}[contestant](chosen).work))


def added(work: Callable[[], Any]) -> int:
    """Bytes by which the resident memory of this process rises at its peak, while it works."""
    work()
    give_back()
    before = memory("VmRSS")
    PEAK.write_text("5", encoding="utf-8")  # the peak is counted anew
    for _ in range(STEPS):
        work()
    return max(memory("VmHWM") - before, 0)


def give_back() -> None:
    """Let collectors run, and the system have the pages that are free."""
    gc.collect()
    if "juliacall" in sys.modules:
        from juliacall import Main

        Main.GC.gc(True)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's
        libc.malloc_trim(0)


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
