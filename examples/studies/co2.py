"""A box model of the CO2 measured on Mauna Loa, its parameters learnt through the solve.

    dC/dt = E exp(g t)  -  (C - C0) / tau  +  d/dt [(1 + h t) sum_k a_k sin(2 pi k t) + b_k cos(2 pi k t)]
            emissions      uptake             seasons, whose size grows by h a year

C is in ppm and t in years since 1980. E, g, tau, h, the seasonal a and b and the first value of C are learnt by least
squares on the weeks that were measured; weeks without a measurement are left out, not filled in. C0 = 280 ppm is the
level before industry known from ice cores. Concentrations tell the net growth well, and what is emitted and what is
taken up badly: the script says so where tau leaves the range that the record can show. The last five years are kept
back, and forecast. Which forecast wins depends on the years learnt from; every baseline is printed beside the model.
Data: statsmodels' `co2`, weekly, 1958-2001 (Keeling and Whorf, Scripps Institution of Oceanography).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.co2_data import EPOCH, HARMONICS, design, weekly

PREINDUSTRIAL = 280.0
LEVEL = 338.0  # ppm, about that of EPOCH; only a reference for scaling
HOLD_OUT_YEARS = 5
QUICK_START = 1988.0  # --quick reads the record from here on
MONTH = 1 / 12
TAU = "uptake time tau (years)"
TOLERANCES = {"rtol": 1e-7, "atol": 1e-4}


class BoxModel(torch.nn.Module):
    """The equation above. The parameters are scaled so that a unit of each moves C by about a ppm.

    E is learnt through the net growth in the year EPOCH, ``E - (LEVEL - C0) / tau``, which the data pin down; E itself
    would rise and fall with tau.
    """

    def __init__(self, first: float) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.zeros(()))  # C at the first time, from `first`, in ppm
        self.net_growth = torch.nn.Parameter(torch.zeros(()))  # from 1.4 ppm a year, in units of 0.05
        self.log_growth = torch.nn.Parameter(torch.zeros(()))  # g from 2 % a year, in units of 10 %
        self.log_tau = torch.nn.Parameter(torch.zeros(()))  # tau from 50 years, in units of 10 %
        self.swing_growth = torch.nn.Parameter(torch.zeros(()))  # h in percent a year
        self.swings = torch.nn.Parameter(torch.zeros(2, HARMONICS))  # a and b in ppm
        self.register_buffer("omega", 2 * math.pi * torch.arange(1, HARMONICS + 1))
        self.register_buffer("first_guess", torch.tensor(first))

    def initial(self) -> Tensor:
        return (self.first_guess + self.first)[None]

    def rates(self) -> tuple[Tensor, Tensor, Tensor]:
        """E, g and tau."""
        tau = 50 * (0.1 * self.log_tau).exp()
        emission = 1.4 + 0.05 * self.net_growth + (LEVEL - PREINDUSTRIAL) / tau
        return emission, 0.02 * (0.1 * self.log_growth).exp(), tau

    def forward(self, t: Tensor, c: Tensor) -> Tensor:
        """dC/dt for one time and one value, or for many of each."""
        emission, growth, tau = self.rates()
        angle = self.omega * t[..., None]
        sine, cosine = angle.sin(), angle.cos()
        season = (self.swings[0] * sine + self.swings[1] * cosine).sum(-1)
        slope = (self.omega * (self.swings[0] * cosine - self.swings[1] * sine)).sum(-1)
        h = self.swing_growth / 100
        return emission * (growth * t).exp() - (c - PREINDUSTRIAL) / tau + (1 + h * t) * slope + h * season

    def named(self) -> dict[str, float]:
        """The learnt numbers with their units."""
        emission, growth, tau = (rate.item() for rate in self.rates())
        return {
            f"net growth in {EPOCH:g} at {LEVEL:g} ppm (ppm/year)": emission - (LEVEL - PREINDUSTRIAL) / tau,
            f"emissions in {EPOCH:g} (ppm/year)": emission,
            "growth of emissions (%/year)": 100 * growth,
            TAU: tau,
            "growth of the seasonal swing (%/year)": self.swing_growth.item(),
            "yearly harmonic (ppm)": self.swings[:, 0].norm().item(),
            "half-yearly harmonic (ppm)": self.swings[:, 1].norm().item(),
        }


def at_weeks(model: BoxModel, grid: Tensor, values: Tensor, weeks: Tensor) -> Tensor:
    """Cubic Hermite interpolation from the monthly grid to weeks; the model itself gives the slopes."""
    slopes = model(grid, values)
    left = (torch.searchsorted(grid, weeks, right=True) - 1).clamp(0, len(grid) - 2)
    step = grid[left + 1] - grid[left]
    s = (weeks - grid[left]) / step
    return (
        (1 + 2 * s) * (1 - s) ** 2 * values[left]
        + s * (1 - s) ** 2 * step * slopes[left]
        + s**2 * (3 - 2 * s) * values[left + 1]
        + s**2 * (s - 1) * step * slopes[left + 1]
    )


def load(quick: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Times in years since EPOCH and ppm of the weeks that were measured, and a mask of those to learn from."""
    year, ppm = weekly()
    t = year - EPOCH
    kept = ~torch.isnan(ppm) & (t >= (QUICK_START - EPOCH if quick else -math.inf))
    t, ppm = t[kept], ppm[kept]
    return t, ppm, t < math.ceil(t[-1].item()) - HOLD_OUT_YEARS


