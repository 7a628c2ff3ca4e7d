"""What is solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from examples.support.problems import arrays
from examples.support.problems.brusselator import brusselator
from examples.support.problems.nonstiff import PROBLEMS as NONSTIFF
from examples.support.problems.problem import Problem
from examples.support.problems.stiff import PROBLEMS as STIFF

TIMES = 101  # at which values are kept
RTOL, QUICK_RTOL = 1e-8, 1e-5  # of the problems
SPANS = {"Lotka-Volterra": (10.0, 2000.0), "Lorenz": (5.0, 1000.0), "ROBER": (1e2, 1e11)}
LANES = ("compiled", "handwritten")


@dataclass(frozen=True)
class Case:
    """An initial value problem for all contestants.

    Attributes:
        name: what it is called in tables.
        kind: ``"forward"`` (a solve), ``"training"`` (a solve and the gradient of a loss) or ``"ensemble"`` (many
            solves that differ by initial state and parameters).
        func: dynamics in torch: ``func(t, y)``, or ``func(t, y, p)`` for an ensemble.
        side: the same over other arrays: ``side(xp, y, *weights)``; see `arrays`. Hand-written Julia has its name too.
        y0: the first state; for an ensemble, with a leading dimension.
        t: the times at which values are kept, float64.
        error: how far what a contestant found is from a tight reference, relative; None where none is possible.
        weights: what ``side`` takes beside the state: the parameters of the network, or those of the ensemble.
        only: the contestants that it is for; all, if empty.
    """

    name: str
    kind: str
    func: Callable[..., Tensor]
    side: Callable[..., Any]
    y0: Tensor
    t: Tensor
    rtol: float
    atol: float
    stiff: bool
    error: Callable[[Any], float] | None
    weights: tuple[Tensor, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Julia's solver for it; in single precision DP5, as rounding slows the growth of Tsit5's steps."""
        if self.stiff:
            return "Rodas5P"
        return "DP5" if self.y0.dtype == torch.float32 else "Tsit5"

    def loss(self, y: Any) -> Any:
        """What training makes smaller, of the values at all times, whatever their array's library."""
        return (y**2).mean()


def flat(answer: Any) -> Tensor:
    """What a contestant found, an array or a sequence of them, as one vector."""
    parts = answer if isinstance(answer, (list, tuple)) else [answer]
    tensors = [part if isinstance(part, Tensor) else torch.from_numpy(np.array(part)) for part in parts]
    return torch.cat([tensor.detach().double().reshape(-1) for tensor in tensors])


def relative_error(found: Any, expected: Any) -> float:
    """The largest error of a component, relative to the largest component."""
    true = flat(expected)
    return ((flat(found) - true).abs().max() / true.abs().max()).item()


def problem_cases(*, quick: bool) -> list[Case]:
    """The small systems whose end values are known."""
    known = {problem.name: problem for problem in (*NONSTIFF, *STIFF, brusselator(16 if quick else 32))}
    sides = {
        "Lotka-Volterra": arrays.lotka_volterra,
        "Lorenz": arrays.lorenz,
        "ROBER": arrays.rober,
        "HIRES": arrays.hires,
        "Brusselator": arrays.brusselator,
    }
    rtol = QUICK_RTOL if quick else RTOL
    return [
        of_problem(problem, side, rtol)
        for start, side in sides.items()
        for name, problem in known.items()
        if name.startswith(start)
    ]


def of_problem(problem: Problem, side: Callable[..., Any], rtol: float) -> Case:
    return Case(
        name=problem.name,
        kind="forward",
        func=problem.f,
        side=side,
        y0=problem.start(),
        t=torch.linspace(0.0, problem.t_end, TIMES, dtype=torch.float64),
        rtol=rtol,
        atol=problem.atol_at(rtol),
        stiff=problem.stiff,
        error=lambda answer: problem.error(flat(answer)),
    )


def span_cases(cases: Sequence[Case], *, quick: bool) -> list[Case]:
    """Each of some problems over a short and a long time, with its end kept: what a call costs, and what a step."""
    return [
        replace(
            case,
            name=span_name(case.name, t_end),
            t=torch.tensor([0.0, t_end], dtype=torch.float64),
            error=None,
            only=LANES,
        )
        for case in cases
        if case.name in SPANS
        for t_end in spans(case.name, quick=quick)
    ]


def spans(name: str, *, quick: bool) -> tuple[float, float]:
    """The end of the short and of the long span of time."""
    short, long = SPANS[name]
    return short, long / 10 if quick and name != "ROBER" else long


def span_name(name: str, t_end: float) -> str:
    return f"{name} to t = {t_end:g}"
