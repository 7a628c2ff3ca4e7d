"""The rate constants of Robertson's stiff reaction, from noisy measurements over eleven decades of time.

Every species is measured at times spaced evenly on a logarithmic axis. The fit starts from constants that are all off
by a factor of 3, in each combination of too large and too small, and takes their logarithms for parameters. L-BFGS
and Adam see the same gradients, and the standard errors tell how well the measurements determine each constant.

Gradients come from an adjoint solve, or from the sensitivities of the state, solved along with it (--gradients). Given
both, the first start is fitted by either, and the others by the second. An adjoint that solves the reaction backwards
(BacksolveAdjoint, the only one of the embedded engine) is unstable here, so an adjoint's first gradient is held against
that by sensitivities before anything is fitted.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.studies.fit_robertson import figures
from examples.studies.fit_robertson.fit import Fit, Measurements
from examples.studies.fit_robertson.model import (
    RATES,
    Robertson,
    solved_with_adjoint,
    solved_with_sensitivities,
    standard_errors,
)
from examples.support import common
from examples.support.measurements import print_table
from pyode_bridge.engines import select_engine

FACTOR = 3.0  # by which each constant is off at the start
NOISE = 1e-3  # standard deviation of a measurement, relative to its species' largest value
DECADES, QUICK_DECADES = (-5, 6), (-2, 4)  # of the first and the last measurement, in powers of ten of a second
A_DECADE = 2  # measurements of each species
RTOL, FINE_RTOL, CHECK_RTOL = 1e-6, 1e-10, 1e-8
TRUSTED = 1e-3  # relative distance to the gradient by sensitivities up to which an adjoint's is taken
STARTS = 4  # of the eight combinations of signs
ADAM_ITERATIONS, LEARNING_RATE = 200, 0.1  # the rate falls along a cosine
BETAS = (0.7, 0.95)  # Adam's; gradients without noise need less averaging than those of mini-batches

GRADIENTS = {"adjoint": solved_with_adjoint, "sensitivities": solved_with_sensitivities}
DEFAULTS = {
    "julia": {"method": "Rodas5P", "gradients": ["adjoint", "sensitivities"], "sensealg": "GaussAdjoint"},
    "embedded": {"method": "QNDF", "gradients": ["sensitivities"], "sensealg": None},
}


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(method=None)  # the engine's, which is not known yet
    parser.add_argument(
        "--gradients", nargs="+", choices=tuple(GRADIENTS), help="default: both on Julia, else sensitivities"
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="combinations of too large and too small, up to 8")
    parser.add_argument("--noise", type=float, default=NOISE, help="relative to each species' largest value")
    parser.add_argument(
        "--decades",
        type=int,
        nargs=2,
        metavar=("FIRST", "LAST"),
        help=f"of the measurements' times; default: {DECADES}, or {QUICK_DECADES} with --quick",
    )


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.arguments(__doc__, name="fit_robertson", method="", iterations=7, quick_iterations=6, own=own_options)
    engine = select_engine(args.engine).name
    for name, value in DEFAULTS[engine].items():
        setattr(args, name, getattr(args, name) or value)
    solver = common.solver_settings(args)
    print(f"{args.method} on the {engine} engine, gradients by {' and '.join(args.gradients)}")
    data = measurements(args, solver)
    starts = [tuple(FACTOR**sign for sign in signs) for signs in combinations()][: args.starts]
    checked = check_gradient(data, starts[0], solver) if "adjoint" in args.gradients else None
    fits, trainings = [], []
    for optimizer, gradients, start in planned(args, starts):
        fit, training = fitted(args, data, optimizer, gradients, start, solver)
        fits.append(fit)
        trainings.append(training)
    best = min(fits, key=lambda fit: fit.losses[-1])
    model = at_ratios(best.ratios[-1])
    expected = standard_errors(model, data.t, data.scale, data.noise, RTOL, solver) if data.noise else torch.zeros(3)
    report(fits, best, expected)
    figures.draw(args.output / "fit_robertson", data, fits, best, expected, solver)
    _, solution = GRADIENTS[args.gradients[0]](model, data.t, RTOL, solver)
    numbers = {
        "error": max(fit.error for fit in fits),
        "adjoint_differs_from_sensitivities_by": checked,
        "noise": data.noise,
        "measurements": data.y.numel(),
        "decades": [round(math.log10(data.t[position].item())) for position in (1, -1)],
        "true": RATES.tolist(),
        "relative_standard_errors": expected.tolist(),
        "fits": [described(fit) for fit in fits],
    }
    common.write_results(args, solution, common.together(trainings), numbers)


def planned(args: argparse.Namespace, starts: list[tuple[float, ...]]) -> list[tuple[str, str, tuple[float, ...]]]:
    """Optimiser, gradients and start of each fit."""
    compared = [("L-BFGS", gradients, starts[0]) for gradients in args.gradients]
    if args.quick:
        return compared[:1]
    last = args.gradients[-1]
    return [*compared, *(("L-BFGS", last, start) for start in starts[1:]), ("Adam", last, starts[0])]


def combinations() -> list[tuple[int, ...]]:
    """Signs of the exponents of the factor; the first half has each sign of each constant equally often."""
    return sorted(itertools.product((1, -1), repeat=3), key=lambda signs: -math.prod(signs))


def measurements(args: argparse.Namespace, solver: dict[str, Any]) -> Measurements:
    first, last = args.decades or (QUICK_DECADES if args.quick else DECADES)
    if first >= last:
        raise SystemExit(f"--decades: {first} is not before {last}; give the first one first, such as -5 6.")
    t = torch.cat([torch.zeros(1), torch.logspace(first, last, A_DECADE * (last - first) + 1)])
    with torch.no_grad():
        truth, _ = solved_with_adjoint(Robertson(RATES), t, FINE_RTOL, solver)
    scale = truth.amax(0)
    return Measurements(t, truth[1:] + args.noise * scale * torch.randn_like(truth[1:]), scale, args.noise)


def at_ratios(ratios: tuple[float, ...] | list[float]) -> Robertson:
    return Robertson(RATES * torch.tensor(ratios))


def gradient(
    data: Measurements, start: tuple[float, ...], solved: Callable[..., Any], rtol: float, solver: dict[str, Any]
) -> Tensor:
    """Of the loss, with respect to the logarithms of the constants, ``(3,)``."""
    model = at_ratios(start)
    y, _ = solved(model, data.t, rtol, solver)
    return torch.autograd.grad(data.loss(y), model.log_rates)[0]


def check_gradient(data: Measurements, start: tuple[float, ...], solver: dict[str, Any]) -> float:
    """The relative distance of the adjoint's gradient to that by sensitivities; leaves where it is large."""
    expected = gradient(data, start, solved_with_sensitivities, CHECK_RTOL, solver)
    remedy = "Fit with --gradients sensitivities, or on Julia with --sensealg InterpolatingAdjoint."
    try:
        found = gradient(data, start, solved_with_adjoint, RTOL, solver)
    except pb.SolverError as error:
        raise SystemExit(f"The adjoint of this stiff reaction cannot be solved: {error} {remedy}") from None
    distance = ((found - expected).norm() / expected.norm()).item()
    print(f"The adjoint's gradient at the start differs from that by sensitivities by {distance:.1e}, relatively")
    if not distance < TRUSTED:
        raise SystemExit(
            f"The adjoint's gradient is {found.tolist()}, where sensitivities give {expected.tolist()}: it would "
            f"mislead the fit. Adjoints that solve a stiff reaction backwards in time are unstable. {remedy}"
        )
    return distance


