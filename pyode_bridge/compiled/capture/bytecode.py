"""Which names code looks up outside of itself, and whether that tells all that it reads."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator

_BY_COMPUTED_NAME = frozenset({"getattr", "globals", "locals", "vars", "eval", "exec", "__dict__"})
_OUTSIDE = frozenset({"open", "input", "print"})
_OF_VARIABLES = ("_NAME", "_GLOBAL", "_GLOBALS")  # what operations on them end with


@functools.lru_cache(maxsize=4096)
def names_of(code: types.CodeType) -> tuple[str, ...]:
    """Names that a function, or one within it, looks up outside of itself: global variables and attributes."""
    return tuple(dict.fromkeys(name for each in _with_inner(code) for name in each.co_names))


@functools.lru_cache(maxsize=4096)
def globals_of(code: types.CodeType) -> tuple[str, ...]:
    """Those of the names that may be global variables. An attribute's name says nothing of a variable of that name."""
    return tuple(dict.fromkeys(step.argval for step in _operations(code) if step.opname.endswith(_OF_VARIABLES)))


@functools.lru_cache(maxsize=4096)
def looks_elsewhere(code: types.CodeType) -> bool:
    """Whether a function may read, or write, what its names do not tell.

    It imports, asks by a name that it computes, or has to do with files and terminals.
    """
    return not (_BY_COMPUTED_NAME | _OUTSIDE).isdisjoint(names_of(code)) or _imports(code)


def _imports(code: types.CodeType) -> bool:
    return any(step.opname == "IMPORT_NAME" for step in _operations(code))


def _operations(code: types.CodeType) -> Iterator[dis.Instruction]:
    for each in _with_inner(code):
        yield from dis.get_instructions(each)


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)
