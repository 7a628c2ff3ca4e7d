"""What classes define, and whether their objects show all that they keep."""

from __future__ import annotations

import functools
import operator
import types
import weakref
from dataclasses import dataclass
from typing import Any

import torch

from pyode_bridge.compiled.capture.libraries import is_library

# Types whose values a key holds as they are; floats are another, for NaN is not equal to itself.
PLAIN = frozenset({int, bool, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size, range, type(...)})
_DESCRIPTORS = (types.FunctionType, property, staticmethod, classmethod, types.GetSetDescriptorType)


@functools.lru_cache(maxsize=1024)
def own_classes(kind: type) -> tuple[type, ...]:
    """A class and its bases, but for those of libraries."""
    return tuple(base for base in kind.__mro__ if base is not object and not is_library(base))


@functools.lru_cache(maxsize=1024)
def hides_state(kind: type) -> bool:
    """Whether objects of a class may keep more than their ``__dict__`` shows: in slots, or in C."""
    slots = any(vars(base).get("__slots__") for base in own_classes(kind))
    return slots or kind.__basicsize__ > _WithDict.__basicsize__ or bool(kind.__itemsize__)


class _WithDict:
    """What a class defined in Python takes."""


@dataclass(frozen=True)
class Members:
    """What a class defines.

    Attributes:
        values: all of it; other ones mean that the class was changed.
        functions: methods and properties, but for what only makes or shows an object.
        variables: names, types and values of those that a key can hold.
        plain: whether these are all.
    """

    values: tuple[Any, ...]
    functions: tuple[types.FunctionType, ...]
    variables: tuple[Any, ...]
    plain: bool


_known: weakref.WeakKeyDictionary[type, Members] = weakref.WeakKeyDictionary()


def members_of(kind: type) -> Members:
    """What a class itself defines, looked through once for as long as it is not changed."""
    values = tuple(vars(kind).values())
    known = _known.get(kind)
    if known is None or len(values) != len(known.values) or not all(map(operator.is_, values, known.values)):
        known = _known[kind] = _looked_through(kind, values)
    return known


def _looked_through(kind: type, values: tuple[Any, ...]) -> Members:
    functions: list[types.FunctionType] = []
    variables: list[Any] = []
    plain = True
    for name, value in vars(kind).items():
        if isinstance(value, _DESCRIPTORS):
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(function, types.FunctionType) and name not in ("__init__", "__repr__", "extra_repr"):
                functions.append(function)
        elif not name.startswith("__"):
            if type(value) in PLAIN or type(value) is float:
                variables += (name, type(value), value)
            else:
                plain = False
    return Members(values, tuple(functions), tuple(variables), plain)
