"""Implicit Runge-Kutta steps: equations of the stages, by Newton's method with torch's Jacobian.

Hairer & Wanner, "Solving Ordinary Differential Equations II", IV.8. Where autograd records, one more iteration of it is
recorded: its derivative is that of the solution, by the implicit function theorem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.stages import combined, side, stage_time
from pyode_bridge.engines.embedded.steps import Ended
from pyode_bridge.engines.embedded.torchdiffeqs import Heard, beside
from pyode_bridge.problem.schemes import Tableau

MAX_ITERATIONS = 50
ROUNDINGS = 8  # of the state: an iteration that changes it by no more is the last
STAGNATION = 0.75  # power of the precision, below which iterations that do not help are rounding errors


def implicit(
    tableau: Tableau, problem: InitialValueProblem, work: Work, func: Heard
) -> Callable[[float, Tensor, float], tuple[Tensor, Tensor | None]]:
    """Steps by a method some of whose stages need themselves, or one another."""
    size = len(tableau.b)
    diagonally = not any(any(row[i + 1 :]) for i, row in enumerate(tableau.a))
    blocks = [range(i, i + 1) for i in range(size)] if diagonally else [range(size)]

    def advance(t0: float, y0: Tensor, t1: float) -> tuple[Tensor, Tensor | None]:
        slopes: list[Tensor] = []
        for block in blocks:
            slopes += _Stages(tableau, block, problem, work, func, t0, y0, t1).slopes(slopes)
        starts = slopes[0] if not any(tableau.a[0]) else None
        return combined(y0, t1 - t0, tableau.b, slopes), starts

    return advance


@dataclass(frozen=True)
class _Stages:
    """Stages of a step from ``t0`` to ``t1`` that are solved for together."""

    tableau: Tableau
    block: range
    problem: InitialValueProblem
    work: Work
    func: Heard
    t0: float
    y0: Tensor
    t1: float

    def slopes(self, before: Sequence[Tensor]) -> list[Tensor]:
        """Their slopes, from those of the stages before."""
        h, rows = self.t1 - self.t0, [self.tableau.a[i] for i in self.block]
        bases = torch.stack([combined(self.y0, h, row, before) for row in rows])
        weights = h * self.y0.new_tensor([[row[j] for j in self.block] for row in rows])
        if not weights.any():
            return list(self._evaluated(bases))
        with torch.no_grad():
            guess = before[-1] if before else self.func(self._beside(self.t0, 0.0), self.y0)
            found, matrix = self._solved(bases, weights, guess.expand_as(bases))
        if torch.is_grad_enabled():
            found = found - _correction(matrix, found - self._evaluated(bases + weights @ found))
        return list(found)

    def _solved(self, bases: Tensor, weights: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """The slopes, and the matrix of the last iteration."""
        precision, previous = torch.finfo(bases.dtype).eps, float("inf")
        for _ in range(self.problem.options.max_iters or MAX_ITERATIONS):
            states = bases + weights @ slopes
            matrix = self._matrix(states, weights)
            correction = _correction(matrix, slopes - self._evaluated(states))
            slopes = slopes - correction
            scale = max(states.abs().max().item(), torch.finfo(bases.dtype).tiny)
            change = (weights @ correction).abs().max().item() / scale
            if change <= ROUNDINGS * precision or previous / 2 <= change <= precision**STAGNATION:
                return slopes, matrix
            previous = change
        raise Ended("ConvergenceFailure")

    def _evaluated(self, states: Tensor) -> Tensor:
        return torch.stack([self.func(time, state) for time, state in zip(self._times, states, strict=True)])

    def _matrix(self, states: Tensor, weights: Tensor) -> Tensor:
        """Of Newton's method: the identity less the products of weights and Jacobians."""
        jacobians = [self.problem.newton(time, state) for time, state in zip(self._times, states, strict=True)]
        self.work.njac += len(jacobians)
        rows = zip(weights, jacobians, strict=True)
        product = torch.cat([torch.kron(row[None], jacobian) for row, jacobian in rows])
        return torch.eye(len(product), dtype=product.dtype) - product

    @property
    def _times(self) -> list[float]:
        nodes = [self.tableau.c[i] for i in self.block]
        return [self._beside(stage_time(node, self.t0, self.t1), node) for node in nodes]

    def _beside(self, time: float, node: float) -> float:
        return beside(time, self.y0.dtype, side(node, perturb=self.problem.options.perturb))


def _correction(matrix: Tensor, residuals: Tensor) -> Tensor:
    """What to take from the slopes; the matrix speaks of the first components alone, on others nothing depends."""
    size = len(matrix) // len(residuals)
    solved, singular = torch.linalg.solve_ex(matrix, residuals[:, :size].reshape(-1))
    if singular.item():
        raise Ended("ConvergenceFailure")
    return torch.cat([solved.view(len(residuals), size), residuals[:, size:]], dim=1)
