"""A trial run, ``python -m pyode_bridge.cli.doctor.trial [ENGINE]``: one solve with its gradient, timed, twice."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import torch

from pyode_bridge.engines import select_engine
from pyode_bridge.equations.odeint import solve
from pyode_bridge.problem.settings import EngineName

RATE, START = 0.5, 2.0
ACCURACY = 1e-6


def attempt(engine: EngineName) -> dict[str, float | str]:
    """Seconds that the start of the engine and two solves of ``y' = -k y`` take, and the algorithm that ran.

    Raises:
        ArithmeticError: the value or a gradient is not the closed form's.
    """
    begin = time.perf_counter()
    select_engine(engine)
    start = time.perf_counter() - begin
    first, algorithm = _solve(engine)
    second, _ = _solve(engine)
    return {"start": start, "first": first, "second": second, "algorithm": algorithm}


def _solve(engine: EngineName) -> tuple[float, str]:
    rate = torch.tensor([RATE], dtype=torch.float64, requires_grad=True)
    y0 = torch.tensor([START], dtype=torch.float64, requires_grad=True)
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    method = "Tsit5" if engine == "julia" else "DP5"
    begin = time.perf_counter()
    solution = solve(lambda _t, y: -rate * y, y0, times, rtol=1e-9, atol=1e-11, method=method, engine=engine)
    assert isinstance(solution.y, torch.Tensor)
    end = solution.y[-1, 0]
    end.backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - begin
    decay = math.exp(-RATE)
    assert y0.grad is not None
    assert rate.grad is not None
    found = {"y(1)": end.item(), "dy(1)/dy0": y0.grad.item(), "dy(1)/dk": rate.grad.item()}
    expected = {"y(1)": START * decay, "dy(1)/dy0": decay, "dy(1)/dk": -START * decay}
    for name, value in found.items():
        if not abs(value - expected[name]) <= ACCURACY:
            raise ArithmeticError(f"{name} of y' = -k y is {value}, expected {expected[name]}.")
    return seconds, solution.algorithm


if __name__ == "__main__":
    named: Any = sys.argv[1] if len(sys.argv) > 1 else "julia"
    print(json.dumps(attempt(named)))
