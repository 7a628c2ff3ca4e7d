"""Step options: DifferentialEquations.jl's common solver options, with torchdiffeq's names for some of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pyode_bridge.errors import InputError, UnsupportedError, near_names

if TYPE_CHECKING:
    from pyode_bridge.problem.methods import Method

# torchdiffeq's option name -> the common interface's.
TORCHDIFFEQ_OPTIONS = {"step_size": "dt", "first_step": "dt", "max_num_steps": "maxiters"}

NORMS = ("rms", "max")

FORWARD_ONLY = ("tstops", "isoutofdomain", "unstable_check")

Predicate = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class StepOptions:
    """How a solver may step (DifferentialEquations.jl, "Common Solver Options"). Times are in the units of ``t``.

    The embedded engine serves at most the first five; the Julia engine all. A solver that has no use for an option
    refuses it: fixed steps have none for ``dtmin``, ``dtmax``, ``norm``, ``controller`` and ``isoutofdomain``.

    Attributes:
        dt: first step of an adaptive method, or the step of a fixed-step method; None leaves it to the solver, and
            lets a fixed-step method step from each time of ``t`` to the next.
        dtmin: smallest step allowed.
        dtmax: largest step allowed.
        maxiters: largest number of steps.
        adaptive: None is the method's own way; False forces fixed steps.
        tstops: times within the span that a step must end on, such as those where the dynamics jump.
        norm: ``"rms"`` (root mean square, the default) or ``"max"``: how errors of components become one.
        controller: step-size controller in Julia's syntax, such as ``"PIController(0.14, 0.08)"``.
        isoutofdomain: ``(t, y) -> bool``; a step that ends where it is true is rejected and tried again, smaller.
        unstable_check: ``(t, y) -> bool``; where it is true the solve ends with the retcode ``Unstable``. Default:
            any NaN.
    """

    dt: float | None = None
    dtmin: float | None = None
    dtmax: float | None = None
    maxiters: int = 100_000
    adaptive: bool | None = None
    tstops: tuple[float, ...] = ()
    norm: str = "rms"
    controller: str | None = None
    isoutofdomain: Predicate | None = None
    unstable_check: Predicate | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, name: str = "options") -> StepOptions:
        """Check a user's dictionary; torchdiffeq's ``step_size``, ``first_step`` and ``max_num_steps`` are known."""
        if not options:
            return cls()
        if not isinstance(options, Mapping):
            raise InputError(f"{name} is a {type(options).__name__}; expected a dict, for example {{'dt': 0.1}}.")
        known = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for key, value in options.items():
            option = TORCHDIFFEQ_OPTIONS.get(key, key)
            if option not in known:
                raise InputError(
                    f"{name}[{key!r}] is not an option; known are {', '.join(known)}." + near_names(str(key), known)
                )
            if value is not None:
                values[option] = CHECKS[option](value, f"{name}[{key!r}]")
        if values.get("dtmin", 0.0) > values.get("dtmax", math.inf):
            raise InputError(f"{name} has dtmin {values['dtmin']} above dtmax {values['dtmax']}; exchange them.")
        return cls(**values)

    @classmethod
    def of_adjoint(cls, options: Mapping[str, Any]) -> StepOptions:
        """Check a user's dictionary for the adjoint solve."""
        made = cls.of(options, "adjoint_options")
        forward_only = made.others_than(field.name for field in fields(cls) if field.name not in FORWARD_ONLY)
        if forward_only:
            raise UnsupportedError(
                f"adjoint_options has {', '.join(forward_only)}, which say something of the forward solve's state and "
                "times alone; leave them out, or put them into options."
            )
        return made

    def for_adjoint(self) -> StepOptions:
        """Those that mean the same in the adjoint solve, whose state is another."""
        if not self.tstops and self.isoutofdomain is None and self.unstable_check is None:
            return self
        return replace(self, tstops=(), isoutofdomain=None, unstable_check=None)

    def others_than(self, served: Iterable[str]) -> list[str]:
        """Names of the options that were set and are not among ``served``."""
        served = set(served)
        return [
            field.name
            for field in fields(self)
            if field.name not in served and getattr(self, field.name) != field.default
        ]

    def adaptive_by(self, method: Method) -> bool | None:
        """Whether steps are to adapt, by these options and the method's name; None for the method's own way."""
        if method.fixed_step and self.adaptive:
            raise UnsupportedError(
                f"The option adaptive=True is for solvers that choose their steps, but torchdiffeq's name of {method} "
                f"stands for it with fixed steps; write method={str(method)!r}."
            )
        return False if method.fixed_step else self.adaptive


def _positive(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # torch's own for a tensor without values
        number = math.nan
    if not number > 0:
        raise InputError(f"{where} is {value!r}; expected a positive number.")
    return number


def _count(value: Any, where: str) -> int:
    number = _positive(value, where)
    if not math.isfinite(number) or number < 1:
        raise InputError(f"{where} is {value!r}; expected a positive whole number.")
    return int(number)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{where} is {value!r}; expected True or False.")
    return value


def _times(value: Any, where: str) -> tuple[float, ...]:
    try:
        times = tuple(float(time) for time in value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        times = (math.nan,)
    if not all(map(math.isfinite, times)):
        raise InputError(f"{where} is {value!r}; expected a list of finite times.")
    return times


def _norm(value: Any, where: str) -> str:
    if not isinstance(value, str) or value not in NORMS:
        raise InputError(f"{where} is {value!r}; expected one of {', '.join(map(repr, NORMS))}.")
    return value


def _expression(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} is {value!r}; expected a name or call such as 'PIController(0.14, 0.08)'.")
    return value.strip()


def _predicate(value: Any, where: str) -> Predicate:
    if not callable(value):
        raise InputError(f"{where} is {value!r}; expected a function of t and y that returns True or False.")
    return value  # type: ignore[no-any-return]


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "dt": _positive,
    "dtmin": _positive,
    "dtmax": _positive,
    "maxiters": _count,
    "adaptive": _flag,
    "tstops": _times,
    "norm": _norm,
    "controller": _expression,
    "isoutofdomain": _predicate,
    "unstable_check": _predicate,
}
