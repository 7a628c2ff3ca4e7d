"""Which algorithm stands behind which name: Julia's names where it is the same algorithm, else torchdiffeq's own."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from pyode_bridge.engines.embedded import adaptive_steps, fixed_steps, scipy_solvers, sundials_solvers
from pyode_bridge.engines.embedded.integrator import Stepping
from pyode_bridge.problem import schemes
from pyode_bridge.problem.problem import SolverInfo
from pyode_bridge.problem.schemes import Adams, Tableau
from pyode_bridge.problem.torchdiffeq import METHODS, OF_FIXED_STEPS

OF_STEPS = ("dt", "maxiters", "adaptive")
OF_A_GRID = (*OF_STEPS, "grid_constructor", "perturb", "interp")
OF_ADAMS: tuple[str, ...] = (*OF_A_GRID, "max_order", "max_iters")
OF_NEWTON = (*OF_A_GRID, "max_iters")
OF_LIMITS = (*OF_STEPS, "dtmin", "dtmax")
OF_CONTROL = (*OF_LIMITS, "force_dtmin", "tstops", "d_discontinuities", "norm", "gamma", "qmin", "qmax")
OF_SCIPY = (*OF_STEPS, "dtmax")
OF_LSODA = (*OF_LIMITS, "force_dtmin")

EXPLICIT, MULTISTEP, IMPLICIT = "explicit RK", "multistep", "implicit RK"
IMPLICIT_FAMILIES = (IMPLICIT, "FIRK", "BDF/NDF", "automatic")

TORCHDIFFEQ, SCIPY, SUNDIALS = "torchdiffeq", "scipy", "scikit-sundae"


@dataclass(frozen=True)
class Algorithm:
    """A solver of this engine, and what is known about it (see `SolverInfo`).

    ``adaptive`` is what chooses its steps, ``fixed`` what takes those of a grid; one may be missing. ``always_fixed``
    is whether that is its own way, so that nobody has to ask for it.
    """

    source: str
    family: str
    order: int | None
    summary: str
    adaptive: Stepping | None = None
    options: tuple[str, ...] = ()
    fixed: Stepping | None = None
    options_of_fixed: tuple[str, ...] = OF_STEPS
    always_fixed: bool = False

    def info(self, name: str) -> SolverInfo:
        """The catalogue's entry under ``name``."""
        return SolverInfo(
            name,
            self.source,
            self.family,
            self.order,
            adaptive=self.adaptive is not None,
            implicit=self.family in IMPLICIT_FAMILIES,
            problem="ODE",
            summary=self.summary,
        )

    def is_fixed(self, adaptive: bool | None) -> bool:
        """Whether steps are of a grid, where they are asked to adapt, or not to, or for None left to the method."""
        return self.always_fixed if adaptive is None else not adaptive

    def served(self, adaptive: bool | None) -> tuple[str, ...]:
        """The step options that it takes then."""
        return self.options if self.adaptive is not None and not self.is_fixed(adaptive) else self.options_of_fixed

    @property
    def needs(self) -> str | None:
        """A package that may have to be installed."""
        return "sksundae" if self.source == SUNDIALS else None

    @property
    def installed(self) -> bool:
        """Whether the package behind it can be imported."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None

    @property
    def keeps_steps(self) -> bool:
        """Whether a step can be asked for its values when the next ones have been taken."""
        return self.source != SUNDIALS

    @property
    def is_recorded(self) -> bool:
        """Whether autograd can follow its steps."""
        return self.source == TORCHDIFFEQ


def _adaptive(name: str, order: int, summary: str, fixed: Tableau | None = None) -> Algorithm:
    return Algorithm(
        TORCHDIFFEQ,
        EXPLICIT,
        order,
        summary,
        functools.partial(adaptive_steps.steps, name),
        OF_CONTROL,
        None if fixed is None else _along_grid(fixed, "cubic"),
    )


def _along_grid(scheme: Tableau | Adams, between: str) -> Stepping:
    return functools.partial(fixed_steps.steps, scheme, between)


def _fixed(tableau: Tableau, summary: str, *, always: bool = False) -> Algorithm:
    """A method that torchdiffeq has with fixed steps alone, under Julia's name."""
    solver = _along_grid(tableau, "cubic")
    return Algorithm(TORCHDIFFEQ, EXPLICIT, tableau.order, summary, fixed=solver, always_fixed=always)


