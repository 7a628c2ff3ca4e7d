"""A solve that looks for when something happens, and keeps no values."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance, type_name
from pyode_bridge.problem.problem import LOOKS, Happened


class LocateRequest(NamedTuple):
    """What `locate` takes, in its order; arrays and functions by their addresses."""

    equation: Any
    type_name: str
    y0: Any
    size: int
    start: float
    end: float
    happened: int
    looks: int
    algorithm: Any
    atol: float | list[float]
    rtol: float | list[float]
    control: Any


class Ended(NamedTuple):
    """When a solve ended, and how."""

    s: float
    retcode: str


def locate(bridge: Any, plan: Plan, happened: Happened) -> Ended:
    """Solve until something has happened, or to the end; raises what it raised, or the dynamics."""
    problem = plan.problem
    y0 = problem.y0.contiguous()
    request = LocateRequest(
        equation=plan.equation,
        type_name=type_name(y0),
        y0=bridge.reads(y0),
        size=len(y0),
        start=problem.t[0].item(),
        end=problem.t[-1].item(),
        happened=plan.callbacks.question(happened),
        looks=LOOKS,
        algorithm=plan.algorithm,
        atol=julia_tolerance(problem.tolerances.atol),
        rtol=julia_tolerance(problem.tolerances.rtol),
        control=plan.control,
    )
    with plan.callbacks.raised(), julia_errors(problem.method):
        return Ended(*bridge.locate(*request))
