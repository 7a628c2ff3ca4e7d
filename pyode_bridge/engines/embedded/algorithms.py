"""Which algorithm stands behind which name: Julia's names where it is the same algorithm, else torchdiffeq's own."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass

from pyode_bridge.engines.embedded import scipy_solvers, sundials_solvers, torchdiffeq_solvers
from pyode_bridge.engines.embedded.integrator import Integrator, Locator
from pyode_bridge.problem.problem import SolverInfo

OF_FIXED_STEPS = ("dt", "maxiters", "adaptive")

EXPLICIT, MULTISTEP = "explicit RK", "multistep"
IMPLICIT_FAMILIES = ("FIRK", "BDF/NDF", "automatic")


@dataclass(frozen=True)
class Algorithm:
    """A solver of this engine, and what is known about it (see `SolverInfo`).

    ``default`` is what runs under the plain name, ``fixed`` what runs when fixed steps are asked for; one may be
    missing. ``options`` are those of adaptive steps. ``needs`` is a package that may have to be installed, ``events``
    what finds events with it.
    """

    source: str
    family: str
    order: int | None
    summary: str
    default: Integrator | None = None
    fixed: Integrator | None = None
    options: tuple[str, ...] = ("dt", "dtmin", "dtmax", "maxiters", "adaptive")
    needs: str | None = None
    events: Locator | None = None

    def info(self, name: str) -> SolverInfo:
        """The catalogue's entry under ``name``."""
        return SolverInfo(
            name,
            self.source,
            self.family,
            self.order,
            adaptive=self.is_adaptive,
            implicit=self.family in IMPLICIT_FAMILIES,
            problem="ODE",
            summary=self.summary,
        )

    @property
    def is_adaptive(self) -> bool:
        """Whether it chooses its steps by itself, unless it is told not to."""
        return self.default is not None and self.default is not self.fixed

    def served(self, adaptive: bool | None) -> tuple[str, ...]:
        """The step options that it takes, with steps that are to adapt, or not, or for None as it does by itself."""
        return self.options if self.is_adaptive and adaptive is not False else OF_FIXED_STEPS

    @property
    def installed(self) -> bool:
        """Whether the package behind it can be imported."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def _adaptive(name: str, order: int, summary: str, fixed: str | None = None) -> Algorithm:
    return Algorithm(
        "torchdiffeq",
        EXPLICIT,
        order,
        summary,
        default=functools.partial(torchdiffeq_solvers.adaptive, name),
        fixed=None if fixed is None else _fixed(fixed),
        events=functools.partial(torchdiffeq_solvers.locate, name),
    )


def _fixed(name: str) -> Integrator:
    return functools.partial(torchdiffeq_solvers.fixed, name)


def _always_fixed(name: str, order: int | None, summary: str, family: str = EXPLICIT) -> Algorithm:
    solver = _fixed(name)
    return Algorithm("torchdiffeq", family, order, summary, solver, solver)


def _scipy(name: str, family: str, order: int | None, summary: str, *more: str) -> Algorithm:
    solver = functools.partial(scipy_solvers.adaptive, name)
    return Algorithm("scipy", family, order, summary, solver, options=("dt", "dtmax", "maxiters", "adaptive", *more))


def _sundials(name: str, family: str, summary: str) -> Algorithm:
    solver = functools.partial(sundials_solvers.adaptive, name)
    return Algorithm("scikit-sundae", family, None, summary, solver, needs="sksundae")


# "Midpoint" and "RK4" adapt their steps in Julia; torchdiffeq's do not, so only their fixed-step form is here.
ALGORITHMS: dict[str, Algorithm] = {
    "DP5": _adaptive("dopri5", 5, "Dormand-Prince 5(4) (Dormand & Prince 1980)"),
    "BS3": _adaptive("bosh3", 3, "Bogacki-Shampine 3(2) (Bogacki & Shampine 1989)"),
    "Heun": _adaptive("adaptive_heun", 2, "Heun-Euler 2(1), or with fixed steps", fixed="heun2"),
    "dopri8": _adaptive("dopri8", 8, "Dormand-Prince 8(7) (Prince & Dormand 1981)"),
    "fehlberg2": _adaptive("fehlberg2", 2, "Runge-Kutta-Fehlberg 2(1) (Fehlberg 1969)"),
    "Euler": _always_fixed("euler", 1, "Euler's method, fixed steps"),
    "heun3": _always_fixed("heun3", 3, "Heun's third-order method, fixed steps"),
    "Midpoint": Algorithm("torchdiffeq", EXPLICIT, 2, "midpoint method, fixed steps", fixed=_fixed("midpoint")),
    "RK4": Algorithm("torchdiffeq", EXPLICIT, 4, "classical Runge-Kutta method, fixed steps", fixed=_fixed("rk4")),
    "explicit_adams": _always_fixed("explicit_adams", None, "Adams-Bashforth, fixed steps", MULTISTEP),
    "implicit_adams": _always_fixed("implicit_adams", None, "Adams-Bashforth-Moulton, fixed steps", MULTISTEP),
    "DP8": _scipy("DOP853", EXPLICIT, 8, "Dormand-Prince 8(5,3), Hairer's DOP853"),
    "RadauIIA5": _scipy("Radau", "FIRK", 5, "Radau IIA, for stiff problems (Hairer & Wanner's RADAU5)"),
    "QNDF": _scipy("BDF", "BDF/NDF", None, "NDF of order 1 to 5, for stiff problems (Shampine & Reichelt 1997)"),
    "lsoda": _scipy("LSODA", "automatic", None, "Adams and BDF, switched automatically (Petzold & Hindmarsh)", "dtmin"),
    "CVODE_BDF": _sundials("BDF", "BDF/NDF", "SUNDIALS CVODE, BDF of order 1 to 5, for stiff problems"),
    "CVODE_Adams": _sundials("Adams", MULTISTEP, "SUNDIALS CVODE, Adams-Moulton of order 1 to 12"),
}
