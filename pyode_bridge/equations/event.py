"""What an event is, as users describe it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import State

Condition = Callable[[Tensor, Any], Tensor]
Affect = Callable[[Tensor, Any], State]

SIGNS = {"rising": 1, "falling": -1, "any": 0}  # of a crossing's direction


@dataclass(frozen=True)
class Event:
    """Something that happens where ``condition(t, y)`` crosses zero, by a root or by a jump, or comes to stay at zero.

    Attributes:
        condition: maps a scalar tensor ``t`` and the state to a real scalar tensor; it may have parameters, which get
            gradients.
        affect: maps ``t`` and the state to the state after the event; None leaves the state as it is.
        terminal: whether the solve ends there.
        direction: ``"rising"``, ``"falling"`` or ``"any"``: the crossings that count, as the solve goes on.
    """

    condition: Condition
    affect: Affect | None = None
    terminal: bool = False
    direction: str = "any"

    def __post_init__(self) -> None:
        if self.direction not in SIGNS:
            raise InputError(f"direction is {self.direction!r}; expected one of {', '.join(SIGNS)}.")
