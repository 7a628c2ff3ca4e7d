"""A step that a solver has taken: the solution between two times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

from torch import Tensor


class Ended(Exception):  # noqa: N818  # an end is not always an error: a solve may be tried again by other means
    """A solve came to an end before its time, with SciMLBase's return code."""

    def __init__(self, retcode: str) -> None:
        super().__init__(retcode)
        self.retcode = retcode


class Step(ABC):
    """From time ``t0`` to ``t1``, where the state is ``y1``."""

    def __init__(self, t0: float, t1: float, y1: Tensor) -> None:
        self.t0, self.t1, self.y1 = t0, t1, y1

    def __call__(self, s: float) -> Tensor:
        """The state at a time of the step."""
        return self.y1 if s == self.t1 else self._within(s)

    @abstractmethod
    def _within(self, s: float) -> Tensor:
        """The state before the end."""

    def _share(self, s: float) -> float:
        return (s - self.t0) / (self.t1 - self.t0)


class Chord(Step):
    """A straight line."""

    def __init__(self, t0: float, y0: Tensor, t1: float, y1: Tensor) -> None:
        super().__init__(t0, t1, y1)
        self._y0 = y0

    def _within(self, s: float) -> Tensor:
        return self._y0 + self._share(s) * (self.y1 - self._y0)


class Hermite(Step):
    """The cubic that has the solution's values and slopes at both ends; these are asked for where it is used."""

    def __init__(
        self, f: Callable[[float, Tensor], Tensor], t0: float, y0: Tensor, f0: Tensor | None, t1: float, y1: Tensor
    ) -> None:
        super().__init__(t0, t1, y1)
        self._f, self._y0, self._f0 = f, y0, f0

    @cached_property
    def _slopes(self) -> tuple[Tensor, Tensor]:
        f0 = self._f(self.t0, self._y0) if self._f0 is None else self._f0
        return f0, self._f(self.t1, self.y1)

    def _within(self, s: float) -> Tensor:
        x, h = self._share(s), self.t1 - self.t0
        f0, f1 = self._slopes
        values = (1 + 2 * x) * (1 - x) ** 2 * self._y0 + x * x * (3 - 2 * x) * self.y1
        return values + x * (1 - x) ** 2 * h * f0 + x * x * (x - 1) * h * f1


class Polynomial(Step):
    """One in the share of the step that has passed; ``coefficients`` begin with the constant."""

    def __init__(self, t0: float, t1: float, y1: Tensor, coefficients: Sequence[Tensor]) -> None:
        super().__init__(t0, t1, y1)
        self._coefficients = coefficients

    def _within(self, s: float) -> Tensor:
        x = self._share(s)
        value = self._coefficients[-1]
        for coefficient in reversed(self._coefficients[:-1]):
            value = value * x + coefficient
        return value


class Evaluated(Step):
    """One whose states before the end a function gives."""

    def __init__(self, t0: float, t1: float, y1: Tensor, state: Callable[[float], Tensor]) -> None:
        super().__init__(t0, t1, y1)
        self._state = state

    def _within(self, s: float) -> Tensor:
        return self._state(s)
