"""The counts that the models learn from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

PIECE = 4  # measurements that a piece goes through after its first


@dataclass(frozen=True)
class Data:
    """Counts ``y``, ``(T, 2)``, at evenly spaced times ``t``, ``(T,)``, the known start first; each species' mean."""

    t: Tensor
    y: Tensor
    scale: Tensor

    def whole(self) -> tuple[Tensor, Tensor]:
        """The times, and the counts there."""
        return self.t, self.y

    def pieces(self) -> tuple[Tensor, Tensor]:
        """Times from a piece's start, ``(PIECE + 1,)``, and the counts of all pieces there, ``(PIECE + 1, B, 2)``."""
        return self.t[: PIECE + 1], self.y.unfold(0, PIECE + 1, 1).permute(2, 0, 1)

    def loss(self, y: Tensor, counts: Tensor) -> Tensor:
        """Mean square of the misses after the start, over the species' means."""
        return ((y - counts)[1:] / self.scale).square().mean()
