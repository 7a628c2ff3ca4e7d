"""What events do, as functions: whether they do nothing else, so that they may be called elsewhere too.

Users write an effect for what it does, and it may do more than return a state: count, draw, switch a mode. So it is
compiled, which calls it at other states, once it was seen to leave alone all that it reaches, at an event that did
happen.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor

from pyode_bridge.derivatives.side_effects import observed, purpose
from pyode_bridge.equations.event import Event
from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import State, Structure

REMEMBERED = 256

_alone: OrderedDict[Any, None] = OrderedDict()  # keys of those that were seen to do nothing else, the latest last


def is_alone(event: Event) -> bool:
    """Whether the effect of an event was seen to do nothing but return a state."""
    return purpose(event.affect) in _alone


def affected(event: Event, index: int, t: Tensor, y: State, structure: Structure) -> State:
    """The state after an event; raises InputError where its effect returns none."""
    if event.affect is None:
        return y
    key, arguments = purpose(event.affect), (t, structure.unpack_copy(structure.pack(y)))
    if key in _alone:
        state = event.affect(*arguments)
    else:
        state, alone = observed(event.affect, *arguments)
        if alone:
            _alone[key] = None
            while len(_alone) > REMEMBERED:
                _alone.popitem(last=False)
    problem = structure.mismatch(state)
    if problem is not None:
        raise InputError(f"The affect of event {index} returned {problem}.")
    return structure.unpack(structure.pack(state))
