"""Noise beside torchsde: paths of geometric Brownian motion, and training steps of a neural stochastic equation.

Both libraries take the same fixed steps, by Euler and Maruyama in Ito's sense and by Heun's method in Stratonovich's,
on one thread, in turns within one run. Paths are random, so what is compared are times. Gradients here are those of
the steps; torchsde has them by recording the steps with autograd, or, with memory that does not grow, by its adjoint.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.benchmarks.speed.entry import Entry
from examples.benchmarks.speed.report import duration
from examples.benchmarks.speed.rounds import EFFORT, QUICK_EFFORT, SAMPLE, in_turns, medians
from examples.benchmarks.speed.versions import versions
from examples.support import common
from examples.support.measurements import look, measured, print_table, save
from pyode_bridge.engines import select_engine

DOUBLE = torch.float64
STEP, END = 1e-2, 1.0
GROWTH, SPREAD = 0.1, 0.3
PATHS, QUICK_PATHS = (1, 10_000), (1, 100)
HIDDEN, WIDTH, BATCH = 32, 4, 64
OURS, THEIRS, ADJOINT = "pyode_bridge", "torchsde", "torchsde, adjoint"
CONTESTANTS = (OURS, THEIRS, ADJOINT)
CALCULI = {"ito": ("EM", "euler", "srk"), "stratonovich": ("EulerHeun", "heun", "midpoint")}  # ours, theirs, adjoint
MOST_CALLS = 100


@dataclass(frozen=True)
class Case:
    """A solve to be timed, by each contestant that has one."""

    name: str
    work: dict[str, Callable[[], Tensor]]


class Noisy(nn.Module):
    """An equation as torchsde takes one."""

    noise_type = "diagonal"

    def __init__(self, calculus: str) -> None:
        super().__init__()
        self.sde_type = calculus


class Brownian(Noisy):
    def f(self, t: Tensor, y: Tensor) -> Tensor:
        return GROWTH * y

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return SPREAD * y


class Neural(Noisy):
    """A network for the drift and one for the noise."""

    def __init__(self, calculus: str) -> None:
        super().__init__(calculus)
        self.drift, self.spread = (
            nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, WIDTH)).to(DOUBLE) for _ in range(2)
        )

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        return self.drift(y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return 0.1 * self.spread(y)


def end_of(model: Noisy, y0: Tensor, contestant: str) -> Tensor:
    """The values at the end."""
    import torchsde

    t, (ours, theirs, adjoint) = torch.tensor([0.0, END], dtype=DOUBLE), CALCULI[model.sde_type]
    if contestant == OURS:
        options = {"dt": STEP, "adaptive": False}
        return pb.sdeint(model.f, model.g, y0, t, method=ours, options=options, lane="compiled")[-1]
    if contestant == THEIRS:
        return torchsde.sdeint(model, y0, t, method=theirs, dt=STEP)[-1]
    return torchsde.sdeint_adjoint(model, y0, t, method=adjoint, dt=STEP)[-1]


def paths(count: int) -> Case:
    model, y0 = Brownian("ito"), torch.ones(count, 1, dtype=DOUBLE)

    @torch.no_grad()
    def work(contestant: str) -> Tensor:
        return end_of(model, y0, contestant)

    name = f"geometric Brownian motion, {count:,} path{'s' if count > 1 else ''}"
    return Case(name, {one: functools.partial(work, one) for one in present((OURS, THEIRS))})


def training(calculus: str) -> Case:
    torch.manual_seed(0)
    model, y0 = Neural(calculus), torch.ones(BATCH, WIDTH, dtype=DOUBLE)

    def work(contestant: str) -> Tensor:
        model.zero_grad()
        loss = end_of(model, y0, contestant).square().mean()
        loss.backward()
        return loss.detach()

    name = f"training step, {calculus.capitalize()}"
    return Case(name, {one: functools.partial(work, one) for one in present(CONTESTANTS)})


def present(contestants: Sequence[str]) -> Sequence[str]:
    """Those that are installed."""
    return contestants if find_spec("torchsde") else [OURS]


@dataclass(frozen=True)
class Row:
    """Median seconds of a contestant."""

    case: str
    contestant: str
    seconds: float


def race(case: Case, *, quick: bool) -> Iterator[Row]:
    entries = {name: Entry(name, work) for name, work in case.work.items()}
    for entry in entries.values():
        entry.work()
    calls = {name: max(1, min(MOST_CALLS, round(SAMPLE / entry.seconds(1)))) for name, entry in entries.items()}
    samples = in_turns({name: (entries[name], calls[name]) for name in entries}, QUICK_EFFORT if quick else EFFORT)
    for name, seconds in medians(samples).items():
        yield Row(case.name, name, seconds)


def table(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Times over ours, by case and contestant."""
    ours = {row.case: row.seconds for row in rows if row.contestant == OURS}
    lines = [(row.case, row.contestant, duration(row.seconds), f"{row.seconds / ours[row.case]:.3g}") for row in rows]
    print_table(("case", "contestant", "time", "over ours"), lines)
    return {
        case: {row.contestant: row.seconds / ours[case] for row in rows if row.case == case and row.contestant != OURS}
        for case in ours
    }


def draw(path: Path, rows: list[Row]) -> None:
    """A line for each case, a marker on it for each contestant."""
    cases = list(dict.fromkeys(row.case for row in rows))
    figure, panel = plt.subplots(figsize=(9, 1.6 + 0.4 * len(cases)), layout="constrained")
    for position, name in enumerate(CONTESTANTS):
        own = [row for row in rows if row.contestant == name]
        style = {**look(position), "linestyle": "none", "markersize": 7}
        panel.plot([1e3 * row.seconds for row in own], [cases.index(row.case) for row in own], label=name, **style)
    panel.set(xscale="log", xlabel="median time (ms)", title=f"{round(END / STEP)} steps along noise; left is faster")
    panel.set_yticks(range(len(cases)), cases)
    panel.invert_yaxis()
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(CONTESTANTS))
    save(figure, path)


def main() -> None:
    args = common.measuring_arguments(__doc__ or "", name="noise")
    engine = select_engine(args.engine).name
    if engine != "julia":
        raise SystemExit(f"engine is {engine!r}: stochastic equations are Julia's, so there is nothing to compare.")
    if not find_spec("torchsde"):
        print("torchsde is not installed, so it is left out")
    cases = [*map(paths, QUICK_PATHS if args.quick else PATHS), *map(training, CALCULI)]
    rows, complete = measured(cases, functools.partial(race, quick=args.quick), lambda case: case.name)
    ratios = table(rows)
    draw(args.output / "noise", rows)
    numbers = {"rows": [asdict(row) for row in rows], "over ours": ratios, "versions": versions(engine)}
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


if __name__ == "__main__":
    main()
