"""The point at which dynamics are traced and compared with torch: the start of a solve, and one beside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics

_GOLDEN = 0.6180339887498949  # its multiples are spread evenly, modulo 1, and lie on no line


@dataclass(frozen=True)
class Start:
    """Dynamics at the start of a solve.

    Attributes:
        dynamics: what is solved.
        y: the flat state there.
        s, end: the times of start and end, in the solver's direction.
        value: the right-hand side there, by torch; None where nobody looked.
    """

    dynamics: Dynamics
    y: Tensor
    s: float
    end: float
    value: Tensor | None = None

    def beside(self) -> Start:
        """A point close by, where what exists at the start most likely exists, and is another.

        Each number is off by a part of its own size, and has the sign that it has at the start, if any.
        """
        y, numbers = self.y, torch.arange(1, len(self.y) + 1, dtype=self.y.dtype)
        size = y.abs()
        size = torch.where(size > 0, size, size.max() if size.any() else 1.0)
        return Start(self.dynamics, y + size * (1 + numbers * _GOLDEN % 1) / 32, (self.s + self.end) / 2, self.end)
