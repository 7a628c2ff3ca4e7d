"""Whether a function does nothing beside what it returns, as far as can be told where it has been called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pyode_bridge.derivatives.parameters import reached


def purpose(function: Callable[..., Any] | None) -> Any:
    """Hashable; equal for functions that do the same, but for the values of tensors; None where that cannot be told."""
    found = None if function is None else reached(function)
    return found.key if found is not None and found.exhaustive else None


def observed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, bool]:
    """What a function returns, and whether it left all that it reaches as it was, and reaches nothing unknown."""
    before = reached(function)
    tensors = () if before is None else before.tensors
    versions = _versions(tensors)
    value = function(*arguments)
    if before is None or not before.exhaustive:
        return value, False
    return value, purpose(function) == before.key and versions == _versions(tensors)


def _versions(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor._version for tensor in tensors]
