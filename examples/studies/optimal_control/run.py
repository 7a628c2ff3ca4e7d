"""Optimal control of a mass on a line: bring it to rest at the origin, at little cost of distance, speed and force.

The state is position and speed, the control is the force; the integral of the cost is a third component of the state,
so its gradient by the control's parameters is that of a solve (Bryson & Ho 1975, "Applied Optimal Control"). Without a
bound on the force the best cost is known in closed form, from the Riccati equation; with one, it is found here from
Pontryagin's conditions, which are sufficient for a convex problem like this. The control is a piecewise linear function
of time, or a network of state and time that learns from many starts at once and is judged on others.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

import pyode_bridge as pb
from examples.studies.optimal_control import figures
from examples.studies.optimal_control.optimum import (
    BOUND,
    END,
    FORCE,
    POINTS,
    POSITION,
    SPEED,
    START,
    Optimum,
    pontryagin,
    riccati,
)
from examples.support import common
from examples.support.measurements import print_table

STARTS, OTHERS = 16, 16  # that the network learns from, and that it is judged on
REACH = 1.5  # largest position and speed among them
KNOTS = 21  # of the piecewise linear control
HIDDEN = 16
# Of an adaptive solver, and the step of a fixed-step one, which divides the space between knots.
TOLERANCES = {"rtol": 1e-6, "atol": 1e-8, "options": {"dt": 0.1}}
FINE = {"rtol": 1e-8, "atol": 1e-10, "options": {"dt": 0.02}}


class PiecewiseLinear(nn.Module):
    """A force that depends on time alone: values at evenly spaced times, and straight lines between."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(KNOTS))

    def forward(self, t: Tensor, _state: Tensor) -> Tensor:
        place = (t / END * (KNOTS - 1)).clamp(0, KNOTS - 1)
        left = place.detach().floor().clamp(max=KNOTS - 2).long()
        share = place - left
        return (1 - share) * self.values[left] + share * self.values[left + 1]


