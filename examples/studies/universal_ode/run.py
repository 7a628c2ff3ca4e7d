"""A universal differential equation: the known part of Lotka-Volterra, and a network for the part that is missing.

Known are the births of the prey and the deaths of the predators; what they do to each other is left to a network
(Rackauckas et al. 2020, "Universal differential equations for scientific machine learning"). It learns from noisy
counts over little more than one cycle: by Adam over short pieces, each from a measured point, then by L-BFGS over the
whole. A neural ODE that knows nothing learns from the same counts. Then the network is looked at: what it says along
the cycle, beside the true interaction, and which few terms of a small library say the same. With those terms in its
place, the equation is known altogether.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.studies.universal_ode import figures
from examples.studies.universal_ode.data import Data
from examples.support import common
from examples.support.measurements import print_table

BIRTHS, EATEN, GAINED, DEATHS = 1.3, 0.9, 0.8, 1.8
START = torch.tensor([1.2, 1.0], dtype=torch.float64)
LAST, BEYOND = 5.0, 15.0  # the measurements end, and the forecasts; a cycle takes 4.3
OTHER = torch.tensor([0.6, 1.0], dtype=torch.float64)  # a start whose wider cycle was not measured
MEASUREMENTS = 25
NOISE = 0.02  # standard deviation of a count, relative to its species' mean
HIDDEN = 24
# Of an adaptive solver, and the step of a fixed-step one.
TOLERANCES = {"rtol": 1e-6, "atol": 1e-7, "options": {"dt": 0.1}}
FINE = {"rtol": 1e-10, "atol": 1e-12, "options": {"dt": 0.005}}
ADAM_SHARE = 0.95  # of the iterations; the others are L-BFGS's
LEARNING_RATE = 0.1  # Adam's at first; it falls along a cosine
SMALLEST = 0.1  # coefficient of the library that is kept

LIBRARY = ("u", "v", "u²", "uv", "v²")


def interaction(y: Tensor) -> Tensor:
    """The true missing part, for values of shape ``(..., 2)``."""
    both = y[..., 0] * y[..., 1]
    return torch.stack([-EATEN * both, GAINED * both], dim=-1)


def network() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
    nn.init.normal_(net[-1].weight, std=1e-2)  # begin with almost nothing missing
    nn.init.zeros_(net[-1].bias)
    return net


class Universal(nn.Module):
    """The known linear part, and ``missing(y)``."""

    def __init__(self, missing: Any) -> None:
        super().__init__()
        self.missing = missing
        self.register_buffer("known", torch.tensor([BIRTHS, -DEATHS]))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.known * y + self.missing(y)


class Neural(nn.Module):
    """A network for all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--noise", type=float, default=NOISE, help="of a count, relative to its species' mean")


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.arguments(
        __doc__, name="universal_ode", method="rk4", iterations=400, quick_iterations=160, own=own_options
    )
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    data = measured(args.noise, {**solver, **FINE})
    models: dict[str, nn.Module] = {}
    trainings = {}
    for name in ("universal ODE", "neural ODE"):
        part = common.part(args, name.replace(" ", "_"))
        models[name] = Universal(network()) if name == "universal ODE" else Neural()
        print(f"{name}, {sum(parameter.numel() for parameter in models[name].parameters())} parameters")
        trainings[name] = trained(models[name], data, part, solver)
    net = models["universal ODE"].missing
    along = torch.linspace(0, LAST, 200)
    visited = solved(models["universal ODE"], along, solver)
    learnt, true = net(visited).detach(), interaction(visited)
    terms = sparse_terms(visited, learnt)
    models["with the terms found"] = Universal(functools.partial(from_library, terms))

    t = torch.linspace(0, BEYOND, 601)
    truth, elsewhere = (solved(Universal(interaction), t, {**solver, **FINE}, start) for start in (START, OTHER))
    forecasts = {name: forecast(name, model, t, solver) for name, model in models.items()}
    errors = {name: errors_of(values, truth, t, data) for name, values in forecasts.items()}
    for name, model in models.items():
        others = forecast(name, model, t, solver, OTHER)
        errors[name]["from another start"] = error_of(others - elsewhere, data)
    missing = {
        "relative_error": rms(learnt - true) / rms(true),
        "coefficients": dict(zip(LIBRARY, terms.tolist(), strict=True)),
        "true": {"uv": [-EATEN, GAINED]},
    }
    report(errors, missing)
    path = args.output / "universal_ode"
    cycle, field = (along, learnt, true), error_over_plane(net, truth)
    figures.draw(path, data, t, truth, forecasts, cycle, field, trainings)
    solution = pb.solve(models["universal ODE"], START, data.t, **solver)
    numbers = {"error": missing["relative_error"], "missing_part": missing, "rmse": errors, "noise": args.noise}
    common.write_results(args, solution, common.together(list(trainings.values())), numbers)


def measured(noise: float, solver: dict[str, Any]) -> Data:
    t = torch.linspace(0, LAST, MEASUREMENTS + 1)
    truth = solved(Universal(interaction), t, solver)
    scale = truth.mean(0)
    return Data(t, torch.cat([truth[:1], truth[1:] + noise * scale * torch.randn_like(truth[1:])]), scale)


