"""What torchdiffeq calls things: its methods and options, each once, with what they are here.

Translation, checks, the documentation's tables and their tests read these two tables.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyode_bridge.problem import schemes
from pyode_bridge.problem.schemes import Scheme

ADAPTIVE, FIXED, ADAMS, IMPLICIT, SCIPY = "adaptive", "fixed", "Adams", "implicit", "SciPy"
OF_FIXED_STEPS = (FIXED, ADAMS, IMPLICIT)


@dataclass(frozen=True)
class MethodName:
    """A method of torchdiffeq's.

    Attributes:
        algorithm: Julia's name of the same algorithm, or the method's numbers, or what gives them.
        steps: which options say something to it: one of the five kinds above.
        note: how it compares with torchdiffeq's, for the documentation.
    """

    algorithm: str | Scheme | Callable[[], Scheme]
    steps: str
    note: str = "the same steps"

    @property
    def made(self) -> str | Scheme:
        """The algorithm, whose numbers may have had to be read."""
        return self.algorithm() if callable(self.algorithm) else self.algorithm


_OWN_STEPS = "the same tableau; Julia's or torchdiffeq's error control, by the engine"
_CORRECTED = "the same method; its second node is right here, which torchdiffeq's main branch has wrong"
_NEWTON = "the same method; its equations are solved by Newton's method in place of Broyden's"

METHODS: dict[str, MethodName] = {
    "dopri8": MethodName(functools.partial(schemes.embedded_pair, "dopri8"), ADAPTIVE, _OWN_STEPS),
    "dopri5": MethodName("DP5", ADAPTIVE, _OWN_STEPS),
    "tsit5": MethodName("Tsit5", ADAPTIVE, _OWN_STEPS),
    "bosh3": MethodName("BS3", ADAPTIVE, _OWN_STEPS),
    "fehlberg2": MethodName(functools.partial(schemes.embedded_pair, "fehlberg2"), ADAPTIVE, _OWN_STEPS),
    "adaptive_heun": MethodName("Heun", ADAPTIVE, _OWN_STEPS),
    "euler": MethodName(schemes.EULER, FIXED),
    "midpoint": MethodName(schemes.MIDPOINT, FIXED),
    "heun2": MethodName(schemes.HEUN2, FIXED),
    "heun3": MethodName(schemes.HEUN3, FIXED),
    "rk4": MethodName(schemes.THREE_EIGHTHS, FIXED, "the same steps: Kutta's 3/8 rule; his classical method is 'RK4'"),
    "explicit_adams": MethodName(schemes.EXPLICIT_ADAMS, ADAMS),
    "implicit_adams": MethodName(schemes.IMPLICIT_ADAMS, ADAMS),
    "fixed_adams": MethodName(schemes.IMPLICIT_ADAMS, ADAMS, "the same as 'implicit_adams'"),
    "implicit_euler": MethodName(schemes.IMPLICIT_EULER, IMPLICIT, _NEWTON),
    "implicit_midpoint": MethodName(schemes.IMPLICIT_MIDPOINT, IMPLICIT, _NEWTON),
    "trapezoid": MethodName(schemes.TRAPEZOID, IMPLICIT, _NEWTON),
    "radauIIA3": MethodName(schemes.RADAU_IIA_3, IMPLICIT, _NEWTON),
    "gl4": MethodName(schemes.GAUSS_LEGENDRE_4, IMPLICIT, _CORRECTED),
    "radauIIA5": MethodName(schemes.RADAU_IIA_5, IMPLICIT, _NEWTON),
    "gl6": MethodName(schemes.GAUSS_LEGENDRE_6, IMPLICIT, _NEWTON),
    "sdirk2": MethodName(schemes.SDIRK2, IMPLICIT, _NEWTON),
    "trbdf2": MethodName(schemes.TRBDF2, IMPLICIT, _NEWTON),
    "scipy_solver": MethodName(schemes.ScipySolver("LSODA"), SCIPY, "SciPy's own, whatever the engine"),
}


@dataclass(frozen=True)
class OptionName:
    """An option of torchdiffeq's.

    Attributes:
        option: the field of `StepOptions` that it is; None where it says nothing here.
        steps: the kinds of method that it speaks to; torchdiffeq warns of it with any other.
        note: how it compares with torchdiffeq's, for the documentation.
        neutral: the value that means the same as its absence.
        besides: further fields that it sets.
    """

    option: str | None
    steps: tuple[str, ...]
    note: str = "the same"
    neutral: object = None
    besides: Mapping[str, object] = field(default_factory=dict)


_AS_GIVEN = "the same; Julia's controller takes it"

OPTIONS: dict[str, OptionName] = {
    "norm": OptionName("norm", (ADAPTIVE,), "a function of the state or of its parts; 'rms' and 'max' run in Julia"),
    "first_step": OptionName("dt", (ADAPTIVE,)),
    "min_step": OptionName(
        "dtmin", (ADAPTIVE, SCIPY), "the same: so short a step is accepted", 0, {"force_dtmin": True}
    ),
    "max_step": OptionName("dtmax", (ADAPTIVE, SCIPY), neutral=float("inf")),
    "step_t": OptionName("tstops", (ADAPTIVE,)),
    "jump_t": OptionName("d_discontinuities", (ADAPTIVE,)),
    "safety": OptionName("gamma", (ADAPTIVE,), _AS_GIVEN),
    "ifactor": OptionName("qmax", (ADAPTIVE,), _AS_GIVEN),
    "dfactor": OptionName("qmin", (ADAPTIVE,), _AS_GIVEN),
    "max_num_steps": OptionName("maxiters", (ADAPTIVE,), "of the whole solve, not of the way from time to time"),
    "dtype": OptionName(None, (ADAPTIVE,), "times are float64 within a solver, whatever it says"),
    "step_size": OptionName("dt", OF_FIXED_STEPS),
    "grid_constructor": OptionName("grid_constructor", OF_FIXED_STEPS, "the same; func and y0 are the user's own"),
    "perturb": OptionName("perturb", OF_FIXED_STEPS),
    "interp": OptionName("interp", OF_FIXED_STEPS),
    "max_order": OptionName("max_order", (ADAMS,)),
    "max_iters": OptionName("max_iters", (ADAMS, IMPLICIT)),
    "solver": OptionName("scipy_solver", (SCIPY,)),
}


def steps_of(method: object) -> str | None:
    """The kind of a method under torchdiffeq's name; None for any other. None is its ``"dopri5"``."""
    if method is None:
        return ADAPTIVE
    found = METHODS.get(method.strip()) if isinstance(method, str) else None
    return None if found is None else found.steps


