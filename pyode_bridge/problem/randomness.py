"""Dynamics that draw random numbers: no function of time and state, which is what solvers follow."""

from __future__ import annotations

import contextlib
import functools
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch

from pyode_bridge.errors import RandomWarning

_warned: weakref.WeakSet[Any] = weakref.WeakSet()


@contextlib.contextmanager
def watched(func: Callable[..., Any]) -> Iterator[None]:
    """A block that evaluates ``func``; warns, once for its code, if that draws from torch's generator on the CPU."""
    before = torch.get_rng_state()
    yield
    code = _code(func)
    if code in _warned or torch.equal(torch.get_rng_state(), before):
        return
    _warned.add(code)
    warnings.warn(
        "func draws random numbers, as dropout does in training, so that each evaluation is of another equation: a "
        "solver takes the differences for errors and makes its steps small, and gradients belong to no solution. Draw "
        "before the solve, and use the same numbers within it; for dropout, call eval() or draw its mask beforehand.",
        RandomWarning,
        stacklevel=9,
    )


def _code(func: Any) -> Any:
    """What the calls of a function have in common."""
    while isinstance(func, functools.partial):
        func = func.func
    return getattr(func, "__code__", type(func))
