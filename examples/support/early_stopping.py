"""When to end a training before its last iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class EarlyStopping:
    """End a training once a number has not fallen for a while, and keep the state in which it was lowest.

    It holds no state of its own: the history of a training says everything, so a resumed one goes on as if it had
    never stopped.

    Args:
        number: the key, among the numbers that a step returns, of the one to watch; a step that did not measure it
            leaves it out.
        patience: how many measurements in a row may fail to be lower than the lowest before; at least 1.
    """

    number: str
    patience: int

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise SystemExit(f"--patience is {self.patience}; give at least 1, or leave it out to train to the end.")

    def best(self, history: list[dict[str, float]]) -> int | None:
        """The position in the history of the lowest measurement, None before the first; NaN is never the lowest."""
        measured = [at for at in self._measured(history) if not math.isnan(history[at][self.number])]
        return min(measured, key=lambda at: history[at][self.number], default=None)

    def over(self, history: list[dict[str, float]]) -> bool:
        """Whether as many measurements as the patience have come since the best one."""
        best = self.best(history)
        return sum(best is None or at > best for at in self._measured(history)) >= self.patience

    def _measured(self, history: list[dict[str, float]]) -> list[int]:
        return [at for at, numbers in enumerate(history) if self.number in numbers]
