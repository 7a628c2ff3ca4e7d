"""What Julia raised, in words that may go from one process to another. Without torch, which workers do without."""

from __future__ import annotations

import sys
from typing import Any

UNKNOWN_NAME, OUT_OF_MEMORY, UNSUPPORTED, NOT_CALLABLE = "name", "memory", "unsupported", "callable"
WRONG_DYNAMICS, SINGULAR, OTHER = "dynamics", "singular", "other"


class JuliaRaisedError(Exception):
    """An exception of Julia's.

    Attributes:
        kind: one of the constants above.
        message: Julia's.
        known: of an unknown name, which is the message, the names that would do.
    """

    def __init__(self, kind: str, message: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(kind, message, known)
        self.kind, self.message, self.known = kind, message, known


def described(error: Exception) -> JuliaRaisedError | None:
    """What a juliacall of this process raised, in words; None for an exception that is not Julia's."""
    juliacall: Any = sys.modules.get("juliacall")
    if juliacall is None or not isinstance(error, juliacall.JuliaError):
        return None
    exception, main = error.exception, juliacall.Main
    bridge = main.PyODEBridge
    if main.isa(exception, bridge.UnknownNameError):
        return JuliaRaisedError(UNKNOWN_NAME, str(exception.name), tuple(str(bridge.known_names(exception)).split()))
    kind = OTHER
    if main.isa(exception, main.OutOfMemoryError):
        kind = OUT_OF_MEMORY
    elif main.isa(exception, bridge.UnsupportedError) or main.isa(exception, bridge.MissingPackageError):
        kind = UNSUPPORTED
    elif main.isa(exception, bridge.WrongDynamicsError):
        kind = WRONG_DYNAMICS
    elif main.isa(exception, bridge.SingularException):
        kind = SINGULAR
    elif main.isa(exception, bridge.CallbackError):
        kind = NOT_CALLABLE
    return JuliaRaisedError(kind, str(main.sprint(main.showerror, exception)))
