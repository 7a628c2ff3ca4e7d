"""Gradients of a chaotic system over longer and longer horizons, where some adjoints fail.

Lorenz's system contracts fast forwards in time, so that solving it backwards, as BacksolveAdjoint does, multiplies
every error by up to exp(14.6 t); and its solutions depend on their start by exp(0.9 t), so that no method keeps all
digits. Each sensitivity algorithm differentiates a loss over the values at the end alone, with one tolerance. Errors
are against forward sensitivities that SciPy solves with a far smaller tolerance; a cross marks what the library warned
of.
"""

from __future__ import annotations

import argparse
import functools
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.gradient_tasks import METHODS, SENSEALGS, Gradients, Task, distance, reference
from examples.support.measurements import first_line, look, measured, print_table
from pyode_bridge.engines import select_engine

HORIZONS, QUICK_HORIZONS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0), (0.25, 1.5)
RTOL = 1e-8
MAXITERS = 20_000  # steps forward, and backward
WORST = 1e3  # relative error above which nothing is drawn


class Lorenz(nn.Module):
    """Convection by three equations, with Lorenz's own parameters (Lorenz 1963)."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([10.0, 28.0, 8 / 3]))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        sigma, rho, beta = self.rates
        a, b, c = y
        return torch.stack([sigma * (b - a), a * (rho - c) - b, a * b - beta * c])


@dataclass(frozen=True)
class Run:
    """The gradient's error of one algorithm over one horizon, None where it failed; and what was warned of."""

    sensealg: str
    horizon: float
    error: float | None
    warned: str = ""
    message: str = ""


def task(horizon: float) -> Task:
    return Task(f"Lorenz to {horizon:g}", Lorenz(), torch.ones(3), torch.tensor([0.0, horizon]), torch.ones(3))


def run(sensealg: str, engine: str, horizon: float, expected: Gradients) -> Run:
    wanted = task(horizon)
    y0 = wanted.y0.clone().requires_grad_()
    limits = {"options": {"maxiters": MAXITERS}, "rtol": RTOL, "atol": RTOL}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pb.GradientWarning)
        try:
            y = pb.odeint(
                wanted.model, y0, wanted.t, method=METHODS[engine][False], sensealg=sensealg, engine=engine, **limits
            )
            found = Gradients(*torch.autograd.grad(wanted.loss(y), (y0, *wanted.model.parameters())))
        except pb.BridgeError as error:
            return Run(sensealg, horizon, None, message=first_line(error))
    warned = [str(one.message) for one in caught if issubclass(one.category, pb.GradientWarning)]
    return Run(sensealg, horizon, distance(found, expected), warned=warned[0] if warned else "")


def runs_of(engine: str, expected: dict[float, Gradients], sensealg: str) -> Iterator[Run]:
    for horizon, gradients in expected.items():
        found = run(sensealg, engine, horizon, gradients)
        yield found
        if found.error is None:  # what fails over a horizon fails over every longer one
            return


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sensealgs", nargs="+", metavar="NAME", help="default: those of the engine")


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="chaotic_gradients", own=own_options)
    engine = select_engine(args.engine).name
    expected, differences = {}, {}
    for horizon in QUICK_HORIZONS if args.quick else HORIZONS:
        expected[horizon], differences[horizon] = reference(task(horizon))
        print(f"To t = {horizon:g}: two ways to the expected gradient differ by {differences[horizon]:.1e}")
    sensealgs = args.sensealgs or SENSEALGS[engine]
    runs, complete = measured(sensealgs, functools.partial(runs_of, engine, expected), str)
    report(runs)
    draw(args.output / "chaotic_gradients.png", runs, engine)
    numbers = {"runs": [asdict(one) for one in runs], "references_differ_by": differences, "rtol": RTOL}
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def report(runs: list[Run]) -> None:
    rows = [
        (
            one.sensealg,
            f"{one.horizon:g}",
            "failed" if one.error is None else f"{one.error:.1e}",
            "*" * bool(one.warned),
        )
        for one in runs
    ]
    print_table(("sensealg", "horizon", "error", "warned of"), rows)
    for one in runs:
        if one.message:
            print(f"  {one.message}")


def draw(path: Path, runs: list[Run], engine: str) -> None:
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for position, sensealg in enumerate(dict.fromkeys(one.sensealg for one in runs)):
        own = [(one.horizon, one.error, one.warned) for one in runs if one.sensealg == sensealg and one.error]
        drawn = [(horizon, error) for horizon, error, _ in own if error < WORST]
        axes.semilogy(*zip(*drawn, strict=True), label=sensealg, **look(position))
        crosses = [(horizon, error) for horizon, error, warned in own if warned and error < WORST]
        if crosses:
            axes.plot(*zip(*crosses, strict=True), "x", color="k", ms=11, mew=2, zorder=3)
    axes.set(
        xlabel="horizon t",
        ylabel="relative error of the gradient",
        title=f"Gradients of Lorenz's system, rtol = {RTOL:g}, {engine} engine (crosses: warned of)",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
