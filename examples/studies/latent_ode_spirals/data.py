"""The spirals, and what is observed of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.models import Series

STEPS = 100  # times that may be observed, and as many to predict
TURNS = 3  # of the whole spiral
CURVE = 500  # equally spaced angles along it
SLOPE = 0.3  # radius gained in a radian
NOISE = 0.1  # standard deviation of each measured coordinate
SCALE = 3.0  # about the root mean square of the radius; models see positions divided by it


@dataclass(frozen=True)
class Spirals:
    """``t`` ``(2 STEPS,)``, the true and the measured positions ``(B, 2 STEPS, 2)``, which ones run ``outwards``."""

    t: Tensor
    truth: Tensor
    measured: Tensor
    outwards: Tensor


def make_spirals(count: int, seed: int) -> Spirals:
    random = torch.Generator().manual_seed(seed)
    steps = torch.arange(2 * STEPS)
    first = torch.randint(0, CURVE - 2 * STEPS + 1, (count, 1), generator=random)
    outwards = torch.arange(count) % 2 == 0
    along = torch.where(outwards[:, None], first + steps, CURVE - 1 - first - steps)
    step = 2 * math.pi * TURNS / (CURVE - 1)
    angle = step * along
    truth = SLOPE * angle[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    measured = truth + NOISE * torch.randn(truth.shape, generator=random)
    return Spirals(steps * step, truth, measured, outwards)


def observe(spirals: Spirals, count: int, seed: int) -> Series:
    """``count`` of the first STEPS points of each spiral, drawn without replacement."""
    random = torch.Generator().manual_seed(seed)
    chosen = torch.rand((len(spirals.truth), STEPS), generator=random).argsort(dim=1)[:, :count].sort(dim=1).values
    return Series.of(spirals.t[chosen], spirals.measured[torch.arange(len(chosen))[:, None], chosen] / SCALE)
