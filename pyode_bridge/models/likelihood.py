"""The Gaussian likelihood of observed values."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from pyode_bridge.errors import InputError


class Likelihood(Protocol):
    """The distribution of values around what the decoder says: `GaussianLikelihood`, or a module of your own."""

    def log_prob(self, mean: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Log-density of the observed values of each series: ``(B, N, D)`` thrice, the last bool, to ``(B,)``."""


class GaussianLikelihood(nn.Module):
    """``p(x | mean)``: independent Gaussians with one standard deviation a feature.

    Args:
        features: number of features ``D``.
        std: the standard deviation, in the units of ``x``; the first guess if it is learned.
        learned: whether training adapts it.

    Raises:
        InputError: ``std`` is not positive.

    Examples:
        >>> import torch
        >>> x = torch.zeros(3, 5, 2)
        >>> GaussianLikelihood(2, std=0.1).log_prob(x, x, torch.ones_like(x, dtype=torch.bool)).shape
        torch.Size([3])
    """

    log_std: Tensor

    def __init__(self, features: int, std: float = 0.1, *, learned: bool = False) -> None:
        super().__init__()
        if not (math.isfinite(std) and std > 0):
            raise InputError(f"std is {std!r}; expected a positive number.")
        log_std = torch.full((features,), math.log(std))
        if learned:
            self.log_std = nn.Parameter(log_std)
        else:
            self.register_buffer("log_std", log_std)

    @property
    def std(self) -> Tensor:
        """The standard deviations, shape ``(D,)``."""
        return self.log_std.exp()

    def log_prob(self, mean: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Log-density of the observed values of each series: ``(B, N, D)`` thrice, the last bool, to ``(B,)``."""
        z = (x - mean) / self.std
        each = -0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return torch.where(mask, each, torch.zeros_like(each)).sum(dim=(1, 2))
