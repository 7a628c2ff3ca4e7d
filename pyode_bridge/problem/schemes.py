"""Methods that are given by their numbers, for an engine that has none of that name: torchdiffeq's, as it steps."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias


@dataclass(frozen=True)
class Tableau:
    """A Runge-Kutta method (Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", II.1 and II.7).

    Stage ``i`` is the derivative at ``t + c[i] h`` and ``y + h sum_j a[i][j] k[j]``; a step is ``h sum_i b[i] k[i]``.

    Attributes:
        name: torchdiffeq's.
        order: order of convergence.
        a, b, c: its numbers; ``a`` has as many rows as stages, each as long as ``b``.
        error: weights of the error estimate, as ``b``; empty for a method of fixed steps.
    """

    name: str
    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    error: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.name

    @cached_property
    def is_explicit(self) -> bool:
        """Whether each stage needs those before it alone."""
        return not any(any(row[i:]) for i, row in enumerate(self.a))


@dataclass(frozen=True)
class Adams:
    """An Adams method over the derivatives at the starts of the steps so far, as if all steps were of one length.

    The first three steps are those of Kutta's 3/8 rule; from then on the order grows with the steps, up to the option
    ``max_order``. An implicit one predicts by Adams-Bashforth and corrects by Adams-Moulton, until the correction is
    within the tolerances or ``max_iters`` times (Hairer, Norsett & Wanner, III.1).
    """

    name: str
    implicit: bool

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ScipySolver:
    """A solver of ``scipy.integrate.solve_ivp`` by its name there."""

    solver: str

    def __str__(self) -> str:
        return f"scipy_solver ({self.solver})"


Scheme: TypeAlias = Tableau | Adams | ScipySolver


def explicit(name: str, order: int, *rows: tuple[float, ...]) -> Tableau:
    """An explicit method: the weights in the state of each stage after the first, then those of the step."""
    *stages, b = rows
    size = len(b)
    a = tuple(row + (0.0,) * (size - len(row)) for row in ((), *stages))
    return Tableau(name, order, a, b, tuple(map(math.fsum, a)))


def implicit(name: str, order: int, *rows: tuple[float, ...], b: tuple[float, ...] | None = None) -> Tableau:
    """A method with a row of weights for each stage, whose last is the step's too unless ``b`` says otherwise."""
    return Tableau(name, order, rows, rows[-1] if b is None else b, tuple(map(math.fsum, rows)))


ROOT_2, ROOT_3, ROOT_6, ROOT_15 = map(math.sqrt, (2, 3, 6, 15))
GAMMA = 1 - ROOT_2 / 2

# Of fixed steps, as torchdiffeq takes them. Its "rk4" is Kutta's 3/8 rule; "RK4" is his classical method.
EULER = explicit("euler", 1, (1.0,))
MIDPOINT = explicit("midpoint", 2, (0.5,), (0.0, 1.0))
HEUN2 = explicit("heun2", 2, (1.0,), (0.5, 0.5))
HEUN3 = explicit("heun3", 3, (1 / 3,), (0.0, 2 / 3), (0.25, 0.0, 0.75))
KUTTA = explicit("RK4", 4, (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
THREE_EIGHTHS = explicit("rk4", 4, (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0), (1 / 8, 3 / 8, 3 / 8, 1 / 8))

# Implicit ones: Hairer & Wanner, "Solving Ordinary Differential Equations II", IV.5 and IV.6; the TR-BDF2 of Hosea &
# Shampine 1996.
IMPLICIT_EULER = implicit("implicit_euler", 1, (1.0,))
IMPLICIT_MIDPOINT = implicit("implicit_midpoint", 2, (0.5,), b=(1.0,))
TRAPEZOID = implicit("trapezoid", 2, (0.0, 0.0), (0.5, 0.5))
RADAU_IIA_3 = implicit("radauIIA3", 3, (5 / 12, -1 / 12), (3 / 4, 1 / 4))
GAUSS_LEGENDRE_4 = implicit("gl4", 4, (1 / 4, 1 / 4 - ROOT_3 / 6), (1 / 4 + ROOT_3 / 6, 1 / 4), b=(0.5, 0.5))
RADAU_IIA_5 = implicit(
    "radauIIA5",
    5,
    ((88 - 7 * ROOT_6) / 360, (296 - 169 * ROOT_6) / 1800, (-2 + 3 * ROOT_6) / 225),
    ((296 + 169 * ROOT_6) / 1800, (88 + 7 * ROOT_6) / 360, (-2 - 3 * ROOT_6) / 225),
    ((16 - ROOT_6) / 36, (16 + ROOT_6) / 36, 1 / 9),
)
GAUSS_LEGENDRE_6 = implicit(
    "gl6",
    6,
    (5 / 36, 2 / 9 - ROOT_15 / 15, 5 / 36 - ROOT_15 / 30),
    (5 / 36 + ROOT_15 / 24, 2 / 9, 5 / 36 - ROOT_15 / 24),
    (5 / 36 + ROOT_15 / 30, 2 / 9 + ROOT_15 / 15, 5 / 36),
    b=(5 / 18, 4 / 9, 5 / 18),
)
SDIRK2 = implicit("sdirk2", 2, (GAMMA, 0.0), (1 - GAMMA, GAMMA))
TRBDF2 = implicit("trbdf2", 2, (0.0, 0.0, 0.0), (GAMMA, GAMMA, 0.0), (ROOT_2 / 4, ROOT_2 / 4, GAMMA))


@cache
def embedded_pair(name: str) -> Tableau:
    """A method of torchdiffeq's that adapts its steps, with the numbers that it has there."""
    from torchdiffeq._impl.odeint import SOLVERS

    solver = SOLVERS[name]
    c, stages, b, error = solver.tableau
    a = tuple((*row.tolist(), *[0.0] * (len(b) - len(row))) for row in (b[:0], *stages))
    return Tableau(name, solver.order, a, tuple(b.tolist()), (0.0, *c.tolist()), tuple(error.tolist()))


EXPLICIT_ADAMS = Adams("explicit_adams", implicit=False)
IMPLICIT_ADAMS = Adams("implicit_adams", implicit=True)


def bashforth_weights(order: int) -> tuple[float, ...]:
    """Weights of the derivatives at the start of the step and of those before, the latest first."""
    return _adams_weights(range(0, -order, -1))


def moulton_weights(order: int) -> tuple[float, ...]:
    """Weights of the derivatives at the end of the step, at its start and at those before."""
    return _adams_weights(range(1, 1 - order, -1))


def _adams_weights(nodes: range) -> tuple[float, ...]:
    """The integrals from 0 to 1 of Lagrange's polynomials over equidistant nodes, exact to the last rounding."""
    return tuple(_integral(node, nodes) for node in nodes)


def _integral(node: int, nodes: range) -> float:
    others = [other for other in nodes if other != node]
    coefficients = [1]  # of the product of (x - other), from the constant on
    for other in others:
        shifted, scaled = [0, *coefficients], [-other * c for c in coefficients]
        coefficients = [a + b for a, b in itertools.zip_longest(shifted, scaled, fillvalue=0)]
    common = math.lcm(*range(1, len(nodes) + 1))
    total = sum(c * (common // power) for power, c in enumerate(coefficients, start=1))
    return total / (common * math.prod(node - other for other in others))