def _scheme(scheme: Tableau | Adams) -> Algorithm:
    """A method of torchdiffeq's of fixed steps, under its name there."""
    family, options = MULTISTEP, OF_ADAMS
    if isinstance(scheme, Tableau):
        family, options = (EXPLICIT, OF_A_GRID) if scheme.is_explicit else (IMPLICIT, OF_NEWTON)
    order = scheme.order if isinstance(scheme, Tableau) else None
    summary = f"torchdiffeq's {scheme}, fixed steps"
    solver = _along_grid(scheme, "linear")
    return Algorithm(TORCHDIFFEQ, family, order, summary, fixed=solver, options_of_fixed=options, always_fixed=True)


def _scipy(name: str, family: str, order: int | None, summary: str) -> Algorithm:
    options = OF_LSODA if name == "LSODA" else OF_SCIPY
    return Algorithm(SCIPY, family, order, summary, functools.partial(scipy_solvers.steps, name), options)


def _sundials(name: str, family: str, summary: str) -> Algorithm:
    return Algorithm(SUNDIALS, family, None, summary, functools.partial(sundials_solvers.steps, name), OF_LIMITS)


def _of_fixed_steps() -> Iterator[tuple[str, Algorithm]]:
    for method in METHODS.values():
        scheme = method.made
        if method.steps in OF_FIXED_STEPS and isinstance(scheme, (Tableau, Adams)):
            yield scheme.name, _scheme(scheme)


# "Midpoint" and "RK4" adapt their steps in Julia; torchdiffeq's do not, so only their fixed-step form is here.
ALGORITHMS: dict[str, Algorithm] = {
    "DP5": _adaptive("dopri5", 5, "Dormand-Prince 5(4) (Dormand & Prince 1980)"),
    "Tsit5": _adaptive("tsit5", 5, "Tsitouras 5(4) (Tsitouras 2011)"),
    "BS3": _adaptive("bosh3", 3, "Bogacki-Shampine 3(2) (Bogacki & Shampine 1989)"),
    "Heun": _adaptive("adaptive_heun", 2, "Heun-Euler 2(1), or with fixed steps", fixed=schemes.HEUN2),
    "dopri8": _adaptive("dopri8", 8, "Dormand-Prince 8(7) (Prince & Dormand 1981)"),
    "fehlberg2": _adaptive("fehlberg2", 2, "Runge-Kutta-Fehlberg 2(1) (Fehlberg 1969)"),
    "Euler": _fixed(schemes.EULER, "Euler's method, fixed steps", always=True),
    "Midpoint": _fixed(schemes.MIDPOINT, "midpoint method, fixed steps"),
    "RK4": _fixed(schemes.KUTTA, "classical Runge-Kutta method, fixed steps"),
    **dict(_of_fixed_steps()),
    "DP8": _scipy("DOP853", EXPLICIT, 8, "Dormand-Prince 8(5,3), Hairer's DOP853"),
    "RadauIIA5": _scipy("Radau", "FIRK", 5, "Radau IIA, for stiff problems (Hairer & Wanner's RADAU5)"),
    "QNDF": _scipy("BDF", "BDF/NDF", None, "NDF of order 1 to 5, for stiff problems (Shampine & Reichelt 1997)"),
    "lsoda": _scipy("LSODA", "automatic", None, "Adams and BDF, switched automatically (Petzold & Hindmarsh)"),
    "CVODE_BDF": _sundials("BDF", "BDF/NDF", "SUNDIALS CVODE, BDF of order 1 to 5, for stiff problems"),
    "CVODE_Adams": _sundials("Adams", MULTISTEP, "SUNDIALS CVODE, Adams-Moulton of order 1 to 12"),
}


def of_scipy(solver: str) -> Algorithm:
    """What ``method="scipy_solver"`` is with the option ``solver``; it hears of ``min_step`` where there is none."""
    return Algorithm(
        SCIPY,
        "any",
        None,
        f"SciPy's {solver}",
        functools.partial(scipy_solvers.steps, solver),
        (*OF_LSODA, "scipy_solver"),
    )
