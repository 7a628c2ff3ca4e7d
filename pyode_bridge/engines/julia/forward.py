"""The forward solve of one problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance, type_name
from pyode_bridge.problem.problem import SolverStats


class SolveRequest(NamedTuple):
    """What `solve_and_report` takes, in its order; arrays by their addresses."""

    equation: Any
    type_name: str
    y0: Any
    size: int
    parameter_size: int
    t: Any
    times: int
    ys: Any
    algorithm: Any
    atol: float | list[float]
    rtol: float | list[float]
    control: Any
    sensealg: Any
    dense: bool


class Report(NamedTuple):
    """How a solve ended; counts are negative for a solver that counts nothing, and some count their steps alone."""

    retcode: str
    s: float
    nfe: int
    njac: int
    accepted: int
    rejected: int

    def stats(self, evaluated: int, seconds: float) -> SolverStats:
        """What the solver counted; for evaluations that it does not count, those that arrived here."""
        if self.nfe < 0:
            return SolverStats(evaluated, compile_seconds=seconds)
        nfe = evaluated if self.nfe == 0 else self.nfe
        return SolverStats(nfe, self.njac, self.accepted, self.rejected, seconds)


@dataclass(slots=True)
class Solved:
    """What came of a solve: Julia's solution, the values at the times, shape ``(T, n)``, and the report."""

    julia: Any
    ys: Tensor
    report: Report


def solve(bridge: Any, plan: Plan) -> Solved:
    """Solve; raises what the dynamics raised, and not for a solve that ends early."""
    problem, backward = plan.problem, plan.backward
    y0, t = problem.y0.contiguous(), problem.t.contiguous()
    n, times = y0.numel(), t.numel()
    ys = torch.empty(times, n, dtype=y0.dtype)
    request = SolveRequest(
        equation=plan.equation,
        type_name=type_name(y0),
        y0=bridge.reads(y0),
        size=n,
        parameter_size=0 if backward is None else problem.dynamics.parameter_size,
        t=bridge.reads(t),
        times=times,
        ys=bridge.writes(ys),
        algorithm=plan.algorithm,
        atol=julia_tolerance(problem.tolerances.atol),
        rtol=julia_tolerance(problem.tolerances.rtol),
        control=plan.control,
        sensealg=None if backward is None else backward.sensealg,
        dense=problem.dense,
    )
    with plan.callbacks.raised(), julia_errors(problem.method):
        solved, *report = bridge.solve_and_report(*request)
    return Solved(solved, ys, Report(*report))
