"""A large stiff system whose Jacobian has a pattern that nobody gives: the Brusselator on a grid, and its gradient.

Two substances react and spread on a square whose ends meet, written with `torch.roll`; a spot is heated from t = 1.1.
The pattern is found in the dynamics, and the contestant by hand in Julia is given it. SciPy's BDF, with the pattern and
the right-hand side in torch, is a third where the grid is small. The gradient is that of the mean square at the end by
three parameters and the whole initial state; the parameters' are compared with differences.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.sparse import coo_matrix
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.benchmarks.speed.report import duration
from examples.support import common
from examples.support.measurements import look, measured, print_table, save
from pyode_bridge.engines import select_engine

GRIDS, QUICK_GRIDS = (32, 64, 128), (12, 16)
METHODS, QUICK_METHODS = ("FBDF", "TRBDF2", "Rodas5P"), ("FBDF",)
END, TOLERANCE = 2.0, 1e-6
ROUNDS, BUDGET = 7, 40.0  # rounds, and the seconds after which a case has no more than three
LARGEST_FOR_SCIPY = 64
STEP = 1e-3  # relative, of the differences
DIFFERENCES_UP_TO = 64
DOUBLE = torch.float64


class Brusselator(nn.Module):
    """Of concentrations ``(2, n, n)``; parameters are how fast the first grows, is fed, and how both spread."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([3.4, 1.0, 10.0], dtype=DOUBLE))
        x = torch.arange(n, dtype=DOUBLE) / n
        across, along = torch.meshgrid(x, x, indexing="ij")
        self.register_buffer("hot", 5 * ((across - 0.3) ** 2 + (along - 0.6) ** 2 <= 0.01).to(DOUBLE))
        self.register_buffer(
            "start", torch.stack([22 * (along * (1 - along)) ** 1.5, 27 * (across * (1 - across)) ** 1.5])
        )

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        growth, feed, spread = self.rates
        u, v = y
        reaction, heat = u**2 * v, self.hot * torch.sigmoid(20 * (t - 1.1))
        first = feed + reaction - (growth + 1) * u + spread * laplacian(u) + heat
        return torch.stack([first, growth * u - reaction + spread * laplacian(v)])


def laplacian(u: Tensor) -> Tensor:
    neighbours = sum(torch.roll(u, shift, dim) for shift in (1, -1) for dim in (0, 1))
    return len(u) ** 2 * (neighbours - 4 * u)


@dataclass(frozen=True)
class Row:
    """Median seconds on a grid; ``apart`` is how far the values are from those by hand, relative to the largest."""

    grid: int
    unknowns: int
    method: str
    compiled: float
    handwritten: float
    backward: float
    scipy: float | None
    first: float  # solve, with what is translated and compiled then
    compiling: float  # tracing, the pattern, its colours, and Julia's compiler; a part of the first
    jacobian: str
    apart: float
    gradient_apart: float | None  # of the parameters' from differences, relative to the largest

    @property
    def beside_hand(self) -> float:
        return self.compiled / self.handwritten

    @property
    def gradient_over_solve(self) -> float:
        return self.backward / self.compiled


def solved(model: Brusselator, y0: Tensor, method: str) -> pb.Solution:
    return pb.solve(
        model, y0, torch.tensor([0.0, END], dtype=DOUBLE), method=method, engine="julia", rtol=TOLERANCE, atol=TOLERANCE
    )


def loss(model: Brusselator, y0: Tensor, method: str) -> Tensor:
    y = solved(model, y0, method).y
    assert isinstance(y, Tensor)
    return y[-1].square().mean()


def by_differences(model: Brusselator, method: str) -> Tensor:
    """The gradient with respect to the parameters."""
    found = []
    with torch.no_grad():
        for rate in model.rates:
            size, ends = STEP * rate.item(), []
            for sign in (1, -1):
                rate += sign * size
                ends.append(loss(model, model.start, method))
                rate -= sign * size
            found.append((ends[0] - ends[1]) / (2 * size))
    return torch.stack(found)


def by_hand(model: Brusselator, method: str) -> tuple[Callable[[], Any], Callable[[], float]]:
    """What solves once in Julia and returns the values, and what says how many seconds that takes."""
    module = julia()
    start, rates, hot = model.start.numpy().ravel(), model.rates.detach().numpy(), model.hot.T.numpy()
    solve = module.solver(method, start, module.dense(hot), rates, END, TOLERANCE)
    return lambda: np.array(module.flat(solve())), lambda: float(module.seconds(solve, 1))


@functools.cache
def julia() -> Any:
    from juliacall import Main

    Main.seval((Path(__file__).parent / "handwritten.jl").read_text())
    return Main.HandwrittenBrusselator


def by_scipy(model: Brusselator) -> Callable[[], float]:
    """Seconds of SciPy's BDF with the pattern given."""
    n = len(model.hot)
    index = np.arange(2 * n * n).reshape(2, n, n)
    shifts = [(0, 0), (1, 1), (-1, 1), (1, 2), (-1, 2)]
    columns = [np.roll(index, shift, axis) for shift, axis in shifts] + [index[::-1]]
    entries = np.concatenate([one.ravel() for one in columns]), np.tile(index.ravel(), len(columns))
    pattern = coo_matrix((np.ones(len(entries[0])), entries[::-1]))

    def func(t: float, y: Any) -> Any:
        with torch.no_grad():
            time_ = torch.tensor(t, dtype=DOUBLE)
            return model(time_, torch.from_numpy(y).view(2, n, n)).reshape(-1).numpy()

    def seconds() -> float:
        began, y0 = time.perf_counter(), model.start.numpy().ravel()
        solve_ivp(func, (0.0, END), y0, method="BDF", rtol=TOLERANCE, atol=TOLERANCE, jac_sparsity=pattern)
        return time.perf_counter() - began

    return seconds


