"""Stiff problems of the Test Set for IVP Solvers (Mazzia & Magherini, University of Bari) with published end values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .problem import Problem


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


def hires_rates(y: Any) -> list[Any]:
    """Of each component, for components of any library."""
    y1, y2, y3, y4, y5, y6, y7, y8 = y
    seventh = 280 * y6 * y8 - 1.81 * y7
    return [
        -1.71 * y1 + 0.43 * y2 + 8.32 * y3 + 0.0007,
        1.71 * y1 - 8.75 * y2,
        -10.03 * y3 + 0.43 * y4 + 0.035 * y5,
        8.32 * y2 + 1.71 * y3 - 1.12 * y4,
        -1.745 * y5 + 0.43 * (y6 + y7),
        -280 * y6 * y8 + 0.69 * y4 + 1.71 * y5 - 0.43 * y6 + 0.69 * y7,
        seventh,
        -seventh,
    ]


def hires(_t: Tensor, y: Tensor) -> Tensor:
    return torch.stack(hires_rates(y))


HIRES_END = (
    *(0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2),
    *(0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2),
)

# POLLU: each reaction's rate constant, its reactants and its products, as numbers of species counted from 1.
REACTIONS: tuple[tuple[float, tuple[int, ...], tuple[int, ...]], ...] = (
    (0.35, (1,), (2, 3)),
    (26.6, (2, 4), (1,)),
    (1.23e4, (5, 2), (6, 1)),
    (8.6e-4, (7,), (5, 5, 8)),
    (8.2e-4, (7,), (8,)),
    (1.5e4, (7, 6), (5, 8)),
    (1.3e-4, (9,), (5, 8, 10)),
    (2.4e4, (9, 6), (11,)),
    (1.65e4, (11, 2), (1, 10, 12)),
    (9e3, (11, 1), (13,)),
    (0.022, (13,), (11, 1)),
    (1.2e4, (10, 2), (14, 1)),
    (1.88, (14,), (7, 5)),
    (1.63e4, (1, 6), (15,)),
    (4.8e6, (3,), (4,)),
    (3.5e-4, (4,), (16,)),
    (0.0175, (4,), (3,)),
    (1e8, (16,), (6, 6)),
    (4.44e11, (16,), (3,)),
    (1240.0, (17, 6), (18, 5)),
    (2.1, (19,), (2,)),
    (5.78, (19,), (3, 1)),
    (0.0474, (1, 4), (19,)),
    (1780.0, (19, 1), (20,)),
    (3.12, (20,), (19, 1)),
)
RATES = torch.tensor([rate for rate, _, _ in REACTIONS], dtype=torch.float64)
FIRST = torch.tensor([reactants[0] - 1 for _, reactants, _ in REACTIONS])
SECOND = torch.tensor([reactants[1] - 1 if len(reactants) > 1 else 20 for _, reactants, _ in REACTIONS])  # 20: a one
CHANGE = torch.zeros(20, len(REACTIONS), dtype=torch.float64)
for _column, (_, _reactants, _products) in enumerate(REACTIONS):
    for _species in _reactants:
        CHANGE[_species - 1, _column] -= 1
    for _species in _products:
        CHANGE[_species - 1, _column] += 1


def pollu(_t: Tensor, y: Tensor) -> Tensor:
    extended = torch.cat([y, y.new_ones(1)])
    return CHANGE @ (RATES * extended[FIRST] * extended[SECOND])


POLLU_END = (
    *(0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2, 0.2018977262302196e-6),
    *(0.1464541863493966e-6, 0.7784249118997964e-1, 0.3245075353396018, 0.7494013383880406e-2, 0.1622293157301561e-7),
    *(0.1135863833257075e-7, 0.2230505975721359e-2, 0.2087162882798630e-3, 0.1396921016840158e-4),
    *(0.8964884856898295e-2, 0.4352846369330103e-17, 0.6899219696263405e-2, 0.1007803037365946e-3),
    *(0.1772146513969984e-5, 0.5682943292316392e-4),
)
POLLU_START = (0.0, 0.2, 0.0, 0.04, 0.0, 0.0, 0.1, 0.3, 0.01, *[0.0] * 7, 0.007, 0.0, 0.0, 0.0)


def published(
    name: str,
    f: Callable[[Tensor, Tensor], Tensor],
    y0: tuple[float, ...],
    t_end: float,
    y_end: tuple[float, ...],
    atol: float,
) -> Problem:
    return Problem(name, f, y0, t_end, y_end, atol, stiff=True, origin="Test Set for IVP Solvers")


PROBLEMS = (
    published(
        "ROBER",
        rober,
        (1.0, 0.0, 0.0),
        1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
        1e-20,
    ),
    published(
        "OREGO",
        orego,
        (1.0, 2.0, 3.0),
        360.0,
        (0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3),
        1e-10,
    ),
    published("VDPOL", vdpol, (2.0, 0.0), 2.0, (0.1706167732170483e1, -0.8928097010247975), 1e-10),
    published("HIRES", hires, (1.0, *[0.0] * 6, 0.0057), 321.8122, HIRES_END, 1e-14),
    published("POLLU", pollu, POLLU_START, 60.0, POLLU_END, 1e-24),
)
