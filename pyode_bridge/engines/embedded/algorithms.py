"""Which algorithm stands behind which name: Julia's names where it is the same algorithm, else torchdiffeq's own."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass

from pyode_bridge.engines.embedded import scipy_solvers, sundials_solvers, torchdiffeq_solvers
from pyode_bridge.engines.embedded.integrator import Integrator


@dataclass(frozen=True)
class Algorithm:
    """A solver of this engine, and a line about it.

    ``default`` is what runs under the plain name, ``fixed`` what runs when fixed steps are asked for; one may be
    missing. ``needs`` is a package that may have to be installed.
    """

    source: str
    summary: str
    default: Integrator | None = None
    fixed: Integrator | None = None
    needs: str | None = None

    @property
    def installed(self) -> bool:
        """Whether the package behind it can be imported."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def _adaptive(name: str, summary: str, fixed: str | None = None) -> Algorithm:
    default = functools.partial(torchdiffeq_solvers.adaptive, name)
    return Algorithm("torchdiffeq", summary, default, None if fixed is None else _fixed(fixed))


def _fixed(name: str) -> Integrator:
    return functools.partial(torchdiffeq_solvers.fixed, name)


def _scipy(name: str, summary: str) -> Algorithm:
    return Algorithm("scipy", summary, functools.partial(scipy_solvers.adaptive, name))


def _sundials(name: str, summary: str) -> Algorithm:
    return Algorithm("scikit-sundae", summary, functools.partial(sundials_solvers.adaptive, name), needs="sksundae")


# "Midpoint" and "RK4" adapt their steps in Julia; torchdiffeq's do not, so only their fixed-step form is here.
ALGORITHMS: dict[str, Algorithm] = {
    "DP5": _adaptive("dopri5", "Dormand-Prince 5(4) (Dormand & Prince 1980)"),
    "BS3": _adaptive("bosh3", "Bogacki-Shampine 3(2) (Bogacki & Shampine 1989)"),
    "Heun": _adaptive("adaptive_heun", "Heun-Euler 2(1), or with fixed steps", fixed="heun2"),
    "dopri8": _adaptive("dopri8", "Dormand-Prince 8(7) (Prince & Dormand 1981)"),
    "fehlberg2": _adaptive("fehlberg2", "Runge-Kutta-Fehlberg 2(1) (Fehlberg 1969)"),
    "Euler": Algorithm("torchdiffeq", "Euler's method, fixed steps", _fixed("euler"), _fixed("euler")),
    "heun3": Algorithm("torchdiffeq", "Heun's third-order method, fixed steps", _fixed("heun3"), _fixed("heun3")),
    "Midpoint": Algorithm("torchdiffeq", "midpoint method, fixed steps", fixed=_fixed("midpoint")),
    "RK4": Algorithm("torchdiffeq", "classical Runge-Kutta method of order 4, fixed steps", fixed=_fixed("rk4")),
    "DP8": _scipy("DOP853", "Dormand-Prince 8(5,3), Hairer's DOP853"),
    "RadauIIA5": _scipy("Radau", "Radau IIA of order 5, implicit, for stiff problems (Hairer & Wanner's RADAU5)"),
    "QNDF": _scipy(
        "BDF", "variable-order NDF of order 1 to 5, implicit, for stiff problems (Shampine & Reichelt 1997)"
    ),
    "lsoda": _scipy("LSODA", "Adams and BDF with automatic switching (Petzold & Hindmarsh)"),
    "CVODE_BDF": _sundials("BDF", "SUNDIALS CVODE, variable-order BDF, implicit, for stiff problems"),
    "CVODE_Adams": _sundials("Adams", "SUNDIALS CVODE, variable-order Adams-Moulton, for non-stiff problems"),
}
