"""How much memory a solve with its gradient takes, against the number of steps.

A linear system of 100 equations is solved from one time to another in more and more steps, and differentiated with
respect to the initial state by each sensitivity algorithm, and by torchdiffeq's `odeint` and `odeint_adjoint`. Every
measurement runs in a process of its own, whose resident memory is read at its peak (Linux only): what the pass added to
a process that had done the same in a few steps, Julia's arrays and the tape of autograd included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torchdiffeq

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import look, measured, memory, print_table
from pyode_bridge.engines import select_engine

SIZE = 100
STEPS, QUICK_STEPS = (1_000, 10_000, 100_000), (100, 400)
WARM_UP = 50  # steps
CHECKPOINTS = 100  # intervals between the times of t, where an adjoint solves again from each
RTOL, ATOL = 1e-4, 1e-4  # so loose that the bound alone decides on the steps
TIMEOUT = 1800.0  # seconds for one measurement
LIMIT = 8 * 2**30  # bytes; a measurement that would take more is left out
TORCHDIFFEQ = {"torchdiffeq.odeint": torchdiffeq.odeint, "torchdiffeq.odeint_adjoint": torchdiffeq.odeint_adjoint}
SENSEALGS = {
    "embedded": ("BacksolveAdjoint", "TorchAdjoint"),
    "julia": (
        "BacksolveAdjoint",
        "InterpolatingAdjoint",
        "InterpolatingAdjoint(checkpointing=true)",
        "GaussAdjoint",
        "QuadratureAdjoint",
    ),
}


@dataclass(frozen=True)
class Case:
    """What differentiates: a library's function or an engine's sensitivity algorithm."""

    engine: str
    sensealg: str


@dataclass(frozen=True)
class Run:
    """One measurement: bytes that the pass added at its peak, None where it failed, and the gradient's error."""

    engine: str
    sensealg: str
    steps: int
    added: int | None = None
    resident: int | None = None
    error: float | None = None
    message: str = ""


class Rotations(torch.nn.Module):
    """Fifty rotations, each of its own frequency: ``y(t)`` is known, and its length does not change."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.linspace(0.5, 2.0, SIZE // 2))

    def forward(self, _t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a, b = y.split(SIZE // 2)
        return torch.cat([-self.frequencies * b, self.frequencies * a])

    def gradient(self) -> torch.Tensor:
        """Of the sum of ``y(1)`` with respect to ``y(0)``."""
        cos, sin = self.frequencies.cos(), self.frequencies.sin()
        return torch.cat([cos + sin, cos - sin])


def gradient(case: Case, steps: int) -> torch.Tensor:
    """Of the sum of the final state, by so many steps of BS3, whose length is bounded."""
    func, t = Rotations(), torch.tensor([0.0, 1.0])
    y0 = torch.ones(SIZE, requires_grad=True)
    if case.engine == "torchdiffeq":
        bound = {"max_step": 1 / steps}
        y = TORCHDIFFEQ[case.sensealg](func, y0, t, method="bosh3", rtol=RTOL, atol=ATOL, options=bound)
    else:
        if "checkpointing" in case.sensealg:
            t = torch.linspace(0.0, 1.0, CHECKPOINTS + 1)
        bound = {"dtmax": 1 / steps, "maxiters": 10 * steps}
        solver = {"method": "BS3", "sensealg": case.sensealg, "engine": case.engine, "options": bound}
        y = pb.odeint(func, y0, t, rtol=RTOL, atol=ATOL, **solver)
    y[-1].sum().backward()
    assert y0.grad is not None
    return y0.grad


def child(case: Case, steps: int) -> None:
    """Measure in this process and print what was found."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    gradient(case, WARM_UP)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted anew
    found = gradient(case, steps)
    exact = Rotations().gradient()
    peak = memory("VmHWM")
    error = ((found - exact).norm() / exact.norm()).item()
    print(json.dumps({"added": max(peak - before, 0), "resident": peak, "error": error}))


