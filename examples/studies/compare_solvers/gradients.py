"""Errors of gradients: of a loss over a solve, by each solver with the sensitivity algorithm that comes with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import pyode_bridge as pb
from examples.studies.compare_solvers import others
from examples.studies.compare_solvers.methods import default_methods, has_fixed_steps
from examples.support.gradient_tasks import Gradients, Task, distance, reference, tasks
from examples.support.measurements import first_line, repeated, sweep
from examples.support.work_precision import Point

NAMES = ("Lotka-Volterra", "ROBER")
TOLERANCES, QUICK_TOLERANCES = tuple(10.0**-k for k in range(3, 10)), (1e-4, 1e-6)
LONGEST, QUICK_LONGEST = 10.0, 2.0  # seconds; what took longer is not run with a tighter tolerance
MAXITERS, QUICK_MAXITERS = 30_000, 1000  # steps that a solve may take

Solve = Callable[[Task, Tensor, float], Tensor]  # values at the task's times, by the initial state and rtol


@dataclass(frozen=True)
class Contest:
    """A task with what solves it, and the gradients to find."""

    task: Task
    method: str
    solve: Solve
    expected: Gradients


def contests(
    engine: str, libraries: list[str], problems: list[str], methods: list[str] | None, *, quick: bool
) -> list[Contest]:
    """What is compared, of solvers that keep to tolerances; torch's default type must be float64."""
    chosen = [task for task in tasks() if task.name in NAMES and (task.name in problems or "all" in problems)]
    found = []
    for task in chosen:
        expected, _ = reference(task)
        named = methods or default_methods(task.stiff, engine, quick=quick)
        adaptive = [name for name in named if not has_fixed_steps(name, engine)]
        ours = {name: _ours(name, engine, QUICK_MAXITERS if quick else MAXITERS) for name in adaptive}
        theirs = {} if task.stiff else {name: solve for name, solve in THEIRS.items() if name.split()[0] in libraries}
        found += [Contest(task, name, solve, expected) for name, solve in (ours | theirs).items()]
    return found


def errors(contest: Contest, *, quick: bool) -> Iterator[Point]:
    """For each tolerance the relative error of the gradient, and the time of a solve with it."""
    name, method = contest.task.name, contest.method
    return sweep(
        QUICK_TOLERANCES if quick else TOLERANCES,
        lambda rtol, once: _measure(contest, rtol, once),
        lambda rtol, reason: Point(name, method, rtol, "NotRun", message=reason),
        quick=quick,
        longest=QUICK_LONGEST if quick else LONGEST,
    )


def _measure(contest: Contest, rtol: float, once: bool) -> Point:
    name, method = contest.task.name, contest.method
    try:
        found, seconds, _ = repeated(functools.partial(_gradients, contest, rtol), once=once)
    except (pb.BridgeError, others.FailedError, AssertionError, RuntimeError) as error:
        retcode = getattr(error, "retcode", type(error).__name__)
        return Point(name, method, rtol, retcode, message=first_line(error))
    return Point(name, method, rtol, "Success", distance(found, contest.expected), seconds)


def _gradients(contest: Contest, rtol: float) -> Gradients:
    task = contest.task
    y0 = task.y0.clone().requires_grad_()
    loss = task.loss(contest.solve(task, y0, rtol))
    by_y0, *by_parameters = torch.autograd.grad(loss, (y0, *task.model.parameters()))
    return Gradients(by_y0, torch.cat([each.reshape(-1) for each in by_parameters]))


def _ours(method: str, engine: str, maxiters: int) -> Solve:
    def solve(task: Task, y0: Tensor, rtol: float) -> Tensor:
        tolerances = {"rtol": rtol, "atol": rtol * task.scale}
        named = {"method": method, "engine": engine, "options": {"maxiters": maxiters}}
        return pb.odeint(task.model, y0, task.t, **named, **tolerances)

    return solve


def _torchdiffeq(solver: str, task: Task, y0: Tensor, rtol: float) -> Tensor:
    import torchdiffeq

    solve: Any = getattr(torchdiffeq, solver)
    found: Tensor = solve(task.model, y0, task.t, method="dopri5", rtol=rtol, atol=rtol * task.scale)
    return found


def _torchode(task: Task, y0: Tensor, rtol: float) -> Tensor:
    import torchode

    term = torchode.ODETerm(lambda t, y: task.model(t[0], y[0])[None])
    controller = torchode.IntegralController(atol=rtol * task.scale, rtol=rtol, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Tsit5(term=term), controller)
    found = solver.solve(torchode.InitialValueProblem(y0=y0[None], t_eval=task.t[None]))
    if int(found.status[0]) != 0:
        raise others.FailedError(f"torchode ended with status {int(found.status[0])}")
    values: Tensor = found.ys[0]
    return values


THEIRS: dict[str, Solve] = {
    "torchdiffeq dopri5": functools.partial(_torchdiffeq, "odeint"),
    "torchdiffeq dopri5, adjoint": functools.partial(_torchdiffeq, "odeint_adjoint"),
    "torchode Tsit5": _torchode,
}