def solved(model: nn.Module, t: Tensor, solver: dict[str, Any], start: Tensor = START) -> Tensor:
    """Counts at ``t``, ``(T, 2)``, without autograd."""
    with torch.no_grad():
        return pb.odeint(model, start, t, **solver)


def forecast(name: str, model: nn.Module, t: Tensor, solver: dict[str, Any], start: Tensor = START) -> Tensor:
    """As `solved`, with NaN throughout where the learnt equation has no solution until the end."""
    try:
        return solved(model, t, solver, start)
    except pb.SolverError as error:
        print(f"{name}: {error}")
        return torch.full((len(t), 2), math.nan)


def error_over_plane(net: nn.Module, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Grids of u and v around the cycle, and the network's error there, relative to the true root mean square."""
    axes = [torch.linspace(0, 1.3 * most, 80) for most in truth.amax(0).tolist()]
    u, v = torch.meshgrid(*axes, indexing="ij")
    places = torch.stack([u, v], dim=-1)
    with torch.no_grad():
        miss, true = net(places) - interaction(places), interaction(truth)
    return u, v, miss.square().mean(-1).sqrt() / rms(true)


def trained(model: nn.Module, data: Data, args: argparse.Namespace, solver: dict[str, Any]) -> dict[str, Any]:
    """Adam over pieces, so that no early guess has to follow a whole cycle; then L-BFGS over all of it."""
    adam = torch.optim.Adam(model.parameters())
    lbfgs = torch.optim.LBFGS(
        model.parameters(), max_iter=4, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )
    first = round(ADAM_SHARE * args.iterations)

    def step(iteration: int) -> dict[str, float]:
        early = iteration < first
        optimizer: torch.optim.Optimizer = adam if early else lbfgs
        adam.param_groups[0]["lr"] = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * min(1, iteration / first)))
        t, counts = data.pieces() if early else data.whole()
        work = {"nfe": 0, "solves": 0}

        def closure() -> Tensor:
            optimizer.zero_grad()
            solution = pb.solve(model, counts[0], t, **solver)
            loss = data.loss(solution.y, counts)
            loss.backward()
            work["nfe"] += solution.stats.nfe
            work["solves"] += 1
            return loss

        return {"loss": optimizer.step(closure).item(), **work}

    return common.train(step, {"model": model, "adam": adam, "lbfgs": lbfgs}, args, every=20)


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def error_of(miss: Tensor, data: Data) -> float | None:
    """The root mean square of misses over each species' mean; None where there was no solution."""
    error = rms(miss / data.scale)
    return error if math.isfinite(error) else None


def errors_of(values: Tensor, truth: Tensor, t: Tensor, data: Data) -> dict[str, float | None]:
    """Of the misses of the truth, before the data end and after."""
    miss = values - truth
    return {"within": error_of(miss[t <= LAST], data), "beyond": error_of(miss[t > LAST], data)}


def candidates(y: Tensor) -> Tensor:
    """The library's terms for values ``(..., 2)``, shape ``(..., 5)``."""
    u, v = y[..., 0], y[..., 1]
    return torch.stack([u, v, u * u, u * v, v * v], dim=-1)


def from_library(coefficients: Tensor, y: Tensor) -> Tensor:
    return candidates(y) @ coefficients


def sparse_terms(y: Tensor, values: Tensor) -> Tensor:
    """Coefficients of the library, ``(5, 2)``, few of them not zero: least squares with thresholds in sequence.

    Brunton, Proctor & Kutz 2016, "Discovering governing equations from data by sparse identification".
    """
    terms = candidates(y)
    coefficients = torch.linalg.lstsq(terms, values).solution
    for _ in LIBRARY:
        kept = coefficients.abs() >= SMALLEST
        coefficients = torch.zeros_like(coefficients)
        for column in range(values.shape[1]):
            chosen = kept[:, column]
            if chosen.any():
                fit = torch.linalg.lstsq(terms[:, chosen], values[:, column : column + 1]).solution
                coefficients[chosen, column] = fit[:, 0]
    return coefficients


def report(errors: dict[str, dict[str, float | None]], missing: dict[str, Any]) -> None:
    print(f"RMSE over each species' mean, within the data until {LAST:g} and beyond until {BEYOND:g}, where one from")
    print(f"another start, ({OTHER[0]:g}, {OTHER[1]:g}) in place of ({START[0]:g}, {START[1]:g}), is over all times:")
    columns = ("within", "beyond", "from another start")
    rows = [
        (name, *("none" if row[column] is None else f"{row[column]:.4f}" for column in columns))
        for name, row in errors.items()
    ]
    print_table(("model", *columns), rows)
    print(f"The network differs from the true interaction by {100 * missing['relative_error']:.1f} % along the cycle.")
    for column, (name, true) in enumerate((("prey", -EATEN), ("predators", GAINED))):
        terms = [f"{row[column]:+.4f} {term}" for term, row in missing["coefficients"].items() if row[column]]
        print(f"Terms found for the {name}: {' '.join(terms) or 'none'}; true: {true:+g} uv")


if __name__ == "__main__":
    main()
