"""What events do."""

from __future__ import annotations

from torch import Tensor

from pyode_bridge.derivatives.side_effects import called
from pyode_bridge.equations.event import Event
from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import State, Structure


def affected(event: Event, index: int, t: Tensor, y: State, structure: Structure) -> State:
    """The state after an event; raises InputError where its effect returns none."""
    if event.affect is None:
        return y
    state = called(event.affect, t, structure.unpack_copy(structure.pack(y)))
    problem = structure.mismatch(state)
    if problem is not None:
        raise InputError(f"The affect of event {index} returned {problem}.")
    return structure.unpack(structure.pack(state))
