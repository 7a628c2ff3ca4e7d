"""How to solve, as users say it: the keyword arguments of every solve, each with its meaning, once.

A function takes the part that applies, by ``**settings: Unpack[...]``, and `with_settings` shows the whole of it. For
each of them, None means "choose for me": an environment variable is asked where there is one, else rules choose. Where
``"auto"`` is allowed, it is another word for None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast, get_args

from torch import Tensor
from typing_extensions import TypedDict, Unpack

from pyode_bridge.errors import UnknownSettingError, near_names

Function = TypeVar("Function", bound=Callable[..., Any])
Given = TypeVar("Given", bound=Mapping[str, object])

EngineName: TypeAlias = Literal["auto", "julia", "embedded"]
LaneName: TypeAlias = Literal["auto", "compiled", "callback"]
IsolationName: TypeAlias = Literal["none", "process"]
EquationKind: TypeAlias = Literal["ODE", "SDE", "DDE", "DAE", "steady"]

Bound: TypeAlias = float | Tensor | Sequence[float]
Tolerance: TypeAlias = Bound | Sequence[Bound] | Mapping[Any, Bound]
"""An error bound: a number for all components, a tensor of the state's shape with one for each, or one such for each
tensor of a tuple or dict state."""


class Algorithm(Protocol):
    """An algorithm object of Julia's, as diffeqpy and juliacall make them: ``de.Tsit5()``."""

    def _jl_raw(self) -> object: ...


class StepSettings(TypedDict, total=False):
    """What every solve takes: which solver steps, how accurately, and on which engine."""

    rtol: Tolerance | None
    """Relative tolerance: a number, a tensor of the state's shape, or one such for each tensor of a tuple or dict
    state. Default: 1e-7 in float64, as torchdiffeq's; 1e-6 in float32, which does not hold more."""

    atol: Tolerance | None
    """Absolute tolerance, likewise. Default: 1e-9 in float64, 1e-7 in float32."""

    method: str | Algorithm | None
    """Any Julia solver by name, ``"Tsit5"``, ``"Rodas5P"``, ``"AutoTsit5(Rosenbrock23())"``, or an object made with
    diffeqpy; or torchdiffeq's names ``"dopri5"``, ``"rk4"``, ...; see `pyode_bridge.solvers`. Default: an explicit
    solver (``"DP5"``, as torchdiffeq's), and one for stiff problems where that finds the problem stiff: ``"Rodas5P"``,
    ``"FBDF"`` from 200 components on, and an error that says what to name from 1,000 on, where no dense matrix is made
    unasked; ``"DP5"`` on the embedded engine. The solution says what ran."""

    options: Mapping[str, object] | None
    """Step options such as ``dt``, ``dtmax``, ``maxiters``, ``adaptive``, ``tstops``, ``norm`` and ``controller``, and
    torchdiffeq's, such as ``step_size`` and ``jump_t``; see `StepOptions`. Unknown ones are warned of and left out."""

    engine: EngineName | None
    """``"julia"`` or ``"embedded"``. Default: what the variable PYODE_BRIDGE_ENGINE says, else Julia where it runs or
    can be installed, else the embedded engine, with a warning."""

    lane: LaneName | None
    """``"compiled"`` translates the functions to Julia, once for each shape and each Python value that they use, and no
    Python runs within the solve; ``"callback"`` has Julia call Python, which any function allows. Default: what the
    variable PYODE_BRIDGE_LANE says, else compiled where it can be, and `Solution.lane_reason` says why it was not."""

    isolation: IsolationName | None
    """``"none"`` runs Julia in this process, ``"process"`` in a worker process without torch, for compiled dynamics
    alone: what the worker's end loses is an exception. Default: what the variable PYODE_BRIDGE_ISOLATION says, else
    ``"none"``."""


class ShownSettings(StepSettings, total=False):
    """What a solve over time takes beside."""

    progress: bool
    """Whether to show a progress bar."""


class SensealgSettings(ShownSettings, total=False):
    """What a solve takes beside whose gradients several algorithms give, as one along noise."""

    sensealg: str | None
    """Sensitivity algorithm by SciMLSensitivity's name, with options, such as ``"GaussAdjoint"`` or
    ``"BacksolveAdjoint(checkpointing=true)"``. Default: the Julia engine chooses by the solver and the number of
    parameters, and `Solution.sensealg_reason` says why; the embedded engine has the discrete
    adjoint, ``"TorchAdjoint"``, which is the default there with solvers written in torch and keeps every step, and the
    paper's, ``"BacksolveAdjoint"``, which keeps none. With torchdiffeq's fixed-step names, and for fixed steps along
    noise, the default is the gradient of the steps."""


