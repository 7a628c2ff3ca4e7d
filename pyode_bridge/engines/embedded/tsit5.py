"""Tsitouras's method 5(4) for torchdiffeq's machinery.

Ch. Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption", 2011: the
weights of stages, of the error, and of the state in the middle of a step.
"""

from __future__ import annotations

import torch
from torchdiffeq._impl.rk_common import RKAdaptiveStepsizeODESolver, _ButcherTableau

STAGES = (
    (0.161,),
    (-0.008480655492356989, 0.335480655492357),
    (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
)
NODES = (0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0)
ERROR = (
    -0.00178001105222577714,
    -0.0008164344596567469,
    0.007880878010261995,
    -0.1447110071732629,
    0.5823571654525552,
    -0.45808210592918697,
    0.015151515151515152,
)
# By stage, the coefficients of the second, third and fourth power of the share of a step; the first has that share too.
DENSE = (
    (-2.763706197274826, 2.9132554618219126, -1.0530884977290216),
    (0.13169999999999998, -0.2234, 0.1017),
    (3.9302962368947516, -5.941033872131505, 2.490627285651253),
    (-12.411077166933676, 30.33818863028232, -16.548102889244902),
    (37.50931341651104, -88.1789048947664, 47.37952196281928),
    (-27.896526289197286, 65.09189467479366, -34.87065786149661),
    (1.5, -4.0, 2.5),
)


def _double(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Tsit5(RKAdaptiveStepsizeODESolver):  # type: ignore[misc]
    """With steps of the fifth order: those of torchdiffeq's main branch are of the fourth."""

    order = 5
    tableau = _ButcherTableau(
        _double(NODES), [_double(row) for row in STAGES], _double((*STAGES[-1], 0.0)), _double(ERROR)
    )
    mid = _double(DENSE) @ _double((1 / 4, 1 / 8, 1 / 16)) + _double((1 / 2, *[0.0] * 6))  # type: ignore[arg-type]
