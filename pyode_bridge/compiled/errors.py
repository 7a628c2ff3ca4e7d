"""Why dynamics stay with the callbacks."""

from __future__ import annotations


class UnsupportedDynamicsError(Exception):
    """Dynamics that the compiled lane does not take; the message says why, in words that follow "because"."""


class UnsupportedOperatorError(UnsupportedDynamicsError):
    """They use an operator that has no lowering, which the message names."""


class UnsupportedStartError(UnsupportedDynamicsError):
    """They are not taken from this start of a solve alone: from others they may be."""
