"""The Brusselator with diffusion in one dimension, on a grid of any size (Hairer & Wanner, "Solving ODEs II", IV.1).

u' = 1 + u² v - 4 u + (1/50) u_xx, v' = 3 u - u² v + (1/50) v_xx on 0 < x < 1, with u = 1 and v = 3 at both ends and,
at first, u = 1 + sin(2 pi x) and v = 3. Central differences at N inner points give 2 N equations, the stiffer the
finer the grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .problem import Problem
from .references import ORIGIN, SIZES, stored

DIFFUSION = 1 / 50
T_END = 10.0


def brusselator(points: int) -> Problem:
    """On a grid of ``points`` inner points, one of `SIZES`, whose end values are known; the state is u1, v1, u2, ..."""
    if points not in SIZES:
        raise ValueError(f"points is {points}; end values are known for {SIZES}.")
    edge = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    coupling = DIFFUSION * (points + 1) ** 2

    def f(_t: Tensor, y: Tensor) -> Tensor:
        inner = y.reshape(points, 2)
        padded = torch.cat([edge, inner, edge])
        u, v = inner.unbind(-1)
        spread = coupling * (padded[:-2] - 2 * inner + padded[2:])
        reaction = torch.stack([1 + u**2 * v - 4 * u, 3 * u - u**2 * v], dim=-1)
        return (reaction + spread).reshape(2 * points)

    name = f"Brusselator-{points}"
    return Problem(name, f, first_state(points), T_END, stored(name), 1e-8, stiff=True, origin=ORIGIN)


def first_state(points: int) -> tuple[float, ...]:
    places = [(i + 1) / (points + 1) for i in range(points)]
    return tuple(value for x in places for value in (1 + math.sin(2 * math.pi * x), 3.0))