def run(case: Case, steps: int) -> Run:
    """A measurement in a new process."""
    command = [sys.executable, __file__, "--child", json.dumps({**asdict(case), "steps": steps})]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Run(case.engine, case.sensealg, steps, message=f"took more than {TIMEOUT:.0f} s")
    if ended.returncode != 0:
        return Run(case.engine, case.sensealg, steps, message=ended.stderr.strip().splitlines()[-1])
    return Run(case.engine, case.sensealg, steps, **json.loads(ended.stdout.strip().splitlines()[-1]))


def runs_of(steps: tuple[int, ...], case: Case) -> Iterator[Run]:
    taken: Callable[[Run], float] = lambda found: found.added or 0.0  # noqa: E731
    last: Run | None = None
    for count in steps:
        if last is not None and taken(last) * count / last.steps > LIMIT:
            yield Run(case.engine, case.sensealg, count, message=f"would take more than {LIMIT >> 30} GiB")
            continue
        last = run(case, count)
        yield last


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", nargs="+", type=int, help=f"default: {STEPS}, or {QUICK_STEPS} with --quick")


def main() -> None:
    if "--child" in sys.argv:
        wanted = json.loads(sys.argv[sys.argv.index("--child") + 1])
        steps = wanted.pop("steps")
        child(Case(**wanted), steps)
        return
    args = common.measuring_arguments(__doc__, name="adjoint_memory", own=own_options)
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit("This example reads the peak of resident memory from /proc, which Linux alone has.")
    engines = ["embedded", "julia"] if select_engine(args.engine).name == "julia" else ["embedded"]
    steps = tuple(args.steps or (QUICK_STEPS if args.quick else STEPS))
    cases = [Case(engine, sensealg) for engine in reversed(engines) for sensealg in SENSEALGS[engine]]
    cases += [Case("torchdiffeq", name) for name in TORCHDIFFEQ]  # last: they take longest
    runs, complete = measured(cases, lambda case: runs_of(steps, case), lambda case: f"{case.engine}, {case.sensealg}")
    report(runs)
    draw(args.output / "adjoint_memory.png", runs)
    numbers = {"size": SIZE, "added": added_by_steps(runs), "runs": [asdict(one) for one in runs]}
    common.write_measurements(args, numbers, engine=engines[-1], complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def label(engine: str, sensealg: str) -> str:
    return sensealg if engine == "torchdiffeq" else f"{sensealg}, {engine} engine"


def added_by_steps(runs: list[Run]) -> dict[str, dict[str, str]]:
    """A table of what was added: a row for each case, a column for each number of steps."""
    table: dict[str, dict[str, str]] = {}
    for one in runs:
        entry = "-" if one.added is None else f"{one.added / 2**20:.1f} MiB"
        table.setdefault(label(one.engine, one.sensealg), {})[f"{one.steps:,} steps"] = entry
    return table


def report(runs: list[Run]) -> None:
    def mib(bytes_: int | None) -> str:
        return "-" if bytes_ is None else f"{bytes_ / 2**20:.1f}"

    rows = [
        (one.engine, one.sensealg, f"{one.steps}", mib(one.added), mib(one.resident), f"{one.error:.1e}")
        if one.error is not None
        else (one.engine, one.sensealg, f"{one.steps}", "-", "-", one.message)
        for one in runs
    ]
    print_table(("engine", "sensealg", "steps", "added MiB", "resident MiB", "error"), rows)


def draw(path: Path, runs: list[Run]) -> None:
    figure, axes = plt.subplots(figsize=(10.5, 5), layout="constrained")
    for position, (engine, sensealg) in enumerate(dict.fromkeys((one.engine, one.sensealg) for one in runs)):
        own = [one for one in runs if (one.engine, one.sensealg) == (engine, sensealg) and one.added is not None]
        axes.loglog(
            [one.steps for one in own],
            [max((one.added or 0) / 2**20, 0.1) for one in own],
            label=label(engine, sensealg),
            **look(position),
        )
    axes.set(
        xlabel="steps",
        ylabel="memory that the pass added at its peak (MiB)",
        title=f"Memory of a solve and its gradient, {SIZE} equations",
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
