"""Why dynamics stay with the callbacks."""

from __future__ import annotations


class UntranslatableError(Exception):
    """Dynamics that the compiled lane does not take; the message says why, in words that follow "because"."""


class RefusedHereError(UntranslatableError):
    """The same for this start of a solve alone: at others they may do."""
