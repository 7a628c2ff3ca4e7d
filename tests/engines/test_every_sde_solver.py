"""Every stochastic solver of the running Julia samples from a known law, or is listed with the reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines.julia.limits import LIMITED
from pyode_bridge.problem.dynamics import Dynamic
from tests.problems import DOUBLE, two_processes_each

pytestmark = [pytest.mark.julia, pytest.mark.slow]

SAMPLES, SEEDS = 20, 50  # few in one solve: some solvers' work grows by the square of them
COUNT = SAMPLES * SEEDS
SPAN = torch.tensor([0.0, 1.0], dtype=DOUBLE)
RATE, NOISE = 0.5, 0.5
STEPS = {"dt": 1 / 64}
OPTIONS = {"maxiters": 2_000}  # one that steps too small is stopped early
BIAS = 1e-2  # of the steps: of first order in their length, by RATE^2 / 2, where steps are fixed


def sample(method: str, drift: Dynamic, diffusion: Dynamic, options: Mapping[str, Any]) -> Tensor:
    """Values at the end, from 1, each with noise of its own."""
    ends = []
    for seed in range(SEEDS):
        y = pb.sdeint(
            drift,
            diffusion,
            torch.ones(SAMPLES, dtype=DOUBLE),
            SPAN,
            method=method,
            seed=seed,
            engine="julia",
            options={**OPTIONS, **options},
        )
        assert isinstance(y, Tensor)
        ends.append(y[-1])
    return torch.cat(ends)


def departure(values: Tensor, mean: float, deviation: float) -> str:
    """An empty string where mean and deviation are within four standard errors, else what they are."""
    found = values.mean().item(), values.std().item()
    if not math.isfinite(sum(found)):
        return "values are not finite"
    off = abs(found[0] - mean) > 4 * deviation / math.sqrt(len(values)) + BIAS
    wide = abs(found[1] - deviation) > 4 * deviation / math.sqrt(2 * len(values)) + BIAS
    return (
        f"mean {found[0]:.3f}, deviation {found[1]:.3f}; {mean:.3f}, {deviation:.3f} are right" if off or wide else ""
    )


Problem = Callable[[pb.SolverInfo, Mapping[str, Any]], str]


def growth(solver: pb.SolverInfo, options: Mapping[str, Any]) -> str:
    """Geometric Brownian motion, of which the logarithm is normal; Itô's sense takes NOISE^2 / 2 from its mean."""
    values = sample(solver.name, lambda t, y: RATE * y, lambda t, y: NOISE * y, options)
    return departure(values.log(), RATE - (NOISE**2 / 2 if solver.calculus == "Ito" else 0.0), NOISE)


def relaxation(solver: pb.SolverInfo, options: Mapping[str, Any]) -> str:
    """The Ornstein-Uhlenbeck process, whose noise does not depend on the state: normal."""
    values = sample(solver.name, lambda t, y: -y, lambda t, y: NOISE * torch.ones_like(y), options)
    return departure(values, math.exp(-1), NOISE * math.sqrt((1 - math.exp(-2)) / 2))


def growth_by(noise: Any, solver: pb.SolverInfo, options: Mapping[str, Any]) -> str:
    """The same growth of three components, whose noise is mixed from several processes or shared."""

    def diffusion(t: Tensor, y: Tensor) -> Tensor:
        return two_processes_each(y, 0.6 * NOISE, 0.8 * NOISE) if noise == "general" else NOISE * y

    paths = [
        pb.sdeint(
            lambda t, y: RATE * y,
            diffusion,
            torch.ones(3, dtype=DOUBLE),
            SPAN,
            noise=noise,
            method=solver.name,
            seed=seed,
            engine="julia",
            options={**OPTIONS, **options},
        )
        for seed in range(COUNT // 3)
    ]
    logs = torch.stack([y[-1].log() for y in paths if isinstance(y, Tensor)])
    if noise == "scalar" and not torch.allclose(logs[:, 0], logs[:, 1]):
        return "components with one noise differ"
    own = logs[:, 0] if noise == "scalar" else logs.flatten()
    return departure(own, RATE - (NOISE**2 / 2 if solver.calculus == "Ito" else 0.0), NOISE)


def fault(problem: Problem, solver: pb.SolverInfo, options: Mapping[str, Any]) -> str:
    try:
        return problem(solver, options)
    except pb.BridgeError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"


WAYS_OUT: dict[str, tuple[Problem, Mapping[str, Any]]] = {
    "additive noise": (relaxation, {}),
    "fixed steps": (growth, {**STEPS, "adaptive": False}),
}


def complaint(solver: pb.SolverInfo) -> str:
    """What is wrong with a solver, or with what is said of it."""
    steps = {} if solver.adaptive else STEPS
    found = fault(growth, solver, steps)
    if not solver.limit:
        return found
    if not found:
        return "is listed as limited, but works"
    if (way := LIMITED[solver.name].works_with) is None:
        return ""
    problem, options = WAYS_OUT[way]
    return fault(problem, solver, {**steps, **options})


@pytest.mark.timeout(2 * 3600)
def test_every_stochastic_solver_works_or_is_listed() -> None:
    solvers = pb.solvers("julia", problem="SDE")
    if not solvers:
        pytest.skip("StochasticDiffEq is not installed")
    wrong: dict[str, str] = {}
    for solver in solvers:
        start = time.perf_counter()
        if found := complaint(solver):
            wrong[solver.name] = found
        verdict = found or ("limited, as listed" if solver.limit else "works")
        print(f"{solver.name:28} {time.perf_counter() - start:6.1f} s  {verdict}", flush=True)
    assert not wrong


@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("noise", ["general", "scalar"])
def test_noise_of_another_kind_is_right_or_refused(noise: str) -> None:
    wrong: dict[str, str] = {}
    for solver in pb.solvers("julia", problem="SDE"):
        way = LIMITED[solver.name].works_with if solver.limit else None
        options = {**STEPS, "adaptive": False} if way == "fixed steps" else {} if solver.adaptive else STEPS
        try:
            found = growth_by(noise, solver, options)
            verdict = found or "works"
        except pb.BridgeError as error:
            found, verdict = "", f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
        print(f"{solver.name:28} {verdict}", flush=True)
        if found:
            wrong[solver.name] = found
    assert not wrong