def clock(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def race(task: tuple[int, str], *, quick: bool) -> Iterator[Row]:
    grid, method = task
    model = Brusselator(grid)
    began = time.perf_counter()
    with torch.no_grad():
        sol = solved(model, model.start, method)
    first = time.perf_counter() - began
    work, seconds = by_hand(model, method)
    seconds()  # compiles
    twin, values = torch.as_tensor(work()), torch.as_tensor(sol.y[-1]).reshape(-1)
    y0 = model.start.clone().requires_grad_()
    gradient = torch.autograd.grad(loss(model, y0, method), [y0, model.rates])[1]
    apart = None
    if grid <= DIFFERENCES_UP_TO:
        true = by_differences(model, method)
        apart = float((gradient - true).abs().max() / true.abs().max())
    scipy = by_scipy(model) if grid <= LARGEST_FOR_SCIPY and method == "FBDF" else None
    samples: dict[str, list[float]] = {"compiled": [], "handwritten": [], "backward": [], "scipy": []}
    began = time.perf_counter()
    for turn in range(1 if quick else ROUNDS):
        if turn >= 3 and time.perf_counter() - began > BUDGET:
            break
        with torch.no_grad():
            samples["compiled"].append(clock(lambda: solved(model, model.start, method)))
        samples["handwritten"].append(seconds())
        value = loss(model, y0, method)
        samples["backward"].append(clock(lambda value=value: torch.autograd.grad(value, [y0, model.rates])))
        if scipy is not None and turn < 3:
            samples["scipy"].append(scipy())
    medians: dict[str, Any] = {name: statistics.median(taken) if taken else None for name, taken in samples.items()}
    off = float((values - twin).abs().max() / twin.abs().max())
    yield Row(
        grid,
        2 * grid**2,
        method,
        **medians,
        first=first,
        compiling=sol.stats.compile_seconds,
        jacobian=sol.jacobian or "dense",
        apart=off,
        gradient_apart=apart,
    )


def table(rows: list[Row]) -> None:
    header = ("grid", "method", "compiled", "by hand", "times", "gradient, times", "SciPy BDF", "compiling", "apart")
    print_table(header, [line(row) for row in rows])
    for row in rows:
        print(
            f"  {row.grid} x {row.grid}, {row.method}: {row.jacobian}; gradient apart from differences: "
            f"{'not compared' if row.gradient_apart is None else f'{row.gradient_apart:.1e}'}"
        )


def line(row: Row) -> tuple[str, ...]:
    scipy = "-" if row.scipy is None else duration(row.scipy)
    return (
        str(row.grid),
        row.method,
        duration(row.compiled),
        duration(row.handwritten),
        f"{row.beside_hand:.2f}",
        f"{row.gradient_over_solve:.2f}",
        scipy,
        duration(row.compiling),
        f"{row.apart:.1e}",
    )


def draw(path: Path, rows: list[Row]) -> None:
    """Seconds against unknowns: compiled, by hand, the gradient, SciPy."""
    ways = {"compiled": "solid", "handwritten": "dashed", "backward": "dotted", "scipy": "dashdot"}
    figure, panel = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    for position, method in enumerate(dict.fromkeys(row.method for row in rows)):
        for way, dashes in ways.items():
            own = [row for row in rows if row.method == method and getattr(row, way) is not None]
            if own:
                style = {**look(position), "linestyle": dashes}
                label = {"scipy": "SciPy BDF", "backward": f"{method}, gradient"}.get(way, f"{method}, {way}")
                panel.loglog([row.unknowns for row in own], [getattr(row, way) for row in own], label=label, **style)
    panel.set(xlabel="unknowns", ylabel="seconds, median", title="A stiff grid: found pattern, and by hand")
    panel.legend(frameon=False, fontsize="small", ncols=2)
    panel.grid(alpha=0.3)
    save(figure, path)


def main() -> None:
    args = common.measuring_arguments(__doc__ or "", name="large_stiff")
    engine = select_engine(args.engine).name
    if engine != "julia":
        raise SystemExit(f"engine is {engine!r}, which keeps no sparse matrices; Julia's does.")
    print(f"{torch.get_num_threads()} thread, {os.cpu_count()} cores; tolerances {TOLERANCE:g}, to t = {END:g}")
    grids, methods = (QUICK_GRIDS, QUICK_METHODS) if args.quick else (GRIDS, METHODS)
    tasks = [(grid, method) for grid in grids for method in methods]
    rows, complete = measured(tasks, functools.partial(race, quick=args.quick), lambda task: f"{task[0]}, {task[1]}")
    table(rows)
    if rows:
        draw(args.output / "large_stiff", rows)
    numbers = {
        "rows": [asdict(row) for row in rows],
        "ratios": {
            f"{row.grid} x {row.grid}, {row.method}": {
                "over hand-written": row.beside_hand,
                "gradient over solve": row.gradient_over_solve,
                "compiling, s": row.compiling,
            }
            for row in rows
        },
    }
    common.write_measurements(args, numbers, engine=engine, complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


if __name__ == "__main__":
    main()
