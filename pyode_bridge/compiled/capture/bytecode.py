"""Which names code looks up outside of itself, and whether that tells all that it reads."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator

_BY_COMPUTED_NAME = frozenset({"getattr", "globals", "locals", "vars", "eval", "exec", "__dict__", "open", "input"})


@functools.lru_cache(maxsize=4096)
def names_of(code: types.CodeType) -> tuple[str, ...]:
    """Names that a function, or one within it, looks up outside of itself."""
    return tuple(dict.fromkeys(_all_names(code)))


@functools.lru_cache(maxsize=4096)
def looks_elsewhere(code: types.CodeType) -> bool:
    """Whether a function may read what its names do not tell: it imports, or asks by a name that it computes."""
    return not _BY_COMPUTED_NAME.isdisjoint(names_of(code)) or _imports(code)


def _imports(code: types.CodeType) -> bool:
    within = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return any(step.opname == "IMPORT_NAME" for step in dis.get_instructions(code)) or any(map(_imports, within))


def _all_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_names(constant)
