"""Functions of the user's that hear of each step: torchdiffeq's ``callback_step`` and its kin."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pyode_bridge.errors import OptionWarning
from pyode_bridge.problem import torchdiffeq
from pyode_bridge.problem.direction import Direction

STEP, ACCEPT, REJECT = NAMES = ("callback_step", "callback_accept_step", "callback_reject_step")
ADJOINT = "_adjoint"

# Told of a step's start ``s``, the state there, and its length.
Listener = Callable[[float, Any, float], None]

# By kind of method, those that torchdiffeq calls.
CALLED = {torchdiffeq.ADAPTIVE: NAMES, torchdiffeq.SCIPY: (), **dict.fromkeys(torchdiffeq.OF_FIXED_STEPS, (STEP,))}


@dataclass(frozen=True)
class StepCallbacks:
    """Who hears of each step before it is tried, of each that is accepted, and of each that is not; None for nobody."""

    step: Listener | None = None
    accept: Listener | None = None
    reject: Listener | None = None

    @classmethod
    def of(
        cls,
        func: Any,
        unpack: Callable[[Any], Any],
        direction: Direction,
        method: object,
        suffix: str = "",
    ) -> StepCallbacks | None:
        """Those that are attributes of ``func``, whose names end with ``suffix``; None where there are none.

        They are called with the user's time, the state that ``unpack`` makes of the solver's, and the step's length.
        """
        if not listens(func, suffix):
            return None
        found = {name: getattr(func, name + suffix, None) for name in NAMES}
        for name in _unheard([name for name in NAMES if found[name] is not None], suffix, method):
            found[name] = None

        def listener(callback: Callable[..., None] | None) -> Listener | None:
            if callback is None:
                return None

            def heard(s: float, y: Any, h: float) -> None:
                with torch.no_grad():
                    t = torch.tensor(direction.user_time(s), dtype=torch.float64)
                    callback(t, unpack(y), torch.tensor(h, dtype=torch.float64))

            return heard

        return cls(*(listener(found[name]) for name in NAMES))


def listens(func: Any, suffix: str = "") -> bool:
    """Whether one of the callbacks whose names end with ``suffix`` is an attribute of ``func``."""
    return any(_has(func, name + suffix) for name in NAMES)


def _has(func: Any, name: str) -> bool:
    """Whether it has an attribute, which a module is slow to deny."""
    return hasattr(type(func), name) or name in getattr(func, "__dict__", ())


def _unheard(names: list[str], suffix: str, method: object) -> list[str]:
    """Those that torchdiffeq does not call, with a warning."""
    steps = torchdiffeq.steps_of(method)
    unheard = [name for name in names if steps is not None and name not in CALLED[steps]]
    if unheard:
        said = ", ".join(name + suffix for name in unheard)
        warnings.warn(f"A method of {steps} steps does not call {said}.", OptionWarning, stacklevel=6)
    return unheard
