"""What there is to draw of a solution: its values along the time, and what happened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.problem.state import State
from pyode_bridge.views.components import Array, Chosen, Components, as_array, chosen, components

MOST_STRAIGHT = 1000  # pieces of a curve; beyond, each step has the fewest that show it
FEWEST_STRAIGHT = 4  # of a step


@dataclass(frozen=True, eq=False)
class Mark:
    """An event that happened.

    Attributes:
        index: which one.
        t: when.
        before: each component there, shape ``()``.
        after: the same after the event changed the state.
    """

    index: int
    t: float
    before: Components
    after: Components


@dataclass(frozen=True, eq=False)
class Course:
    """The components of a state along the time.

    Attributes:
        t: times, shape ``(T,)``.
        y: the values of each component, shape ``(T,)``, or ``(T, B)`` for ``B`` trajectories.
        smooth: whether the times are close enough that lines show what lies between them.
        marks: what happened.
    """

    t: Array
    y: Components
    smooth: bool = False
    marks: Sequence[Mark] = ()

    @classmethod
    def of(cls, t: Tensor, y: State, lead: int, *, smooth: bool = False) -> Course:
        """That of a state whose first ``lead`` dimensions are those of times and trajectories."""
        return cls(as_array(t), components(y, lead), smooth)

    def jumping(self, marks: Sequence[Mark], sign: float) -> Course:
        """With both sides of each event, and NaN between them, where lines break; ``sign`` is that of the time."""
        times = [mark.t for mark in marks]
        at = np.repeat(np.searchsorted(sign * self.t, sign * np.array(times), side="right"), 3)
        sides = {name: [[mark.before[name], np.nan, mark.after[name]] for mark in marks] for name in self.y}
        y = {name: np.insert(values, at, np.array(sides[name]).reshape(-1)) for name, values in self.y.items()}
        return replace(self, t=np.insert(self.t, at, np.repeat(times, 3)), y=y, marks=marks)

    def chosen(self, wanted: Chosen | None) -> Course:
        """With those components alone that are asked for."""
        marks = [
            replace(mark, before=chosen(mark.before, wanted), after=chosen(mark.after, wanted)) for mark in self.marks
        ]
        return replace(self, y=chosen(self.y, wanted), marks=marks)


def within(steps: Tensor) -> Tensor:
    """Times of which straight lines show what lies between ``steps``, shape ``(N,)``."""
    pieces = max(FEWEST_STRAIGHT, MOST_STRAIGHT // max(1, len(steps) - 1))
    parts = torch.arange(pieces, dtype=steps.dtype) / pieces
    return torch.cat([(steps[:-1, None] + steps.diff()[:, None] * parts).reshape(-1), steps[-1:]])
