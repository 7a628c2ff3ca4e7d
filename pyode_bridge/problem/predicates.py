"""What users ask of a state as a solve goes on: ``isoutofdomain`` and ``unstable_check``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.options import Predicate, StepOptions

NAMES = "isoutofdomain", "unstable_check"


def given(options: StepOptions) -> dict[str, Predicate]:
    """The predicates among the options, by name."""
    found = {name: getattr(options, name) for name in NAMES}
    return {name: predicate for name, predicate in found.items() if predicate is not None}


def holds(predicate: Predicate, dynamics: Dynamics, s: float, y: Tensor) -> bool:
    """Whether a user's ``predicate(t, y)`` is true at time ``s`` and flat state ``y`` of the dynamics."""
    with torch.no_grad():
        return truth(predicate(dynamics.time(s), dynamics.structure.unpack_copy(y)), dynamics.direction.user_time(s))


def truth(value: Any, t: float) -> bool:
    """What a predicate said at time ``t``; raises InputError where it is neither true nor false."""
    try:
        return bool(value)
    except (TypeError, ValueError, RuntimeError):  # the last is torch's for a tensor of several
        what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r}"
        raise InputError(
            f"isoutofdomain or unstable_check at t = {t:.6g} returned {what}; expected True or False."
        ) from None


def part_of(predicate: Predicate, dynamics: Dynamics, y0: Tensor) -> Part:
    """A predicate as a function of an equation, to 1 where it is true and to 0 elsewhere."""

    def at(s: float, t: Tensor, y: Tensor) -> Tensor:
        value = torch.as_tensor(predicate(t.clone(), dynamics.structure.unpack_copy(y)))
        return value.reshape(1).ne(0).to(y.dtype)

    return Part(at, (y0,), 1, optional=True)
