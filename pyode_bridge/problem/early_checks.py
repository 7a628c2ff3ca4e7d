"""Checks of settings where they are given once, for many solves: all that can be said before there is a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyode_bridge.problem import checks
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.settings import check_names


def check_settings(function: str, takes: type, given: Mapping[str, Any]) -> None:
    """Raise InputError for names that ``function`` does not take, and for values that no solve could make use of."""
    check_names(function, takes, given)
    for name, check in _CHECKS.items():
        if given.get(name) is not None:
            check(given[name])
    method = given.get("method")
    StepOptions.of(given.get("options"), method=method)
    backward = given.get("adjoint_method")
    StepOptions.of_adjoint(given.get("adjoint_options") or {}, method if backward is None else backward)


_CHECKS: dict[str, Callable[[Any], object]] = {
    "rtol": lambda value: checks.bounds(value, "rtol"),
    "atol": lambda value: checks.bounds(value, "atol"),
    "method": as_method,
    "engine": lambda value: checks.engine(value, "engine"),
    "lane": checks.lane,
    "isolation": checks.isolation,
    "sensealg": checks.sensealg,
    "adjoint_rtol": lambda value: checks.scalar_tolerance(value, 0.0, "adjoint_rtol"),
    "adjoint_atol": lambda value: checks.scalar_tolerance(value, 0.0, "adjoint_atol"),
    "adjoint_method": as_method,
}
