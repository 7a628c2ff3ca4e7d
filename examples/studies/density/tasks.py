"""The densities of the study: potentials to match, and samples to give a high likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.models import FlowDistribution

MEASURED = 10_000  # samples behind a reported KL divergence or likelihood of a toy density
WALL = 4.0  # U2 to U4 do not decay in z1, so beyond this they are given a wall
BOX = 6.0  # half-width of the square that holds the toy densities' mass
GRID = 1201  # points a side of the grid that normalises a potential
FAR = 7.0  # half-width of the square over which a learnt density is integrated, tails and all
SIDE = 281  # points a side of the grid for that
COLUMNS = (0, 1, 4, 5, 8, 9)  # mean radius, texture, smoothness, compactness, symmetry, fractal dimension


@dataclass(frozen=True)
class Matching:
    """Minimise KL(q ‖ p) for ``p`` proportional to ``exp(-potential)``: the loss needs samples of ``q`` alone."""

    name: str
    potential: Callable[[Tensor], Tensor]
    dim: int = 2
    validation = None  # no samples are given, so there are none to learn by heart
    measure = "KL"

    def loss(self, flow: FlowDistribution, batch: int, temper: float) -> Tensor:
        """``E_q[log q + temper U]``; a ``temper`` below 1 flattens the target (Rezende & Mohamed 2015, eq. 20)."""
        x, log_q = flow.rsample_and_log_prob((batch,))
        return (log_q + temper * self.potential(x)).mean()

    def score(self, flow: FlowDistribution) -> float:
        """The KL divergence in nats, from fresh samples."""
        with torch.no_grad():
            x, log_q = flow.rsample_and_log_prob((MEASURED,))
            return (log_q + self.potential(x)).mean().item() + self.log_normaliser()

    def log_normaliser(self) -> float:
        """``log ∫ exp(-U)``, by the trapezoidal rule, which is exact to rounding for smooth decaying integrands."""
        points, area = plane_grid(GRID)
        return (-self.potential(points)).logsumexp(0).item() + math.log(area)

    def log_density(self, points: Tensor) -> Tensor:
        """``log p``."""
        return -self.potential(points) - self.log_normaliser()


@dataclass(frozen=True)
class Likelihood:
    """Maximise the likelihood of samples; measured as the mean negative log likelihood of held-out ones.

    Where training samples are few, ``validation`` are others, whose likelihood says when to stop.
    """

    name: str
    draw: Callable[[int], Tensor]  # training samples
    held_out: Tensor
    dim: int = 2
    validation: Tensor | None = None
    measure = "NLL"

    def loss(self, flow: FlowDistribution, batch: int, temper: float) -> Tensor:
        """The mean negative log likelihood of a batch."""
        return -flow.log_prob(self.draw(batch)).mean()

    def score(self, flow: FlowDistribution) -> float:
        """The same of the held-out samples, in nats."""
        return mean_nll(flow, self.held_out)


Task = Matching | Likelihood


def mean_nll(flow: FlowDistribution, samples: Tensor) -> float:
    """The mean negative log likelihood of samples, in nats."""
    with torch.no_grad():
        return -flow.log_prob(samples).mean().item()


def plane_grid(side: int, box: float = BOX) -> tuple[Tensor, float]:
    """Points of a square grid, shape ``(side², 2)``, float64, row by row, and the area that each stands for."""
    axis = torch.linspace(-box, box, side, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    return points, (axis[1] - axis[0]).item() ** 2


def plane_integral(flow: FlowDistribution, side: int = SIDE, box: float = FAR) -> float:
    """The integral of a flow's density by the trapezoidal rule: 1 if its log determinants are right."""
    points, area = plane_grid(side, box)
    dtype = next(flow.flow.parameters()).dtype
    with torch.no_grad():
        return (flow.log_prob(points.to(dtype)).double().exp().sum() * area).item()


# The potentials of Rezende & Mohamed 2015, table 1.


def _w1(z: Tensor) -> Tensor:
    return torch.sin(2 * math.pi * z[..., 0] / 4)


def _w2(z: Tensor) -> Tensor:
    return 3 * torch.exp(-0.5 * ((z[..., 0] - 1) / 0.6) ** 2)


def _w3(z: Tensor) -> Tensor:
    return 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)


def _wall(z: Tensor) -> Tensor:
    return 0.5 * (torch.relu(z[..., 0].abs() - WALL) / 0.4) ** 2


def u1(z: Tensor) -> Tensor:
    ring = 0.5 * ((z.norm(dim=-1) - 2) / 0.4) ** 2
    return ring - torch.logaddexp(-0.5 * ((z[..., 0] - 2) / 0.6) ** 2, -0.5 * ((z[..., 0] + 2) / 0.6) ** 2)


def u2(z: Tensor) -> Tensor:
    return 0.5 * ((z[..., 1] - _w1(z)) / 0.4) ** 2 + _wall(z)


def u3(z: Tensor) -> Tensor:
    first, second = (z[..., 1] - _w1(z)) / 0.35, (z[..., 1] - _w1(z) + _w2(z)) / 0.35
    return _wall(z) - torch.logaddexp(-0.5 * first**2, -0.5 * second**2)


def u4(z: Tensor) -> Tensor:
    first, second = (z[..., 1] - _w1(z)) / 0.4, (z[..., 1] - _w1(z) + _w3(z)) / 0.35
    return _wall(z) - torch.logaddexp(-0.5 * first**2, -0.5 * second**2)


def circles(count: int) -> Tensor:
    """Two circles of radii 3 and 1.5 about the origin, with noise."""
    angle = 2 * math.pi * torch.rand(count)
    radius = torch.where(torch.rand(count) < 0.5, 3.0, 1.5)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1) + 0.24 * torch.randn(count, 2)


def moons(count: int) -> Tensor:
    """Two half circles that reach into each other, with noise."""
    angle = math.pi * torch.rand(count)
    upper = torch.stack([angle.cos(), angle.sin()], -1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], -1)
    place = torch.where(torch.rand(count, 1) < 0.5, upper, lower) - torch.tensor([0.5, 0.25])
    return 2 * place + 0.2 * torch.randn(count, 2)


def toy(name: str, draw: Callable[[int], Tensor]) -> Likelihood:
    """A task whose training samples are always fresh."""
    with torch.random.fork_rng():
        torch.manual_seed(1)  # the same held-out samples for every model and seed
        return Likelihood(name, draw, draw(MEASURED))


def tumours() -> Likelihood:
    """Six measurements of 569 breast tumours (Wisconsin diagnostic data, in scikit-learn).

    A fifth is held out, and another one for validation.
    """
    from sklearn.datasets import load_breast_cancer

    rows = torch.tensor(load_breast_cancer().data[:, COLUMNS], dtype=torch.float32)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))]
    fifth = len(rows) // 5
    mean, scale = rows[2 * fifth :].mean(0), rows[2 * fifth :].std(0)
    held_out, validation, train = ((rows - mean) / scale).split([fifth, fifth, len(rows) - 2 * fifth])

    def draw(count: int) -> Tensor:
        return train[torch.randint(len(train), (count,))]

    return Likelihood("tumours", draw, held_out, len(COLUMNS), validation)


TASKS: dict[str, Callable[[], Task]] = {
    "u1": lambda: Matching("u1", u1),
    "u2": lambda: Matching("u2", u2),
    "u3": lambda: Matching("u3", u3),
    "u4": lambda: Matching("u4", u4),
    "circles": lambda: toy("circles", circles),
    "moons": lambda: toy("moons", moons),
    "tumours": tumours,
}
