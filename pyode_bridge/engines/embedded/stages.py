"""What explicit and implicit stages share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchdiffeq._impl.misc import Perturb


def combined(y0: Tensor, h: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """``y0 + h sum_i weights[i] slopes[i]``."""
    y = y0
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            y = y + (h * weight) * slope
    return y


def side(node: float, *, perturb: bool) -> Perturb:
    """On which side of its time a stage is evaluated: within the step, if that is asked for."""
    return {0.0: Perturb.NEXT, 1.0: Perturb.PREV}.get(node, Perturb.NONE) if perturb else Perturb.NONE


def stage_time(node: float, t0: float, t1: float) -> float:
    """The end exactly, where it is that."""
    return t1 if node == 1 else t0 + node * (t1 - t0)
