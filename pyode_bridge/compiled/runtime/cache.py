"""What one Julia has compiled so far, for the next solve to find."""

from __future__ import annotations

import collections
from typing import Any, Protocol

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.backend import Backend
from pyode_bridge.compiled.runtime.translation import Translation

MOST_TRANSLATIONS = 256  # Julia keeps what it compiled, so no session collects without bound
MOST_OF_ONE_CODE = 16  # translations of one code for the same shapes: by then a Python value changes at each solve
CHANGING = "func changes what it reads (an attribute that counts its calls, for example)"


class Translations:
    """All translations of one Julia.

    Attributes:
        known: by their cache keys, which are equal for what is traced to the same graphs.
        guarded: those of dynamics that need no trial, with the indices of what it would find, by a key of all that
            guards them; see `cache_hits`.
    """

    def __init__(self) -> None:
        self.known: dict[Any, Translation] = {}
        self.guarded: dict[Any, tuple[Translation, tuple[int, ...], tuple[int, ...]]] = {}
        self._of_one_code: collections.Counter[Any] = collections.Counter()
        self._changing: set[Any] = set()

    def of(self, key: Any, code: Any, shapes: Any) -> Translation:
        """The one for a key, or a new one; raises UnsupportedDynamicsError where there are too many."""
        found = self.known.get(key)
        if found is not None:
            return found
        if code in self._changing:
            raise UnsupportedDynamicsError(CHANGING)
        if len(self.known) >= MOST_TRANSLATIONS:
            raise UnsupportedDynamicsError(
                f"{MOST_TRANSLATIONS} dynamics were compiled in this session, and no more are"
            )
        if self._of_one_code[code, shapes] >= MOST_OF_ONE_CODE:
            raise UnsupportedDynamicsError(
                f"func was compiled {MOST_OF_ONE_CODE} times for different Python values; make tensors of values that "
                "change"
            )
        self._of_one_code[code, shapes] += 1
        self.known[key] = Translation()
        return self.known[key]

    def refuse_changing(self, code: Any) -> None:
        """Raise UnsupportedDynamicsError for code that was seen to change what it reads, now and from now on."""
        self._changing.add(code)
        raise UnsupportedDynamicsError(CHANGING)


class CachingBackend(Backend, Protocol):
    """A Julia, with what it has compiled so far."""

    translations: Translations
