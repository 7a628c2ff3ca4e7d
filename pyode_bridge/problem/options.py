"""Step options: DifferentialEquations.jl's common solver options, with torchdiffeq's names for some of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from pyode_bridge.errors import InputError, OptionWarning, UnsupportedError, near_names
from pyode_bridge.problem import torchdiffeq

if TYPE_CHECKING:
    from pyode_bridge.problem.methods import Method

NORMS = ("rms", "max")
SEMINORM = "seminorm"
MAX_ORDER = 12
INTERPOLATIONS = ("linear", "cubic")
SCIPY_SOLVERS = ("RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA")

Predicate = Callable[[Any, Any], Any]
Norm = str | Callable[[Any], Any]


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


def _order(value: Any, where: str) -> int:
    order = _count(value, where)
    if order > MAX_ORDER:
        raise InputError(f"{where} is {value!r}; expected at most {MAX_ORDER}.")
    return order


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


def _norm(value: Any, where: str) -> Any:
    if callable(value):
        return value
    return _one_of(value, where, (*NORMS, SEMINORM), " or a function of the state")


def _interpolation(value: Any, where: str) -> str:
    return _one_of(value, where, INTERPOLATIONS)


def _scipy_solver(value: Any, where: str) -> str:
    return _one_of(value, where, SCIPY_SOLVERS)


def _one_of(value: Any, where: str, choices: tuple[str, ...], further: str = "") -> str:
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{where} is {value!r}; expected one of {', '.join(map(repr, choices))}{further}.")
    return value


def _function(value: Any, where: str) -> Callable[..., Any]:
    if not callable(value):
        raise InputError(f"{where} is {value!r}; expected a function of func, y0 and t that returns times.")
    return value  # type: ignore[no-any-return]


def _expression(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} is {value!r}; expected a name or call such as 'PIController(0.14, 0.08)'.")
    return value.strip()


def _predicate(value: Any, where: str) -> Predicate:
    if not callable(value):
        raise InputError(f"{where} is {value!r}; expected a function of t and y that returns True or False.")
    return value  # type: ignore[no-any-return]


def _about(check: Callable[[Any, str], Any], speaks_of: str = "steps") -> dict[str, Any]:
    """Of an option that speaks of any solver's steps, of the forward solve's ``"state"``, or of some methods alone."""
    return {"check": check, "speaks_of": speaks_of}


@dataclass(frozen=True)
class StepOptions:
    """How a solver may step (DifferentialEquations.jl, "Common Solver Options"). Times are in the units of ``t``.

    A solver that has no use for an option refuses it: fixed steps have none for ``dtmin``, ``dtmax``, ``norm``,
    ``controller`` and ``isoutofdomain``, and those of torchdiffeq's fixed-step names alone know the last six. What
    torchdiffeq calls an option may be written too (`problem.torchdiffeq`).

    Attributes:
        dt: first step of an adaptive method, or the step of a fixed-step method; None leaves it to the solver, and
            lets a fixed-step method step from each time of ``t`` to the next.
        dtmin: smallest step allowed.
        dtmax: largest step allowed.
        force_dtmin: whether a step of that smallest size is accepted, whatever its error; else the solve ends there.
        maxiters: largest number of steps.
        adaptive: None is the method's own way; False forces fixed steps.
        tstops: times within the span that a step must end on.
        d_discontinuities: such times where the dynamics jump, so that they are evaluated anew behind each.
        norm: ``"rms"`` (root mean square, the default; of a tuple or dict state, the largest of its tensors') or
            ``"max"``: how errors of components become one; or a function of the state that returns a number. For the
            backward solve also ``"seminorm"``, which leaves the parameters out (Kidger, Chen & Lyons 2021), or a
            function of ``(t, y, adjoint of y, *adjoints of the parameters)``, a tuple of tensors.
        controller: step-size controller in Julia's syntax, such as ``"PIController(0.14, 0.08)"``.
        gamma: safety factor of the controller.
        qmin: the most that a step may shrink by, such as 0.2.
        qmax: the most that a step may grow by, such as 10.
        isoutofdomain: ``(t, y) -> bool``; a step that ends where it is true is rejected and tried again, smaller.
        unstable_check: ``(t, y) -> bool``; where it is true the solve ends with the retcode ``Unstable``. Default:
            any NaN.
        grid_constructor: ``(func, y0, t) -> times``; where the steps begin and end.
        perturb: whether ``func`` is asked a rounding after the start and before the end of a step for what it is there.
        interp: ``"linear"`` (the default) or ``"cubic"``: the values between the steps.
        max_order: of an Adams method, at most 12.
        max_iters: how often an implicit one corrects.
        scipy_solver: which of ``scipy.integrate.solve_ivp``'s solvers runs with ``method="scipy_solver"``.
    """

    dt: float | None = field(default=None, metadata=_about(_positive))
    dtmin: float | None = field(default=None, metadata=_about(_positive))
    dtmax: float | None = field(default=None, metadata=_about(_positive))
    force_dtmin: bool = field(default=False, metadata=_about(_flag))
    maxiters: int = field(default=100_000, metadata=_about(_count))
    adaptive: bool | None = field(default=None, metadata=_about(_flag))
    tstops: tuple[float, ...] = field(default=(), metadata=_about(_times))
    d_discontinuities: tuple[float, ...] = field(default=(), metadata=_about(_times))
    norm: Norm = field(default="rms", metadata=_about(_norm))
    controller: str | None = field(default=None, metadata=_about(_expression))
    gamma: float | None = field(default=None, metadata=_about(_positive))
    qmin: float | None = field(default=None, metadata=_about(_positive))
    qmax: float | None = field(default=None, metadata=_about(_positive))
    isoutofdomain: Predicate | None = field(default=None, metadata=_about(_predicate, "state"))
    unstable_check: Predicate | None = field(default=None, metadata=_about(_predicate, "state"))
    grid_constructor: Callable[..., Any] | None = field(default=None, metadata=_about(_function, "numbers"))
    perturb: bool = field(default=False, metadata=_about(_flag, "numbers"))
    interp: str | None = field(default=None, metadata=_about(_interpolation, "numbers"))
    max_order: int | None = field(default=None, metadata=_about(_order, "numbers"))
    max_iters: int | None = field(default=None, metadata=_about(_count, "numbers"))
    scipy_solver: str | None = field(default=None, metadata=_about(_scipy_solver, "SciPy"))

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, name: str = "options", method: object = "") -> StepOptions:
        """Check a user's dictionary, where ``method`` is what the user named.

        Like torchdiffeq, it warns of options that nobody knows, and with torchdiffeq's names, of those of torchdiffeq's
        options that say nothing to the method.
        """
        if not options:
            return cls()
        if not isinstance(options, Mapping):
            raise InputError(f"{name} is a {type(options).__name__}; expected a dict, for example {{'dt': 0.1}}.")
        values: dict[str, Any] = {}
        for key, value in options.items():
            values.update(_values(key, value, f"{name}[{key!r}]", torchdiffeq.steps_of(method)))
        if values.get("dtmin", 0.0) > values.get("dtmax", math.inf):
            raise InputError(f"{name} has dtmin {values['dtmin']} above dtmax {values['dtmax']}; exchange them.")
        if values.get("force_dtmin") and "dtmin" not in values:
            raise InputError(f"{name} has force_dtmin, which says nothing without dtmin; add that.")
        if "grid_constructor" in values and "dt" in values:
            raise InputError(f"{name} has a step's length and a grid_constructor, which contradict; leave one out.")
        return cls(**values)

    @classmethod
    def of_adjoint(cls, options: Mapping[str, Any], method: object = "") -> StepOptions:
        """Check a user's dictionary for the adjoint solve."""
        made = cls.of(options, "adjoint_options", method)
        forward_only = made.set_of("state")
        if forward_only:
            raise UnsupportedError(
                f"adjoint_options has {', '.join(forward_only)}, which say something of the forward solve's state "
                "alone; leave them out, or put them into options."
            )
        return made

    def for_adjoint(self) -> StepOptions:
        """Those that mean the same in the adjoint solve, whose state is another."""
        if self.isoutofdomain is None and self.unstable_check is None:
            return self
        return replace(self, isoutofdomain=None, unstable_check=None)

    def others_than(self, served: Iterable[str]) -> list[str]:
        """Names of the options that were set and are not among ``served``."""
        served = set(served)
        return [name for name, known in FIELDS.items() if name not in served and getattr(self, name) != known.default]

    def set_of(self, subject: str) -> list[str]:
        """Names of the options that were set and speak of that."""
        return self.others_than(name for name, known in FIELDS.items() if known.metadata["speaks_of"] != subject)

    def adaptive_by(self, method: Method) -> bool | None:
        """Whether steps are to adapt, by these options and the method's name; None for the method's own way."""
        if method.fixed_step and self.adaptive:
            raise UnsupportedError(
                f"The option adaptive=True is for solvers that choose their steps, but torchdiffeq's {method} takes "
                "fixed ones; name another, such as 'RK4' or 'Tsit5'."
            )
        return False if method.fixed_step else self.adaptive


FIELDS: dict[str, Field[Any]] = {known.name: known for known in fields(StepOptions)}


def heard(options: Mapping[Any, Any], method: object) -> bool:
    """Whether none of the options is one that a method of that name is warned of."""
    return all(_speaks(key, torchdiffeq.steps_of(method)) for key in options)


def _speaks(key: Any, steps: str | None) -> bool:
    """Whether an option says something to a method of torchdiffeq's of this kind, or of another's."""
    theirs = torchdiffeq.OPTIONS.get(key)
    return key in FIELDS if theirs is None else steps is None or steps in theirs.steps


def _values(key: Any, value: Any, where: str, steps: str | None) -> dict[str, Any]:
    """The fields that an option sets, with a method of torchdiffeq's of this kind, or of another's."""
    theirs = torchdiffeq.OPTIONS.get(key)
    if theirs is None and key not in FIELDS:
        known = [*FIELDS, *torchdiffeq.OPTIONS]
        _warn(
            f"{where} is not an option, and is left out; known are {', '.join(FIELDS)}." + near_names(str(key), known)
        )
        return {}
    if value is None or (theirs is not None and theirs.neutral is not None and value == theirs.neutral):
        return {}
    if theirs is None:
        return {key: FIELDS[key].metadata["check"](value, where)}
    if not _speaks(key, steps):
        _warn(f"{where} says nothing to this method, of {steps} steps, and is left out.")
        return {}
    if theirs.option is None:
        return {}
    return {theirs.option: FIELDS[theirs.option].metadata["check"](value, where), **theirs.besides}


def _warn(message: str) -> None:
    warnings.warn(message, OptionWarning, stacklevel=7)
