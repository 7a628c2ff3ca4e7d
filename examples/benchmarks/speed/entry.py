"""What a contestant makes of a case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


class SkipError(Exception):
    """Why a contestant does not take part in a case."""


@dataclass(frozen=True)
class Entry:
    """A solve that is ready to be timed.

    Attributes:
        method: the algorithm.
        work: solves once and returns the values at the last time, or the gradients of a training step.
        clock: the mean seconds of so many solves; that of ``work`` by Python's clock if None.
    """

    method: str
    work: Callable[[], Any]
    clock: Callable[[int], float] | None = None

    def seconds(self, calls: int) -> float:
        """Mean seconds of so many solves."""
        if self.clock is not None:
            return self.clock(calls)
        began = time.perf_counter()
        for _ in range(calls):
            self.work()
        return (time.perf_counter() - began) / calls


def training_step(values: Callable[[], Tensor], loss: Callable[[Tensor], Tensor], parameters: Iterable[Tensor]) -> Any:
    """The gradients of a loss of the values at all times."""
    parameters = tuple(parameters)
    for parameter in parameters:
        parameter.grad = None
    loss(values()).backward()
    return [parameter.grad for parameter in parameters]
