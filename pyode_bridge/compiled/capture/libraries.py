"""Which modules, classes and functions belong to libraries, whose code is taken as given."""

from __future__ import annotations

import functools
import types
from typing import Any

# What their code does may depend on arguments, attributes and closures, which may hold a user's functions and objects,
# but on no global variable that changes.
_GIVEN = frozenset(
    {
        "torch",
        "numpy",
        "math",
        "cmath",
        "builtins",
        "functools",
        "operator",
        "itertools",
        "typing",
        "contextlib",
        "pyode_bridge",
    }
)


@functools.lru_cache(maxsize=1024)
def is_given(name: Any) -> bool:
    """Whether a module belongs to a library, or is one of this package's own."""
    return str(name).partition(".")[0] in _GIVEN


def is_library(value: Any) -> bool:
    """Whether a module belongs to one, or a class or function is defined there."""
    return is_given(value.__name__ if isinstance(value, types.ModuleType) else value.__module__)
