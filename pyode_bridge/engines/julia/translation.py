"""Julia's errors as this package's exceptions, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pyode_bridge.errors import BridgeError, UnknownSensealgError, UnknownSolverError, UnsupportedError, near_names

FIRST_LINES = 3


@contextlib.contextmanager
def julia_errors(asked_for: str, *, sensealg: bool = False) -> Iterator[None]:
    """Translate what Julia raises while it works on ``asked_for``, a solver's or a sensitivity algorithm's name."""
    from juliacall import JuliaError

    try:
        yield
    except JuliaError as error:
        raise _translated(error.exception, asked_for, sensealg) from error


def _translated(exception: Any, asked_for: str, sensealg: bool) -> BridgeError:
    from juliacall import Main

    bridge = Main.PyODEBridge
    if Main.isa(exception, bridge.UnknownNameError):
        name, known = str(exception.name), str(bridge.known_names(exception)).split()
        what = "sensealg" if sensealg else "method"
        kind = UnknownSensealgError if sensealg else UnknownSolverError
        return kind(
            f"{what}={asked_for!r}: {name} is no name that the installed Julia packages export."
            + near_names(name, known)
        )
    message = str(Main.sprint(Main.showerror, exception))
    if Main.isa(exception, bridge.UnsupportedError):
        return UnsupportedError(message)
    lines = message.splitlines()
    return BridgeError(f"Julia failed while working on {asked_for!r}: " + " ".join(lines[:FIRST_LINES]))