def fitted(
    args: argparse.Namespace,
    data: Measurements,
    optimizer: str,
    gradients: str,
    start: tuple[float, ...],
    solver: dict[str, Any],
) -> tuple[Fit, dict[str, Any]]:
    """Fit from ``start``, in a folder and with a checkpoint of its own."""
    name = f"{optimizer}-{gradients}" + "".join("+" if ratio > 1 else "-" for ratio in start)
    part = common.part(args, name)
    model = at_ratios(start)
    if optimizer == "Adam":
        part.iterations = ADAM_ITERATIONS
        minimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=BETAS)
    else:
        minimizer = torch.optim.LBFGS(
            model.parameters(), max_iter=4, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        )

    def step(iteration: int) -> dict[str, float]:
        solves = 0
        if optimizer == "Adam":
            rate = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * iteration / part.iterations))
            minimizer.param_groups[0]["lr"] = rate

        def closure() -> Tensor:
            nonlocal solves
            solves += 1
            minimizer.zero_grad()
            y, _ = GRADIENTS[gradients](model, data.t, RTOL, solver)
            loss = data.loss(y)
            loss.backward()
            return loss

        before = minimizer.step(closure).item()
        ratios = model.log_rates.detach().exp() / RATES
        named = {f"k{position}/true": ratio for position, ratio in enumerate(ratios.tolist(), start=1)}
        return {"loss before": before, "solves": solves, **named}

    print(f"{optimizer} by {gradients} from constants off by {', '.join(f'{ratio:.3g}' for ratio in start)}")
    training = common.train(step, {"model": model, "optimizer": minimizer}, part, every=1)
    rows = training["history"]
    fit = Fit(
        optimizer,
        gradients,
        start,
        [list(start)] + [[row[f"k{position}/true"] for position in (1, 2, 3)] for row in rows],
        [row["loss before"] for row in rows],
        list(itertools.accumulate((int(row["solves"]) for row in rows), initial=0)),
        training["seconds"],
    )
    return fit, training


def report(fits: list[Fit], best: Fit, expected: Tensor) -> None:
    rows = []
    for fit in fits:
        off = ", ".join(f"{ratio:.2g}" for ratio in fit.start)
        errors = (f"{100 * (ratio - 1):+.3f}" for ratio in fit.ratios[-1])
        until = "never" if fit.solves_until_close is None else str(fit.solves_until_close)
        rows.append((fit.optimizer, fit.gradients, off, *errors, str(fit.solves[-1]), until, f"{fit.seconds:.0f}"))
    print_table(
        ("optimiser", "gradients", "start over truth", "k1 %", "k2 %", "k3 %", "solves", "until 1 %", "s"), rows
    )
    for position, (true, error) in enumerate(zip(RATES.tolist(), expected.tolist(), strict=True)):
        found = true * best.ratios[-1][position]
        print(f"k{position + 1}: {found:.6g}, standard error {100 * error:.3f} %, true {true:g}")


def described(fit: Fit) -> dict[str, Any]:
    return {
        "optimizer": fit.optimizer,
        "gradients": fit.gradients,
        "start_over_truth": list(fit.start),
        "constants": (RATES * torch.tensor(fit.ratios[-1])).tolist(),
        "relative_errors": [ratio - 1 for ratio in fit.ratios[-1]],
        "loss_before_last_iteration": fit.losses[-1],
        "solves": fit.solves[-1],
        "solves_until_within_1_percent": fit.solves_until_close,
        "seconds": fit.seconds,
    }


if __name__ == "__main__":
    main()
