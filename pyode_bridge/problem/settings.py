"""How to solve, as users say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from pyode_bridge.errors import InputError, near_names


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Settings:
    """The keyword arguments of `odeint` and `solve`, unchecked; their meaning stands there."""

    rtol: Any = 1e-7
    atol: Any = 1e-9
    method: Any = None
    options: Mapping[str, Any] | None = None
    sensealg: str | None = None
    engine: str | None = None
    adjoint_rtol: float | None = None
    adjoint_atol: float | None = None
    adjoint_method: Any = None
    adjoint_options: Mapping[str, Any] | None = None
    adjoint_params: Iterable[Tensor] | None = None
    mass_matrix: Tensor | None = None
    jac_sparsity: Tensor | None = None
    progress: bool = False
    dense: bool = False
    lane: str = "auto"
    isolation: str | None = None
    kind: str = "ODE"


_OF_ODEINT = tuple(field.name for field in fields(Settings) if field.name not in ("dense", "kind"))


def check_passed_on(function: str, given: Iterable[str]) -> None:
    """Raise InputError for keyword arguments that ``function`` would pass on to `odeint`, and that it does not take."""
    for name in given:
        if name not in _OF_ODEINT:
            raise InputError(
                f"{function} has no argument {name!r}: beside its own it takes odeint's, {', '.join(_OF_ODEINT)}."
                + near_names(name, _OF_ODEINT)
            )
