"""Step options: the part of DifferentialEquations.jl's common solver options that every engine serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pyode_bridge.errors import InputError, near_names

# torchdiffeq's option name -> the common interface's.
TORCHDIFFEQ_OPTIONS = {"step_size": "dt", "first_step": "dt", "max_num_steps": "maxiters"}


@dataclass(frozen=True)
class StepOptions:
    """How a solver may step (DifferentialEquations.jl, "Common Solver Options"). Times are in the units of ``t``.

    Attributes:
        dt: first step of an adaptive method, or the step of a fixed-step method; None leaves it to the solver, and
            lets a fixed-step method step from each time of ``t`` to the next.
        dtmin: smallest step allowed.
        dtmax: largest step allowed.
        maxiters: largest number of steps.
        adaptive: None is the method's own way; False forces fixed steps.
    """

    dt: float | None = None
    dtmin: float | None = None
    dtmax: float | None = None
    maxiters: int = 100_000
    adaptive: bool | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, name: str = "options") -> StepOptions:
        """Check a user's dictionary; torchdiffeq's ``step_size``, ``first_step`` and ``max_num_steps`` are known."""
        known = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for key, value in (options or {}).items():
            option = TORCHDIFFEQ_OPTIONS.get(key, key)
            if option not in known:
                raise InputError(
                    f"{name}[{key!r}] is not an option; known are {', '.join(known)}." + near_names(str(key), known)
                )
            values[option] = _checked(option, value, f"{name}[{key!r}]")
        return cls(**values)


def _checked(option: str, value: Any, where: str) -> Any:
    if value is None and option != "maxiters":
        return None
    if option == "adaptive":
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}; expected True or False.")
        return value
    try:
        number = int(value) if option == "maxiters" else float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where} is {value!r}; expected a positive number.") from None
    if not number > 0:
        raise InputError(f"{where} is {value!r}; expected a positive number.")
    return number
