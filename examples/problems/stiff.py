"""Stiff problems of the Test Set for IVP Solvers (Mazzia & Magherini, University of Bari) with published end values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StiffProblem:
    """``dy/dt = f(t, y)`` from ``y0`` at time 0; ``y_end`` is published for ``t_end``; float64."""

    name: str
    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t_end: float
    y_end: tuple[float, ...]
    atol: float


def rober(_t: Tensor, y: Tensor) -> Tensor:
    slow = 0.04 * y[0] - 1e4 * y[1] * y[2]
    fast = 3e7 * y[1] ** 2
    return torch.stack([-slow, slow - fast, fast])


def orego(_t: Tensor, y: Tensor) -> Tensor:
    s, w, q = 77.27, 0.161, 8.375e-6
    y1, y2, y3 = y
    return torch.stack([s * (y2 + y1 * (1 - q * y1 - y2)), (y3 - (1 + y1) * y2) / s, w * (y1 - y3)])


def vdpol(_t: Tensor, y: Tensor) -> Tensor:
    y1, y2 = y
    return torch.stack([y2, ((1 - y1**2) * y2 - y1) / 1e-6])


def hires(_t: Tensor, y: Tensor) -> Tensor:
    y1, y2, y3, y4, y5, y6, y7, y8 = y
    seventh = 280 * y6 * y8 - 1.81 * y7
    return torch.stack(
        [
            -1.71 * y1 + 0.43 * y2 + 8.32 * y3 + 0.0007,
            1.71 * y1 - 8.75 * y2,
            -10.03 * y3 + 0.43 * y4 + 0.035 * y5,
            8.32 * y2 + 1.71 * y3 - 1.12 * y4,
            -1.745 * y5 + 0.43 * (y6 + y7),
            -280 * y6 * y8 + 0.69 * y4 + 1.71 * y5 - 0.43 * y6 + 0.69 * y7,
            seventh,
            -seventh,
        ]
    )


HIRES_END = (0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2) + (
    (0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2)
)
PROBLEMS = (
    StiffProblem(
        "ROBER",
        rober,
        (1.0, 0.0, 0.0),
        1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
        1e-20,
    ),
    StiffProblem(
        "OREGO",
        orego,
        (1.0, 2.0, 3.0),
        360.0,
        (0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3),
        1e-10,
    ),
    StiffProblem("VDPOL", vdpol, (2.0, 0.0), 2.0, (0.1706167732170483e1, -0.8928097010247975), 1e-10),
    StiffProblem("HIRES", hires, (1.0, *[0.0] * 6, 0.0057), 321.8122, HIRES_END, 1e-14),
)
