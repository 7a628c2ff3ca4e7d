"""The exceptions of pyode_bridge: one family, each saying what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class BridgeError(Exception):
    """Base of every exception that pyode_bridge raises on its own account."""


class InputError(BridgeError, ValueError):
    """An argument is unusable; raised before any solver runs."""


class UnknownSettingError(InputError, TypeError):
    """A keyword argument is none that the function takes."""


class UnknownSolverError(BridgeError, ValueError):
    """``method`` names no solver that any engine knows."""


class UnknownSensealgError(BridgeError, ValueError):
    """``sensealg`` names no sensitivity algorithm."""


class UnsupportedError(BridgeError, ValueError):
    """The name is known, but the engine that runs cannot serve it."""


class EngineUnavailableError(BridgeError, RuntimeError):
    """The engine asked for cannot start on this machine."""


class MissingPackageError(BridgeError, ImportError):
    """What was asked for needs a package that is not installed; the message says which extra has it."""


class SolverError(BridgeError, RuntimeError):
    """A solve ended before the last requested time.

    Attributes:
        retcode: the solver's return code, in the words of SciMLBase (``"MaxIters"``, ``"Unstable"``, ...).
        t: the time that was reached, in the units of the caller's ``t``.
        algorithm: the algorithm that ran.
    """

    def __init__(self, message: str, *, retcode: str, t: float, algorithm: str) -> None:
        super().__init__(message)
        self.retcode = retcode
        self.t = t
        self.algorithm = algorithm

    def __reduce__(self) -> tuple[Any, ...]:
        return _solver_error, (str(self), self.retcode, self.t, self.algorithm)  # its arguments have names


def _solver_error(message: str, retcode: str, t: float, algorithm: str) -> SolverError:
    return SolverError(message, retcode=retcode, t=t, algorithm=algorithm)


class WorkerError(BridgeError, RuntimeError):
    """A process that worked for this one ended before its work was done."""


class GradientWarning(UserWarning):
    """A gradient is likely to be less accurate than the tolerances ask for; the message says why and by how much."""


class ToleranceWarning(UserWarning):
    """Tolerances are finer than the state's dtype can hold, so that rounding errors choose the steps."""


class OptionWarning(UserWarning):
    """An option is unknown, or says nothing to the method, and was left out."""


class RandomWarning(UserWarning):
    """The dynamics draw random numbers, so that they are no function of time and state."""


def near_names(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the names closest to ``name``, or an empty string."""
    spellings: dict[str, dict[str, None]] = {}
    for candidate in known:
        spellings.setdefault(candidate.lower(), {})[candidate] = None
    matches = difflib.get_close_matches(name.lower(), spellings, n=4, cutoff=0.6)
    if not matches:
        return ""
    return " Did you mean " + ", ".join(spelling for match in matches for spelling in spellings[match]) + "?"
