"""A solve from event to event, whose conditions and effects Julia calls as it does the dynamics."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyode_bridge.engines.julia.forward import Report
from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance, type_name
from pyode_bridge.problem.checks import not_finite
from pyode_bridge.problem.forms import Hybrid

# What Julia's half returns in the place of a return code.
NOT_FOLLOWED = "NotFollowed"  # the solver is none whose steps may be cut
TOO_MANY = "MaxEvents"
NO_NUMBERS = "NoNumbers"  # of the conditions


class FollowRequest(NamedTuple):
    """What `follow` takes, in its order; arrays and functions by their addresses."""

    equation: Any
    type_name: str
    y0: Any
    size: int
    t: Any
    times: int
    ys: Any
    last: int
    algorithm: Any
    atol: float | list[float]
    rtol: float | list[float]
    control: Any


class Found(NamedTuple):
    """What came of it: values at the times, shape ``(T, n)``, the report, and what happened.

    Attributes:
        s: when each event happened, in the solver's time, shape ``(K,)``.
        indices: which.
        by_time: whether time alone made it happen, 1 or 0.
        states: before, at and after each, shape ``(K, 3, n)``.
    """

    ys: Tensor
    report: Report
    s: Tensor
    indices: Tensor
    by_time: Tensor
    states: Tensor


def follow(bridge: Any, plan: Plan, hybrid: Hybrid) -> Found:
    """Solve; raises what the dynamics raised, and not for a solve that ends early."""
    problem = plan.problem
    y0, t = problem.y0.contiguous(), problem.t.contiguous()
    ys = torch.empty(len(t), len(y0), dtype=y0.dtype)
    request = FollowRequest(
        equation=plan.equation,
        type_name=type_name(y0),
        y0=bridge.reads(y0),
        size=len(y0),
        t=bridge.reads(t),
        times=len(t),
        ys=bridge.writes(ys),
        last=0 if hybrid.last is None else 1 + hybrid.last,
        algorithm=plan.algorithm,
        atol=julia_tolerance(problem.tolerances.atol),
        rtol=julia_tolerance(problem.tolerances.rtol),
        control=plan.control,
    )
    with plan.callbacks.raised(), julia_errors(problem.method):
        followed, count, passed, *report = bridge.follow(*request)
        if report[0] == NO_NUMBERS:
            values = y0.new_empty(len(hybrid.ends))
            bridge.write_conditions(followed, bridge.writes(values))
            raise not_finite(values.tolist(), problem.dynamics.direction.user_time(report[1]))
        s, indices, by_time = (torch.empty(count, dtype=dtype) for dtype in (torch.float64, torch.int64, torch.int64))
        states = y0.new_empty(count, 3, len(y0))
        bridge.write_events(followed, *map(bridge.writes, (s, indices, by_time, states)))
    return Found(ys[:passed], Report(*report), s, indices, by_time, states)
