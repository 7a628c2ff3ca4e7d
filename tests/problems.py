"""Initial value problems with known solutions."""

from __future__ import annotations

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


class Coupled(nn.Module):
    """Four non-linear equations that depend on time, with a solution in closed form; ``y`` has shape ``(4,)``.

    ``y1' = 2 t y2^(1/5) y4``, ``y2' = 10 t exp(5 (y3 - 1)) y4``, ``y3' = 2 t y4``, ``y4' = -2 t log(y1)``; from
    ``(1, 1, 1, 1)`` at time 0: ``exp(sin t^2)``, ``exp(5 sin t^2)``, ``1 + sin t^2``, ``cos t^2``.
    """

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        y1, y2, y3, y4 = y
        return 2 * t * torch.stack([y2**0.2 * y4, 5 * torch.exp(5 * (y3 - 1)) * y4, y4, -torch.log(y1)])

    def exact(self, t: Tensor) -> Tensor:
        sine, cosine = torch.sin(t**2), torch.cos(t**2)
        return torch.stack([torch.exp(sine), torch.exp(5 * sine), 1 + sine, cosine], dim=-1)


class Robertson(nn.Module):
    """Robertson's stiff reaction (1966), from ``(1, 0, 0)``; the logarithms of its rate constants are parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(torch.tensor([0.04, 3e7, 1e4], dtype=DOUBLE).log())

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        a, b, c = y
        first, second, third = self.log_rates.exp() * torch.stack([a, b * b, b * c])
        return torch.stack([third - first, first - second - third, second])


SPIRAL = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=DOUBLE)


def two_processes_each(y: Tensor, first: float, second: float) -> Tensor:
    """General noise in proportion to the components of `y`, each of which has two Wiener processes of its own."""
    own = torch.arange(len(y))
    values = y.new_zeros(len(y), 2 * len(y))
    values[own, 2 * own], values[own, 2 * own + 1] = first * y, second * y
    return values
