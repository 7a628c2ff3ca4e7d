"""A path along noise, step by step, as a solver took it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Numbers of a step that weigh a diffusion there (Rößler 2010, "Runge-Kutta methods for the strong approximation of
# solutions of stochastic differential equations"); see `factors`.
FACTORS = 5


@dataclass(frozen=True)
class NoiseTableau:
    """The evaluations of a step, in their order.

    Attributes:
        is_diffusion: whether each is of the diffusion, or of the drift.
        c: at which part of the step each is.
        weights: how much of an evaluation is in the state of a later one, and in that at the end, shape
            ``(n + 1, n, FACTORS)``; of a drift, the first number alone, of which the step's length is the factor.
    """

    is_diffusion: tuple[bool, ...]
    c: tuple[float, ...]
    weights: Tensor


@dataclass(frozen=True)
class NoisePath:
    """A path.

    Attributes:
        times: at which steps began and ended, shape ``(N + 1,)``, float64.
        increments: of the noise over each step, and of a second process that some methods draw, ``(N, 2, processes)``.
        tableau: of the steps.
    """

    times: Tensor
    increments: Tensor
    tableau: NoiseTableau


def factors(h: float, dw: Tensor, dz: Tensor) -> Tensor:
    """Of a step of length ``h`` with increments of two processes; for each process, shape ``(processes, FACTORS)``."""
    root = h**0.5
    several = (dw**2 - h) / (2 * root), (dw + dz / 3**0.5) / 2, (dw**3 - 3 * dw * h) / (6 * h)
    return torch.stack([torch.full_like(dw, root), dw, *several], dim=-1)
