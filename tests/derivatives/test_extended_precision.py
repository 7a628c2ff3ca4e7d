"""Gradients beside differences of solutions in extended precision, which no rounding spoils.

mpmath's Taylor series solve with 25 digits; a central difference over 1e-8 is then exact to about sixteen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

import pyode_bridge as pb

DIGITS, STEP = 25, 8
END = 0.5
TIGHT = {"rtol": 1e-11, "atol": 1e-11}


class Problem:
    """``rates(y, p)`` over numbers of any kind, from a start, with parameters."""

    def __init__(
        self, rates: Callable[[Sequence[Any], Sequence[Any]], list[Any]], y0: Sequence[float], p: Sequence[float]
    ) -> None:
        self.rates, self.y0, self.p = rates, y0, p


def predators(y: Sequence[Any], p: Sequence[Any]) -> list[Any]:
    return [y[0] * (p[0] - p[1] * y[1]), y[1] * (p[2] * y[0] - p[3])]


def reaction(y: Sequence[Any], p: Sequence[Any]) -> list[Any]:
    slow, back, fast = p[0] * y[0], p[1] * y[1] * y[2], p[2] * y[1] * y[1]
    return [back - slow, slow - back - fast, fast]


def swing(y: Sequence[Any], p: Sequence[Any]) -> list[Any]:
    return [y[1], p[0] * (1 - y[0] * y[0]) * y[1] - p[1] * y[0]]


PROBLEMS = {
    "Lotka-Volterra": Problem(predators, [1.0, 0.8], [1.5, 1.0, 1.25, 3.0]),
    "Robertson's, slower": Problem(reaction, [1.0, 0.0, 0.0], [0.5, 4.0, 8.0]),
    "Van der Pol": Problem(swing, [2.0, 0.0], [3.0, 1.0]),
}


def loss(y: Sequence[Any]) -> Any:
    return sum((index + 1) * value * value for index, value in enumerate(y))


def differences(problem: Problem) -> list[float]:
    """The derivatives of the loss by the components of the start, and by the parameters."""
    with mpmath.workdps(DIGITS):
        inputs, h = [mpmath.mpf(value) for value in (*problem.y0, *problem.p)], mpmath.mpf(10) ** -STEP
        n = len(problem.y0)

        def at(values: Sequence[Any]) -> Any:
            solution = mpmath.odefun(lambda t, y: problem.rates(y, values[n:]), 0, values[:n])
            return loss(solution(END))

        def moved(index: int, by: Any) -> Any:
            return at([value + by * (index == other) for other, value in enumerate(inputs)])

        return [float((moved(index, h) - moved(index, -h)) / (2 * h)) for index in range(len(inputs))]


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_are_those_of_extended_precision(engine: str, name: str) -> None:
    problem = PROBLEMS[name]
    expected = torch.tensor(differences(problem), dtype=torch.float64)
    y0, p = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in (problem.y0, problem.p))

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack(problem.rates(y.unbind(), p.unbind()))

    t = torch.tensor([0.0, END], dtype=torch.float64)
    for method in {"embedded": ("DP8",), "julia": ("Vern9", "Rodas5P")}[engine]:
        end = pb.odeint(func, y0, t, method=method, engine=engine, **TIGHT)[-1]
        found = torch.cat(torch.autograd.grad(loss(end.unbind()), (y0, p)))
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
