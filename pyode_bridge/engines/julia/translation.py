"""What crosses between the languages, in one place: numbers, types, and Julia's errors as this package's exceptions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.engines.julia.failures import (
    NOT_CALLABLE,
    OUT_OF_MEMORY,
    SINGULAR,
    UNKNOWN_NAME,
    UNSUPPORTED,
    WRONG_DYNAMICS,
    JuliaRaisedError,
    described,
)
from pyode_bridge.engines.julia.limits import LIMITED, name_of
from pyode_bridge.errors import (
    BridgeError,
    InputError,
    UnknownSensealgError,
    UnknownSolverError,
    UnsupportedError,
    near_names,
)
from pyode_bridge.problem.torchdiffeq import METHODS

TYPE_NAMES = {torch.float32: "float32", torch.float64: "float64"}
FIRST_LINES = 3
SOLVER_ARGUMENTS = ("method", "adjoint_method")
UNKNOWN: dict[str, type[BridgeError]] = {"method": UnknownSolverError, "sensealg": UnknownSensealgError}


def julia_tolerance(tolerance: float | Tensor) -> float | list[float]:
    """One number, or one a component as Julia takes them."""
    return tolerance.tolist() if isinstance(tolerance, Tensor) else tolerance


def type_name(tensor: Tensor) -> str:
    """The name of a tensor's dtype, as Julia's side knows it."""
    return TYPE_NAMES[tensor.dtype]


class julia_errors:  # noqa: N801 - a context, of which a generator would cost some of a short solve's time
    """Translate what Julia raises while it works on ``asked_for``, the value of the user's ``argument``."""

    def __init__(self, asked_for: Any, *, argument: str = "method") -> None:
        self._asked_for, self._argument = asked_for, argument

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception):
            return
        failure = error if isinstance(error, JuliaRaisedError) else described(error)
        if failure is not None:
            raise _translated(failure, str(self._asked_for), self._argument) from error


def _translated(failure: JuliaRaisedError, asked_for: str, argument: str) -> Exception:
    if failure.kind == UNKNOWN_NAME:
        aliases = METHODS if argument in SOLVER_ARGUMENTS else ()
        return UNKNOWN.get(argument, InputError)(
            f"{argument}={asked_for!r}: {failure.message} is no name that the installed Julia packages export."
            + near_names(failure.message, (*aliases, *failure.known))
        )
    if failure.kind == OUT_OF_MEMORY:
        return MemoryError(
            f"Julia ran out of memory while working on {asked_for!r}. Implicit solvers keep matrices with a row and a "
            "column for each component: for large states give jac_sparsity, a linear solver that needs none, as in "
            "'KenCarp4(linsolve=KrylovJL_GMRES())', or name an explicit solver."
        )
    if failure.kind == SINGULAR:
        return UnsupportedError(
            f"{asked_for} met a matrix that is singular. Algebraic equations, as rows of zeros of a mass_matrix are, "
            "have to determine the algebraic components (index 1): differentiate them by the time until they do. Where "
            "there are none, the Jacobian cannot be inverted on the way: name an explicit solver, or start elsewhere."
        )
    if failure.kind == NOT_CALLABLE:
        return UnsupportedError(
            f"{asked_for} asks for something of the dynamics that is not translated to Julia, such as a large "
            "Jacobian, and isolation='process' cannot call Python for it; isolation='none' does."
        )
    if failure.kind == UNSUPPORTED:
        return UnsupportedError(failure.message)
    if failure.kind == WRONG_DYNAMICS:
        return InputError(failure.message)
    said = " ".join(failure.message.splitlines()[:FIRST_LINES])
    limit = LIMITED.get(name_of(asked_for)) if argument in SOLVER_ARGUMENTS else None
    if limit is not None:
        return UnsupportedError(f"{asked_for} does not solve this: {limit} Julia says: {said}")
    return BridgeError(f"Julia failed while working on {asked_for!r}: {said}")
