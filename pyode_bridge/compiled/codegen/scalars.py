"""Scalar code: lines of Julia, one a value, each written once.

A scalar is the name of a Julia variable or a Python number that is known beforehand. What is computed from it is a
template such as ``"exp({0})"``, where ``{T}`` stands for the type that it is computed in.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.templates import ADD, CHOOSE, COPY, MULTIPLY, SUBTRACT

Scalar = str | float | int | bool

JULIA_TYPES = {
    torch.float32: "Float32",
    torch.float64: "Float64",
    torch.int64: "Int64",
    torch.int32: "Int32",
    torch.bool: "Bool",
}


def julia_type(dtype: torch.dtype) -> str:
    """The name of a dtype in Julia; raises UnsupportedDynamicsError where there is none."""
    if dtype not in JULIA_TYPES:
        raise UnsupportedDynamicsError(f"it computes with {str(dtype).removeprefix('torch.')}")
    return JULIA_TYPES[dtype]


class Lines:
    """Lines of scalar code, in order, each value with a name of its own.

    Args:
        fresh: makes names.
    """

    def __init__(self, fresh: Callable[[], str]) -> None:
        self.lines: list[str] = []
        self._fresh = fresh
        self._names: dict[str, str] = {}

    def named(self, expression: str) -> str:
        """The variable that holds ``expression``."""
        name = self._names.get(expression)
        if name is None:
            name = self._names[expression] = self._fresh()
            self.lines.append(f"{name} = {expression}")
        return name

    def apply(self, template: str, dtype: torch.dtype, operands: Sequence[tuple[Scalar, torch.dtype]]) -> Scalar:
        """The value of a template over operands with their dtypes, computed in ``dtype``."""
        if len(operands) == 1 and template == COPY:
            return self.converted(*operands[0], dtype)
        scalars = [self.converted(value, own, dtype) for value, own in operands]
        known = _folded(template, scalars)
        if known is not None:
            return known
        texts = [literal(value, dtype) for value in scalars]
        return self.named(template.format(*texts, T=julia_type(dtype)))

    def chosen(self, condition: Scalar, yes: Scalar, no: Scalar, dtype: torch.dtype) -> Scalar:
        """``yes`` where the condition holds, else ``no``."""
        if not isinstance(condition, str):
            return yes if condition else no
        if yes == no:
            return yes
        return self.named(CHOOSE.format(condition, literal(yes, dtype), literal(no, dtype)))

    def converted(self, value: Scalar, own: torch.dtype, dtype: torch.dtype) -> Scalar:
        """A scalar in another dtype."""
        if not isinstance(value, str):
            return _as_python(value, dtype)
        if own == dtype:
            return value
        if dtype == torch.bool:
            return self.named(f"!iszero({value})")
        if not dtype.is_floating_point:
            return self.named(f"truncated({julia_type(dtype)}, {value})")
        return self.named(f"{julia_type(dtype)}({value})")


def literal(value: Scalar, dtype: torch.dtype) -> str:
    """A scalar as Julia writes it."""
    if isinstance(value, str):
        return value
    kind = julia_type(dtype)
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else ("Inf" if value > 0 else "(-Inf)")
        return f"{kind}({name})"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return f"{kind}({text})"


def _as_python(value: float | int | bool, dtype: torch.dtype) -> Scalar:
    if dtype == torch.bool:
        return bool(value)
    return float(value) if dtype.is_floating_point else int(value)


_OF_NUMBERS: dict[str, Callable[[Any, Any], Scalar]] = {
    ADD: operator.add,
    SUBTRACT: operator.sub,
    MULTIPLY: operator.mul,
}


def _folded(template: str, scalars: Sequence[Scalar]) -> Scalar | None:
    """The value where it is known: sums and products with zeros and ones, as Jacobians are full of."""
    if len(scalars) != 2 or template not in (ADD, SUBTRACT, MULTIPLY):
        return None
    first, second = scalars
    if not isinstance(first, str) and not isinstance(second, str):
        return _OF_NUMBERS[template](first, second)
    if template == MULTIPLY:
        if first == 0 or second == 0:
            return 0 * (second if isinstance(first, str) else first)
        if first == 1 or second == 1:
            return second if first == 1 else first
        return None
    if second == 0:
        return first
    return second if first == 0 and template == ADD else None
