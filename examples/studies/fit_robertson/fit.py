"""What is fitted, and what becomes of a fit."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CLOSE = 0.01  # what counts as recovered: every constant within this of the truth


@dataclass(frozen=True)
class Measurements:
    """What is fitted.

    Attributes:
        t: zero, then the times of the measurements, ``(T,)``.
        y: measured concentrations at all times but the first, ``(T - 1, 3)``.
        scale: the largest value of each species, ``(3,)``.
        noise: standard deviation relative to that.
    """

    t: Tensor
    y: Tensor
    scale: Tensor
    noise: float

    def loss(self, y: Tensor) -> Tensor:
        """Mean square of the scaled misses of values at ``t``."""
        return ((y[1:] - self.y) / self.scale).square().mean()


@dataclass(frozen=True)
class Fit:
    """An optimiser, where it started, and what became of it."""

    optimizer: str
    gradients: str
    start: tuple[float, ...]  # each constant over the true one
    ratios: list[list[float]]  # the same after each iteration
    losses: list[float]
    solves: list[int]  # made until then
    seconds: float

    @property
    def error(self) -> float:
        """The largest relative error of a constant."""
        return worst(self.ratios[-1])

    @property
    def solves_until_close(self) -> int | None:
        """Solves after which every constant stays close to the truth."""
        far = [position for position, ratios in enumerate(self.ratios) if worst(ratios) > CLOSE]
        after = far[-1] + 1 if far else 0
        return self.solves[after] if after < len(self.solves) else None


def worst(ratios: list[float]) -> float:
    return max(abs(ratio - 1) for ratio in ratios)
