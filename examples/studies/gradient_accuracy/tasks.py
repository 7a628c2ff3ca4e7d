"""What gradient_accuracy.py differentiates, with expected gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from examples.support.gradient_tasks import Gradients, LotkaVolterra, Robertson, distance, forward_sensitivities
from examples.support.gradient_tasks import Task as Squares


class Task(Squares):
    """The loss is the sum of the weighted state at all times but the first."""

    def loss(self, y: Tensor) -> Tensor:
        """Of values at the times, ``(T, n)``."""
        return (self.weights * y[1:]).sum()


class Kepler(nn.Module):
    """A planet about its sun: position and velocity in the plane."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = nn.Parameter(torch.tensor([1.0]))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        q, v = y[:2], y[2:]
        return torch.cat([v, -self.mass * q / (q @ q) ** 1.5])


class VanDerPol(nn.Module):
    """An oscillator with a stiff restoring force."""

    def __init__(self) -> None:
        super().__init__()
        self.log_mu = nn.Parameter(torch.tensor([1000.0]).log())

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([y[1], self.log_mu.exp()[0] * (1 - y[0] ** 2) * y[1] - y[0]])


class Oregonator(nn.Module):
    """Field's and Noyes' model of the Belousov-Zhabotinskii reaction."""

    def __init__(self) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(torch.tensor([77.27, 0.161, 8.375e-6]).log())

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        s, w, q = self.log_rates.exp()
        y1, y2, y3 = y
        return torch.stack([s * (y2 + y1 * (1 - q * y1 - y2)), (y3 - (1 + y1) * y2) / s, w * (y1 - y3)])


class Driven(nn.Module):
    """A relaxation that a fast and small force drives."""

    def __init__(self) -> None:
        super().__init__()
        self.force = nn.Parameter(torch.tensor([1e-3, 2e-3]))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -0.1 * y + self.force[0] * torch.sin(60 * t) + self.force[1] * torch.cos(200 * t)


def tasks() -> list[Task]:
    """All of them, in float64, which must be torch's default type."""
    plain = torch.linspace(0, 5, 11)
    return [
        Task("Lotka-Volterra", LotkaVolterra(), torch.ones(2), plain, torch.tensor([1.0, -0.5])),
        Task("driven", Driven(), torch.ones(1), torch.tensor([0.0, 4.0, 10.0]), torch.ones(1), scale=1e-2),
        Task("Kepler", Kepler(), torch.tensor([0.6, 0.0, 0.0, 1.5]), plain, torch.tensor([1.0, 0.5, -1.0, 0.3])),
        Task(
            *("Van der Pol", VanDerPol(), torch.tensor([2.0, 0.0])),
            t=torch.tensor([0.0, 100.0, 300.0, 500.0]),
            weights=torch.tensor([1.0, 1e3]),
            scale=1e-3,
            stiff=True,
        ),
        Task(
            *("Robertson", Robertson(), torch.tensor([1.0, 0.0, 0.0])),
            t=torch.cat([torch.zeros(1), torch.logspace(-1, 2, 4)]),
            weights=torch.tensor([1.0, 1e4, 1.0]),
            scale=1e-6,
            stiff=True,
        ),
        Task(
            *("Oregonator", Oregonator(), torch.tensor([1.0, 2.0, 3.0])),
            t=torch.tensor([0.0, 5.0, 20.0, 30.0]),
            weights=torch.tensor([1e-5, 1e-3, 1e-4]),
            scale=1e-3,
            stiff=True,
        ),
    ]


def reference(task: Task) -> tuple[Gradients, float]:
    """The gradients by SciPy's forward sensitivities, or in closed form, and how far two ways to them differ."""
    if isinstance(task.model, Driven):
        return closed_form(task), 0.0
    first, second = ("Radau", "BDF") if task.stiff else ("DOP853", "LSODA")
    expected = forward_sensitivities(task, first)
    return expected, distance(forward_sensitivities(task, second), expected)


def closed_form(task: Task) -> Gradients:
    """Of the driven system, where ``dy/dk`` is the integral of ``exp(-a (t - s)) exp(i w s)``, or a part of it."""
    a, t = 0.1, task.t[1:]

    def response(w: float) -> Tensor:
        return ((torch.exp(1j * w * t) - torch.exp(-a * t)) / (a + 1j * w)).sum()

    return Gradients(torch.exp(-a * t).sum().reshape(1), torch.stack([response(60.0).imag, response(200.0).real]))
