"""The direction of time: that of users may decrease, that of solvers increases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

Time = TypeVar("Time", float, Tensor)


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Direction:
    """``s = sign * t``, the usual change of variable: ``t`` is a user's time, and ``s`` a solver's, which increases.

    Attributes:
        sign: 1.0, or -1.0 where ``t`` decreases.
    """

    sign: float

    @classmethod
    def of(cls, times: Sequence[float] | Tensor) -> Direction:
        """That of a user's times; of a single one, the usual one."""
        return cls(-1.0 if len(times) > 1 and times[1] < times[0] else 1.0)

    @property
    def reversed(self) -> Direction:
        """The other one, in which an adjoint is solved."""
        return Direction(-self.sign)

    @property
    def decreases(self) -> bool:
        """Whether the user's time does."""
        return self.sign < 0

    def solver_time(self, t: Time) -> Time:
        """``s`` at ``t``."""
        return -t if self.decreases else t

    def user_time(self, s: Time) -> Time:
        """``t`` at ``s``."""
        return -s if self.decreases else s

    def turned(self, derivative: Tensor, order: int = 1) -> Tensor:
        """A derivative by ``s`` of one by ``t``, and the other way round."""
        return -derivative if self.decreases and order % 2 else derivative


INCREASING = Direction(1.0)
