"""Initial value problems with known solutions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

DOUBLE = torch.float64


class Linear(nn.Module):
    """``dy/dt = A y``; the solution is ``exp(A (t - t0)) y0``, and torch differentiates the matrix exponential."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix.clone())

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return y @ self.matrix.mT

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        return torch.stack([y0 @ torch.linalg.matrix_exp(self.matrix * (time - t[0])).mT for time in t])


class Logistic(nn.Module):
    """``dy/dt = r y (1 - y / k)``, solved in closed form (Verhulst 1838)."""

    def __init__(self, rate: float = 1.7, capacity: float = 2.5) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(rate, dtype=DOUBLE))
        self.capacity = nn.Parameter(torch.tensor(capacity, dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * y * (1 - y / self.capacity)

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        growth = torch.exp(self.rate * (t - t[0])).reshape(-1, *[1] * y0.ndim)
        return self.capacity * y0 * growth / (self.capacity + y0 * (growth - 1))


class Driven(nn.Module):
    """``dy/dt = -a (y - sin t) + cos t``, which depends on time and has the solution ``sin t + c exp(-a t)``."""

    def __init__(self, rate: float = 3.0) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(rate, dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.rate * (y - torch.sin(t)) + torch.cos(t)

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        shape = (-1, *[1] * y0.ndim)
        decay = torch.exp(-self.rate * (t - t[0])).reshape(shape)
        return torch.sin(t).reshape(shape) + (y0 - torch.sin(t[0])) * decay


def robertson(t: Tensor, y: Tensor) -> Tensor:
    """ROBER of the Test Set for IVP Solvers (Mazzia & Magherini): three reactions with rates from 0.04 to 3e7."""
    slow = 0.04 * y[0] - 1e4 * y[1] * y[2]
    fast = 3e7 * y[1] ** 2
    return torch.stack([-slow, slow - fast, fast])


@dataclass(frozen=True)
class Reference:
    y0: tuple[float, ...]
    t_end: float
    y_end: tuple[float, ...]


# Published at t = 1e11 by the Test Set for IVP Solvers, University of Bari.
ROBERTSON = Reference((1.0, 0.0, 0.0), 1e11, (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050))

SPIRAL = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=DOUBLE)
