"""An initial value problem whose solution at the end is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """``dy/dt = f(t, y)`` from ``y0`` at time 0, in float64.

    Attributes:
        name: what it is called in tables.
        f: maps a scalar tensor and a state of shape ``(n,)`` to the derivative, ``(n,)``.
        y0: the state at time 0.
        t_end: the time at which the solution is known.
        y_end: the solution there, which comes from none of the solvers that are compared by it.
        atol: the absolute tolerance that suits the sizes of its components, at a relative tolerance of 1e-8.
        stiff: whether explicit solvers have a hard time.
        origin: where ``y_end`` comes from.
        invariant: maps states ``(..., n)`` to a quantity that the exact solution keeps, ``(...)``, if there is one.
        acceleration: of positions, the first half of the state; the other half are velocities. None for a problem that
            is not of second order.
    """

    name: str
    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t_end: float
    y_end: tuple[float, ...]
    atol: float
    stiff: bool
    origin: str
    invariant: Callable[[Tensor], Tensor] | None = None
    acceleration: Callable[[Tensor], Tensor] | None = None

    def start(self) -> Tensor:
        """``y0`` as a tensor."""
        return torch.tensor(self.y0, dtype=torch.float64)

    def times(self) -> Tensor:
        """The start and the end, shape ``(2,)``."""
        return torch.tensor([0.0, self.t_end], dtype=torch.float64)

    def atol_at(self, rtol: float) -> float:
        """The absolute tolerance that goes with a relative one."""
        return self.atol * rtol / 1e-8

    def error(self, y: Tensor) -> float:
        """The largest relative error of a component of ``y``, a state at ``t_end``.

        A component that is zero at the end counts relative to the largest one.
        """
        expected = torch.tensor(self.y_end, dtype=torch.float64)
        scale = torch.where(expected == 0, expected.abs().max(), expected.abs())
        return ((y - expected).abs() / scale).max().item()
