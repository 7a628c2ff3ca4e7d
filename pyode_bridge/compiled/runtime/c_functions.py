"""C functions as Julia calls them, and their addresses. Without torch, which worker processes do without."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

_POINTER = ctypes.c_void_p
# Where to write, one or two vectors, the time, and a workspace, which callbacks leave alone.
ONE_INPUT = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_double, _POINTER)
TWO_INPUTS = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_double, _POINTER)
COUNT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_ssize_t)  # is told how many solves are done
TIME = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double)  # is told how far a solve is

# The product with no parameters. It lasts, as equations of compiled dynamics do, which are kept from solve to solve.
EMPTY_PRODUCT = TWO_INPUTS(lambda *_: 0)


def address_of(function: Any) -> int:
    """Where a C function lies."""
    return int(ctypes.cast(function, _POINTER).value or 0)


def weakly(method: Callable[..., int], *, otherwise: int) -> Callable[..., int]:
    """What calls a method for as long as its object lives: a C function keeps alive what it calls."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> int:
        found = reference()
        return otherwise if found is None else found(*args)

    return call