class Feedback(nn.Module):
    """A force that depends on the state, shape ``(..., 2)``, and on time: a network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        time = (t / END).expand(*state.shape[:-1], 1)
        return self.net(torch.cat([state, time], dim=-1))[..., 0]


class Controlled(nn.Module):
    """Position, speed and the cost so far, shape ``(..., 3)``, under a force that a tanh keeps within the bound."""

    def __init__(self, control: nn.Module, bound: float) -> None:
        super().__init__()
        self.control = control
        self.bound = bound

    def force(self, t: Tensor, state: Tensor) -> Tensor:
        raw = self.control(t, state)
        return raw if math.isinf(self.bound) else self.bound * torch.tanh(raw / self.bound)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        position, speed, _ = y.unbind(-1)
        force = self.force(t, y[..., :2]).expand(position.shape)
        cost = (POSITION * position.square() + SPEED * speed.square() + FORCE * force.square()) / 2
        return torch.stack([speed, force, cost], dim=-1)


@dataclass(frozen=True)
class Case:
    """A control to learn.

    Attributes:
        name: in the table, and of its folder.
        bound: of the force; infinite for none.
        make: makes the control.
        learnt, judged: starts, ``(B, 2)``.
    """

    name: str
    bound: float
    make: Callable[[], nn.Module]
    learnt: Tensor
    judged: Tensor

    def optimum(self, start: Tensor) -> Optimum:
        return riccati(start) if math.isinf(self.bound) else pontryagin(start)


def cases() -> list[Case]:
    one = START[None]
    learnt, others = (REACH * (2 * torch.rand(count, 2) - 1) for count in (STARTS, OTHERS))
    return [
        Case("function of time, no bound", math.inf, PiecewiseLinear, one, one),
        Case("function of time, bound", BOUND, PiecewiseLinear, one, one),
        Case("network of the state, no bound", math.inf, Feedback, learnt, others),
        Case("network of the state, bound", BOUND, Feedback, learnt, others),
    ]


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 2, 3, 4], help="by their place in the table")


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.arguments(
        __doc__, name="optimal_control", method="rk4", iterations=25, quick_iterations=5, own=own_options
    )
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    every = cases()
    if not all(1 <= number <= len(every) for number in args.cases):
        raise SystemExit(f"--cases: {args.cases} are not all between 1 and {len(every)}.")
    rows, curves, trainings = [], [], []
    for case in (every[number - 1] for number in args.cases):
        model, training = learnt(case, args, solver)
        rows.append(judged(case, model, solver))
        curves.append(curve(case, model, training, solver))
        trainings.append(training)
    report(rows)
    figures.draw(args.output / "optimal_control", curves, END)
    with torch.no_grad():
        solution = pb.solve(model, with_cost(START), torch.tensor([0.0, END]), **solver)
    numbers = {"error": max(row["gap"] for row in rows), "cases": rows}
    common.write_results(args, solution, common.together(trainings), numbers)


def with_cost(starts: Tensor) -> Tensor:
    """Starts ``(..., 2)`` with no cost yet, ``(..., 3)``."""
    return torch.cat([starts, torch.zeros_like(starts[..., :1])], dim=-1)


def learnt(case: Case, args: argparse.Namespace, solver: dict[str, Any]) -> tuple[Controlled, dict[str, Any]]:
    """The mass under a control that L-BFGS has made cheap, in a folder and with a checkpoint of its own."""
    part = common.part(args, case.name.replace(",", "").replace(" ", "_"))
    model = Controlled(case.make(), case.bound)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=4, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )
    t = torch.linspace(0, END, 9)

    def step(_iteration: int) -> dict[str, float]:
        solves = 0

        def closure() -> Tensor:
            nonlocal solves
            solves += 1
            optimizer.zero_grad()
            cost = pb.odeint(model, with_cost(case.learnt), t, **solver)[-1, :, 2].mean()
            cost.backward()
            return cost

        return {"cost": optimizer.step(closure).item(), "solves": solves}

    print(f"{case.name}: {sum(parameter.numel() for parameter in model.parameters())} parameters")
    training = common.train(step, {"model": model, "optimizer": optimizer}, part, every=5)
    return model, training


def judged(case: Case, model: Controlled, solver: dict[str, Any]) -> dict[str, Any]:
    """Costs from the starts to judge by, beside the best: sums, and the gap of the sums."""
    with torch.no_grad():
        found = pb.odeint(model, with_cost(case.judged), torch.tensor([0.0, END]), **{**solver, **FINE})[-1, :, 2]
    best = torch.tensor([case.optimum(start).cost for start in case.judged])
    return {
        "case": case.name,
        "starts": len(best),
        "cost": found.mean().item(),
        "optimum": best.mean().item(),
        "gap": (found.sum() / best.sum() - 1).item(),
        "largest_gap": (found / best - 1).max().item(),
    }


def curve(case: Case, model: Controlled, training: dict[str, Any], solver: dict[str, Any]) -> figures.Curve:
    """What the figure shows of a case: the way from the first start, and the training."""
    t = torch.linspace(0, END, POINTS)
    with torch.no_grad():
        states = pb.odeint(model, with_cost(START), t, **solver)[:, :2]
        forces = torch.stack([model.force(time, state) for time, state in zip(t, states, strict=True)])
    best = sum(case.optimum(start).cost for start in case.learnt) / len(case.learnt)
    excess = [row["cost"] / best - 1 for row in training["history"]]
    bounded = not math.isinf(case.bound)
    return figures.Curve(case.name, bounded, case.optimum(START), states, forces, excess)


def report(rows: list[dict[str, Any]]) -> None:
    header = ("control", "starts judged", "mean cost", "optimum", "gap %", "largest gap %")
    table = [
        (
            *(row["case"], str(row["starts"]), f"{row['cost']:.6f}", f"{row['optimum']:.6f}"),
            *(f"{100 * row['gap']:.4f}", f"{100 * row['largest_gap']:.3f}"),
        )
        for row in rows
    ]
    print_table(header, table)


if __name__ == "__main__":
    main()