def baselines(t: Tensor, ppm: Tensor, train: Tensor) -> dict[str, tuple[Tensor, bool]]:
    """Plain forecasts at every week, and whether each is a fit to the training weeks too."""
    found = {}
    for degree, name in ((1, "linear trend + seasons"), (2, "quadratic trend + seasons")):
        coefficients = torch.linalg.lstsq(design(t[train], degree), ppm[train][:, None]).solution
        found[name] = ((design(t, degree) @ coefficients)[:, 0], True)
    year = (t >= t[train][-1] - 1) & train
    growth = (ppm[year].mean() - ppm[train & (t < t[train][0] + 1)].mean()) / (t[train][-1] - t[train][0] - 1)
    ahead = torch.ceil(t - t[year][-1]).clamp(min=0)
    last = np.interp((t - ahead).numpy(), t[year].numpy(), ppm[year].numpy())
    found["last year + mean growth"] = (torch.tensor(last) + growth * ahead, False)
    return found


def rms(values: Tensor) -> float:
    return values.detach().square().mean().sqrt().item()


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.arguments(__doc__, name="co2", method="rk4", iterations=12, quick_iterations=4)
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    t, ppm, train = load(args.quick)
    print(f"{int(train.sum())} weeks to learn from, {int((~train).sum())} to forecast")
    start = math.floor(t[0].item() / MONTH) * MONTH
    months = start + MONTH * torch.arange(math.ceil((t[-1].item() - start) / MONTH) + 1)
    learning = months[: int(torch.searchsorted(months, t[train][-1])) + 1]
    model = BoxModel(ppm[0].item())
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, history_size=20, line_search_fn="strong_wolfe")

    def step(_: int) -> dict[str, float]:
        work = {"nfe": 0, "solves": 0}

        def closure() -> Tensor:
            optimizer.zero_grad()
            solution = pb.solve(model, model.initial(), learning, **solver)
            loss = (at_weeks(model, learning, solution.y[:, 0], t[train]) - ppm[train]).square().mean()
            loss.backward()
            work["nfe"] += solution.stats.nfe
            work["solves"] += 1
            return loss

        return {"rms before (ppm)": optimizer.step(closure).item() ** 0.5, **work}

    training = common.train(step, {"model": model, "optimizer": optimizer}, args, every=1)

    solution = pb.solve(model, model.initial(), months, **solver)
    with torch.no_grad():
        forecast = at_weeks(model, months, solution.y[:, 0], t)
    rmse: dict[str, dict[str, float | None]] = {}
    for name, (values, fits) in {"ODE model": (forecast, True), **baselines(t, ppm, train)}.items():
        miss = values - ppm
        rmse[name] = {"training": rms(miss[train]) if fits else None, "hold-out": rms(miss[~train])}
    print("RMSE in ppm                training   hold-out")
    for name, row in rmse.items():
        fitted = "-" if row["training"] is None else f"{row['training']:.3f}"
        print(f"{name:26s} {fitted:>8} {row['hold-out']:10.3f}")
    for name, value in model.named().items():
        print(f"{name}: {value:.4g}")
    length = (t[train][-1] - t[0]).item()
    if not length / 10 < model.named()[TAU] < 3 * length:
        print(f"{length:.0f} years do not determine this tau, so emissions and uptake are not told apart here.")
    draw(args.output / "co2.png", t + EPOCH, ppm, train, forecast, rmse)
    numbers = {"error": rmse["ODE model"]["hold-out"], "rmse_ppm": rmse, "parameters": model.named()}
    common.write_results(args, solution, training, numbers)


def draw(
    path: Path, year: Tensor, ppm: Tensor, train: Tensor, forecast: Tensor, rmse: dict[str, dict[str, float | None]]
) -> None:
    split = year[train][-1].item()
    figure, ((everything, close), (residuals, bars)) = plt.subplots(
        2, 2, figsize=(13, 8), height_ratios=(3, 2), layout="constrained"
    )
    curve = forecast.clone()
    curve[1:][year.diff() > 1.5 * MONTH] = math.nan  # no line across a gap of the record
    for axes, since, size in ((everything, -math.inf, 2), (close, split - 3, 5)):
        seen, ahead = train & (year > since), ~train
        axes.plot(year[seen], ppm[seen], ".", ms=size, color="0.6", label="measured, learnt from")
        axes.plot(year[ahead], ppm[ahead], ".", ms=size, color="tab:orange", label="measured, held out")
        axes.plot(year[seen], curve[seen], lw=1, color="tab:blue", label="ODE model, fit")
        axes.plot(year[ahead], curve[ahead], lw=1.2, color="tab:red", label="ODE model, forecast")
        axes.set(xlabel="year", ylabel="CO2 (ppm)")
    everything.set_title("Mauna Loa, weekly: gaps are weeks without a measurement")
    everything.legend(markerscale=4, loc="upper left")
    close.set_title("The forecast, close up")
    miss = ppm - forecast
    residuals.plot(year[train], miss[train], ".", ms=2, color="0.5")
    residuals.plot(year[~train], miss[~train], ".", ms=2, color="tab:orange")
    residuals.axhline(0, color="k", lw=0.8)
    residuals.set(title="Residuals: measured less model", xlabel="year", ylabel="ppm")
    for axes in (everything, close, residuals):
        axes.axvline(split, color="k", lw=0.8, ls=":")
    names, errors = list(rmse), [row["hold-out"] or 0.0 for row in rmse.values()]
    colors = ["tab:red" if name == "ODE model" else "0.7" for name in names]
    bars.bar_label(bars.barh(names, errors, color=colors), fmt="%.2f", padding=3)
    bars.invert_yaxis()
    bars.margins(x=0.12)
    bars.set(title="Error of the forecast on the held-out weeks", xlabel="RMSE (ppm)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
