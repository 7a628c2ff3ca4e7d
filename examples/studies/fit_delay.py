"""The delay of Mackey and Glass's blood cells, learnt from noisy counts, with both rates of the equation.

dy/dt = beta y(t - tau) / (1 + y(t - tau)^10) - gamma y makes new cells by how many there were a while ago (Mackey &
Glass 1977, "Oscillation and chaos in physiological control systems"). The measurements are those of its usual
parameters, with noise. The fit begins with a delay that is 30 % off, and rates that are off as well, and sees the first
measurements before the later ones: over a long time, a wave that is too slow is as wrong as none. It needs Julia and
`python -m pyode_bridge install DelayDiffEq`.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import COLORS, measured, print_table

TRUE = {"beta": 0.2, "gamma": 0.1, "tau": 17.0}  # per day, per day, days
START = 1.2  # cells, of their usual number, before the first day
DAYS, QUICK_DAYS = 200, 60
NOISE = 0.02  # standard deviation of a count
SEEDS, QUICK_SEEDS = 5, 1
OFF = (0.7, 1.3)  # of the true delay, where a fit begins
RATES_OFF = {"beta": 1.3, "gamma": 0.7}
SEEN = (30, 50, 80, 120)  # days that are seen first
SOLVER = {"method": "Tsit5", "rtol": 1e-6, "atol": 1e-8}


class Production(nn.Module):
    """Mackey and Glass's equation; its parameters are logarithms, so that they stay positive."""

    def __init__(self, beta: float, gamma: float, tau: float) -> None:
        super().__init__()
        self.logs = nn.Parameter(torch.tensor([beta, gamma, tau]).log())

    def forward(self, _t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
        beta, gamma, _ = self.logs.exp()
        return beta * past[0] / (1 + past[0] ** 10) - gamma * y

    def counts(self, t: Tensor) -> pb.Solution:
        """At the times; the history is the start."""
        return pb.solve_dde(self, torch.tensor([START]), t, lags=self.logs[2:].exp(), engine="julia", **SOLVER)


class Case(NamedTuple):
    """Which noise, and where the delay begins, of the true one."""

    seed: int
    off: float

    def __str__(self) -> str:
        return f"seed {self.seed}, from {self.off * TRUE['tau']:.3g}"


@dataclass(frozen=True)
class Fit:
    """What a fit found."""

    seed: int
    began: float  # days of delay
    beta: float
    gamma: float
    tau: float
    gradients: int
    seconds: float


def data(seed: int, days: int) -> tuple[Tensor, Tensor]:
    t = torch.linspace(0.0, days, days + 1)
    with torch.no_grad():
        clean = Production(**TRUE).counts(t).y[:, 0]
    return t, clean + NOISE * torch.randn(len(t), generator=torch.Generator().manual_seed(seed))


def fit(days: int, case: Case) -> Iterator[Fit]:
    t, counts = data(case.seed, days)
    began = TRUE["tau"] * case.off
    model = Production(TRUE["beta"] * RATES_OFF["beta"], TRUE["gamma"] * RATES_OFF["gamma"], began)
    gradients, start = 0, time.perf_counter()
    for seen in [*(seen for seen in SEEN if seen < days), days]:
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=40, line_search_fn="strong_wolfe")

        def loss(seen: int = seen, optimizer: torch.optim.LBFGS = optimizer) -> Tensor:
            nonlocal gradients
            gradients += 1
            optimizer.zero_grad()
            off = (model.counts(t[: seen + 1]).y[:, 0] - counts[: seen + 1]).square().mean()
            off.backward()
            return off

        optimizer.step(loss)
    yield Fit(case.seed, began, *model.logs.detach().exp().tolist(), gradients, time.perf_counter() - start)


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="fit_delay")
    days, seeds = (QUICK_DAYS, QUICK_SEEDS) if args.quick else (DAYS, SEEDS)
    cases = [Case(args.seed + seed, off) for seed in range(seeds) for off in OFF]
    fits, complete = measured(cases, functools.partial(fit, days), str)
    rows = [
        (f"{one.seed}", f"{one.began:.1f}", *(f"{getattr(one, name):.4f}" for name in TRUE), f"{one.gradients}")
        for one in fits
    ]
    print_table(("noise", "delay at first", *TRUE, "gradients"), rows)
    draw(args.output / "fit_delay.png", fits, days)
    worst = {name: max(abs(getattr(one, name) / true - 1) for one in fits) for name, true in TRUE.items()}
    numbers = {
        "fits": {
            f"noise {one.seed}, delay from {one.began:.1f}": {
                **{name: round(getattr(one, name), 4) for name in TRUE},
                "gradients": one.gradients,
                "seconds": round(one.seconds, 1),
            }
            for one in fits
        },
        "runs": [asdict(one) for one in fits],
        "true": TRUE,
        "worst_relative_error": worst,
        "noise": NOISE,
        "days": days,
    }
    common.write_measurements(args, numbers, engine="julia", complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def draw(path: Path, fits: list[Fit], days: int) -> None:
    """The first fits: what they began with, and what they found."""
    blue, red, green = COLORS[:3]
    figure, (curves, found) = plt.subplots(1, 2, figsize=(12, 4.5), width_ratios=(5, 2), layout="constrained")
    first = fits[0]
    t, counts = data(first.seed, days)
    fine = torch.linspace(0.0, days, 8 * days + 1)
    guess = Production(TRUE["beta"] * RATES_OFF["beta"], TRUE["gamma"] * RATES_OFF["gamma"], first.began)
    with torch.no_grad():
        curves.plot(fine, guess.counts(fine).y, ":", color=green, label=f"first guess, delay {first.began:.1f}")
        best = Production(first.beta, first.gamma, first.tau)
        curves.plot(fine, best.counts(fine).y, color=red, label=f"fitted, delay {first.tau:.2f}")
    curves.plot(t, counts, ".", color=blue, ms=4, label="measured")
    curves.set(xlabel="days", ylabel="cells", title="Mackey and Glass's equation")
    curves.legend(loc="lower right", fontsize="small")
    for place, (name, true) in enumerate(TRUE.items()):
        off = [100 * (getattr(one, name) / true - 1) for one in fits]
        found.plot([place + 0.04 * (i - len(fits) / 2) for i in range(len(fits))], off, "o", color=COLORS[place], ms=5)
    found.axhline(0, color="0.6", lw=1)
    found.set(xticks=range(len(TRUE)), xticklabels=list(TRUE), ylabel="off from the truth (%)", title="All fits")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
