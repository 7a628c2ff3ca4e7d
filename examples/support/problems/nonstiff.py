"""Non-stiff problems: with a closed form, with published end values, or with computed ones (`references.py`)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .problem import Problem
from .references import ORIGIN, stored


def lotka_volterra(_t: Tensor, y: Tensor) -> Tensor:
    prey, predators = y
    return torch.stack([1.5 * prey - prey * predators, prey * predators - 3 * predators])


def lorenz(_t: Tensor, y: Tensor) -> Tensor:
    """Lorenz (1963), "Deterministic nonperiodic flow"."""
    x, y, z = y
    return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


MASSES = torch.arange(1, 8, dtype=torch.float64)


def pleiades(_t: Tensor, y: Tensor) -> Tensor:
    """Seven stars in the plane (Hairer, Nørsett & Wanner, "Solving ODEs I", section II.10): x, y, and velocities."""
    return torch.cat([y[14:], pleiades_pulls(y[:14])])


def pleiades_pulls(q: Tensor) -> Tensor:
    """The acceleration of each star."""
    places = q.reshape(2, 7)
    gaps = places[:, None, :] - places[:, :, None]  # gaps[:, i, j] leads from star i to star j
    squares = gaps.square().sum(0) + torch.eye(7, dtype=q.dtype)  # a star does not pull itself: its gap is zero
    return (MASSES * gaps / squares**1.5).sum(-1).reshape(14)


PLEIADES_START = (
    *(3.0, 3.0, -1.0, -3.0, 2.0, -2.0, 2.0),
    *(3.0, -3.0, 2.0, 0.0, 0.0, -4.0, 4.0),
    *(0.0, 0.0, 0.0, 0.0, 0.0, 1.75, -1.5),
    *(0.0, 0.0, 0.0, -1.25, 1.0, 0.0, 0.0),
)
PLEIADES_END = (
    *(0.3706139143970502, 0.3237284092057233e1, -0.3222559032418324e1, 0.6597091455775310),
    *(0.3425581707156584, 0.1562172101400631e1, -0.7003092922212495),
    *(-0.3943437585517392e1, -0.3271380973972550e1, 0.5225081843456543e1, -0.2590612434977470e1),
    *(0.1198213693392275e1, -0.2429682344935824, 0.1091449240428980e1),
    *(0.3417003806314313e1, 0.1354584501625501e1, -0.2590065597810775e1, 0.2025053734714242e1),
    *(-0.1155815100160448e1, -0.8072988170223021, 0.5952396354208710),
    *(-0.3741244961234010e1, 0.3773459685750630, 0.9386858869551073, 0.3667922227200571),
    *(-0.3474046353808490, 0.2344915448180937e1, -0.1947020434263292e1),
)


def kepler(_t: Tensor, y: Tensor) -> Tensor:
    """The two-body problem in the plane: place and velocity."""
    return torch.cat([y[2:], kepler_pull(y[:2])])


def kepler_pull(q: Tensor) -> Tensor:
    return -q / q.square().sum() ** 1.5


def kepler_energy(y: Tensor) -> Tensor:
    return y[..., 2:].square().sum(-1) / 2 - 1 / y[..., :2].square().sum(-1).sqrt()


ECCENTRICITY = 0.5
KEPLER_START = (1 - ECCENTRICITY, 0.0, 0.0, math.sqrt((1 + ECCENTRICITY) / (1 - ECCENTRICITY)))
PERIOD = 2 * math.pi  # of an orbit whose semi-major axis is 1

KEPLER = Problem(
    *("Kepler", kepler, KEPLER_START, PERIOD, KEPLER_START, 1e-8),
    stiff=False,
    origin="closed form: the orbit closes after a period",
    invariant=kepler_energy,
    acceleration=kepler_pull,
)
PROBLEMS = (
    Problem(
        *("Lotka-Volterra", lotka_volterra, (1.0, 1.0), 10.0, stored("Lotka-Volterra"), 1e-8),
        stiff=False,
        origin=ORIGIN,
    ),
    Problem(*("Lorenz", lorenz, (1.0, 1.0, 1.0), 5.0, stored("Lorenz"), 1e-8), stiff=False, origin=ORIGIN),
    Problem(
        *("Pleiades", pleiades, PLEIADES_START, 3.0, PLEIADES_END, 1e-8),
        stiff=False,
        origin="Test Set for IVP Solvers",
        acceleration=pleiades_pulls,
    ),
    KEPLER,
)