class SteadySettings(StepSettings, total=False):
    """What a solve for a steady state takes beside."""

    adjoint_params: Iterable[Tensor] | None
    """Tensors that gradients shall reach. Default: every tensor that requires a gradient and that ``func`` reaches as
    its parameter or attribute, in a closure or as a global variable, and others that it uses at the start."""


class AdjointSettings(SensealgSettings, total=False):
    """What a solve takes beside whose gradients come from a backward solve, as one with delays."""

    adjoint_rtol: float | None
    """Relative tolerance of the backward solve. Default: the forward solve's, the tightest where it differs between
    components."""

    adjoint_atol: float | None
    """Absolute tolerance of the backward solve, likewise."""

    adjoint_method: str | Algorithm | None
    """Solver of the backward solve. Default: the forward solve's."""

    adjoint_options: Mapping[str, object] | None
    """Step options of the backward solve. Default: the forward solve's, but for those that speak of its state."""


class SolverSettings(AdjointSettings, SteadySettings, total=False):
    """The keyword arguments of `odeint`, of all that solves ordinary equations, and of the models.

    None means "choose for me", for each of them: what an environment variable says, where there is one, else rules. For
    ``engine``, ``lane``, ``sensealg`` and ``jac_sparsity``, ``"auto"`` is another word for it.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> settings: pb.SolverSettings = {"method": "dopri5", "rtol": 1e-5}
        >>> y = pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), **settings)
    """

    mass_matrix: Tensor | None
    """``M`` of ``M dy/dt = func(t, y)``, shape ``(n, n)`` with ``n`` the state's number of elements; singular for a
    differential-algebraic equation. For implicit solvers such as ``"Rodas5P"`` and ``"FBDF"``."""

    jac_sparsity: Tensor | Literal["auto", "dense"] | None
    """Pattern of the Jacobian over the flat state, shape ``(n, n)``, dense or sparse, non-zero where a component of
    ``func`` (row) depends on one of the state (column). Implicit solvers then work with sparse matrices, which a few
    vector-Jacobian products fill. Default: found in what ``func`` was translated to, from 200 components on;
    `Solution.jacobian` says what was. ``"dense"`` looks for none."""


class Settings(SolverSettings, total=False):
    """All that a problem is prepared by, complete, and not yet checked."""

    dense: bool
    continuous: bool
    kind: EquationKind


_DEFAULTS: Any = {
    **dict.fromkeys(Settings.__optional_keys__),
    "progress": False,
    "dense": False,
    "continuous": False,
    "kind": "ODE",
}

IN_ORDER = tuple(_DEFAULTS)  # the names of complete settings

NO_RULES: Mapping[str, object] = {}


def complete(
    function: str, takes: type, given: Mapping[str, object], rules: Mapping[str, object] = NO_RULES, **own: object
) -> Settings:
    """What a user gave to ``function``, which ``takes`` one of the above.

    Where the user leaves the choice, ``rules`` of the function choose; and some things are its ``own`` to say.
    """
    check_names(function, takes, given)
    settings: Any = {**_DEFAULTS, **lasting(given), **own}
    for name in rules:
        if settings[name] is None:
            settings[name] = rules[name]
    made: Settings = settings
    return made


def lasting(given: Given) -> Given:
    """The same for as many solves as there will be: a generator of ``adjoint_params`` would be empty in the second."""
    params = given.get("adjoint_params")
    if not isinstance(params, Iterator):
        return given
    made: Any = {**given, "adjoint_params": tuple(params)}
    return cast("Given", made)


def check_names(function: str, takes: type, given: Iterable[str]) -> None:
    """Raise UnknownSettingError for what is none of the keyword arguments that ``function`` takes."""
    known: frozenset[str] = takes.__optional_keys__  # type: ignore[attr-defined]
    if known.issuperset(given):
        return
    names = _names(takes)
    wrong = next(name for name in given if name not in known)
    raise UnknownSettingError(
        f"{function} has no argument {wrong!r}: beside its own it takes {', '.join(names)}." + near_names(wrong, names)
    )


def with_settings(function: Function) -> Function:
    """Show each of the keyword arguments that ``function`` takes by ``Unpack``, for `help`, editors and completion."""
    signature = inspect.signature(function)
    *own, rest = signature.parameters.values()
    (takes,) = get_args(eval(rest.annotation, {"Unpack": Unpack, **function.__globals__}))
    each = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=annotation)
        for name, annotation in _names(takes).items()
    ]
    shown: Any = function
    shown.__signature__ = signature.replace(parameters=[*own, *each])
    return function


def _names(takes: type) -> dict[str, str]:
    """The keyword arguments with their types as they are written, the most common ones first."""
    hints: dict[str, Any] = takes.__annotations__
    return {name: getattr(hint, "__forward_arg__", hint) for name, hint in hints.items()}
