"""What crosses between the languages, in one place: tolerances, and Julia's errors as this package's exceptions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from pyode_bridge.engines.julia.failures import (
    NOT_CALLABLE,
    OUT_OF_MEMORY,
    UNKNOWN_NAME,
    UNSUPPORTED,
    JuliaRaisedError,
    described,
)
from pyode_bridge.errors import (
    BridgeError,
    InputError,
    UnknownSensealgError,
    UnknownSolverError,
    UnsupportedError,
    near_names,
)

FIRST_LINES = 3
UNKNOWN: dict[str, type[BridgeError]] = {"method": UnknownSolverError, "sensealg": UnknownSensealgError}


def julia_tolerance(tolerance: float | Tensor) -> float | list[float]:
    """One number, or one a component as Julia takes them."""
    return tolerance.tolist() if isinstance(tolerance, Tensor) else tolerance


@contextlib.contextmanager
def julia_errors(asked_for: Any, *, argument: str = "method") -> Iterator[None]:
    """Translate what Julia raises while it works on ``asked_for``, the value of the user's ``argument``."""
    try:
        yield
    except Exception as error:
        failure = error if isinstance(error, JuliaRaisedError) else described(error)
        if failure is None:
            raise
        raise _translated(failure, str(asked_for), argument) from error


def _translated(failure: JuliaRaisedError, asked_for: str, argument: str) -> Exception:
    if failure.kind == UNKNOWN_NAME:
        return UNKNOWN.get(argument, InputError)(
            f"{argument}={asked_for!r}: {failure.message} is no name that the installed Julia packages export."
            + near_names(failure.message, failure.known)
        )
    if failure.kind == OUT_OF_MEMORY:
        return MemoryError(
            f"Julia ran out of memory while working on {asked_for!r}. Implicit solvers keep matrices with a row and a "
            "column for each component: for large states give jac_sparsity, a linear solver that needs none, as in "
            "'KenCarp4(linsolve=KrylovJL_GMRES())', or name an explicit solver."
        )
    if failure.kind == NOT_CALLABLE:
        return UnsupportedError(
            f"{asked_for} asks for something of the dynamics that is not translated to Julia, such as a large "
            "Jacobian, and isolation='process' cannot call Python for it; isolation='none' does."
        )
    if failure.kind == UNSUPPORTED:
        return UnsupportedError(failure.message)
    lines = failure.message.splitlines()
    return BridgeError(f"Julia failed while working on {asked_for!r}: " + " ".join(lines[:FIRST_LINES]))
