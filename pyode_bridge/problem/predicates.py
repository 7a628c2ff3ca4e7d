"""What users ask of a state as a solve goes on: ``isoutofdomain`` and ``unstable_check``."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.options import Predicate


def holds(predicate: Predicate, dynamics: Dynamics, s: float, y: Tensor) -> bool:
    """Whether a user's ``predicate(t, y)`` is true at time ``s`` and flat state ``y`` of the dynamics."""
    with torch.no_grad():
        value = predicate(dynamics.time(s), dynamics.structure.unpack_copy(y))
    try:
        return bool(value)
    except (TypeError, ValueError, RuntimeError):  # the last is torch's for a tensor of several
        what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r}"
        t = dynamics.direction.user_time(s)
        raise InputError(
            f"isoutofdomain or unstable_check at t = {t:.6g} returned {what}; expected True or False."
        ) from None
