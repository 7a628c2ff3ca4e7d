"""Whether a function does nothing beside what it returns, as far as can be told where it has been called.

Users write effects of events, and what a solver asks of a state, for what they do, and that may be more than to return
a value: count, draw, switch a mode. So these are compiled, which calls them at other states, once they were seen to
leave alone all that they reach.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pyode_bridge.derivatives.parameters import reached

REMEMBERED = 256

_alone: OrderedDict[Any, None] = OrderedDict()  # keys of those that were seen to do nothing else, the latest last


def is_alone(function: Callable[..., Any] | None) -> bool:
    """Whether a function was seen to do nothing but return a value."""
    return purpose(function) in _alone


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns; what else it does is remembered."""
    key = purpose(function)
    if key in _alone:
        return function(*arguments)
    value, alone = observed(function, *arguments)
    if alone:
        _alone[key] = None
        while len(_alone) > REMEMBERED:
            _alone.popitem(last=False)
    return value


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
