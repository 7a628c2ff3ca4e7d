"""Solver names: Julia's own, and torchdiffeq's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pyode_bridge.errors import InputError
from pyode_bridge.problem.torchdiffeq import METHODS, OF_FIXED_STEPS


@dataclass(frozen=True)
class Method:
    """A solver as asked for.

    Attributes:
        algorithm: a name or expression in Julia's syntax, such as ``"Rodas5P"`` or ``"AutoTsit5(Rosenbrock23())"``, an
            algorithm object made with diffeqpy or juliacall, the numbers of a method (`problem.schemes`), or None for
            the engine's own choice.
        fixed_step: whether the name stands for a fixed-step method (torchdiffeq's ``"rk4"`` and others).
        kind: the kind of equation it is to solve: ``"ODE"``, ``"SDE"``, ``"DDE"`` or ``"DAE"``.
        until_stiff: whether the solve is to end where the problem is found stiff.
    """

    algorithm: Any
    fixed_step: bool = False
    kind: str = "ODE"
    until_stiff: bool = False

    def __str__(self) -> str:
        return "the default solver" if self.algorithm is None else str(self.algorithm)


def as_method(method: Any, kind: str = "ODE") -> Method:
    """The Method for a user's ``method`` argument, to solve a kind of equation."""
    named = _named(method)
    return named if named.kind == kind else replace(named, kind=kind)


def _named(method: Any) -> Method:
    if method is None:
        return Method(None)
    if isinstance(method, Method):
        return method
    if isinstance(method, str):
        name = method.strip()
        if not name:
            raise InputError("method is an empty string; expected a solver's name such as 'Tsit5' or 'Rodas5P'.")
        known = METHODS.get(name)
        return Method(name) if known is None else Method(known.made, fixed_step=known.steps in OF_FIXED_STEPS)
    if type(method).__module__.startswith("juliacall"):
        return Method(method)
    raise InputError(
        f"method is a {type(method).__name__}; expected a solver's name such as 'Tsit5' or "
        "'AutoTsit5(Rosenbrock23())', or an algorithm object made with diffeqpy."
    )