# By argument of torchdiffeq's functions: how it compares, for the documentation.
ARGUMENTS: dict[str, str] = {
    "func": "the same; it need not be a module, tensors that it uses are found by themselves",
    "y0": "the same; a dict too, tensors of several dtypes keep theirs, and half precision is solved in float32",
    "t": "the same, one time too; a list of numbers too",
    "rtol": "the same: a number, a tensor, or a tuple of such; the default is 1e-6 in float32, which holds no more",
    "atol": "the same; the default is 1e-7 in float32",
    "method": "the same names, and every solver of Julia's; without one, an explicit solver, and where the problem is "
    "found stiff, one for such problems",
    "options": "the same, below, and Julia's; unknown ones are warned of there and here",
    "event_fn": "the same; the times of `t` after the first say the direction alone",
    "adjoint_rtol": "the same",
    "adjoint_atol": "the same",
    "adjoint_method": "the same",
    "adjoint_options": "the same, `'seminorm'` too; by default those of the forward solve, but for its norm",
    "adjoint_params": "not needed: tensors are found by themselves; given, gradients reach these alone",
    "t0": "the same; of `odeint_dense`, a number too",
    "t1": "the same; of `odeint_dense`, a number too",
    "reverse_time": "the same",
    "odeint_interface": "the same: `odeint` or `odeint_adjoint`, of here",
}
