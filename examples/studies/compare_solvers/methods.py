"""Which solvers are compared, and what is known of one by its name."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pyode_bridge as pb
from examples.support.problems.problem import Problem
from pyode_bridge.problem.methods import as_method

# On the embedded engine, the solvers that it has are compared (`default_methods`).
JULIA_METHODS = {
    False: ("BS3", "BS5", "Tsit5", "DP5", "DP8", "TanYam7", "Vern6", "Vern7", "Vern8", "Vern9", "VCABM"),
    True: (
        *("Rosenbrock23", "Rodas4", "Rodas5P", "TRBDF2", "KenCarp4", "Kvaerno5", "RadauIIA5", "RadauIIA9"),
        *("QNDF", "FBDF", "Rodas4P"),
    ),
}
# In Julia alone: symplectic ones, and Nystrom's.
SECOND_ORDER_METHODS = ("VelocityVerlet", "McAte5", "KahanLi8", "DPRKN6", "DPRKN12")
# With --quick, since Julia compiles each for some seconds.
QUICK_JULIA_METHODS = {False: ("Tsit5",), True: ("Rodas5P",)}
QUICK_SECOND_ORDER_METHODS = ("KahanLi8",)
QUICK_EMBEDDED_METHODS = {False: ("DP5", "RK4"), True: ("RadauIIA5", "lsoda")}


def second_order_methods(problem: Problem, engine: str, *, quick: bool) -> Sequence[str]:
    if not problem.acceleration or engine != "julia":
        return ()
    return QUICK_SECOND_ORDER_METHODS if quick else SECOND_ORDER_METHODS


@functools.cache
def has_fixed_steps(method: str, engine: str) -> bool:
    return as_method(method).fixed_step or type_name(method) in [s.name for s in pb.solvers(engine, adaptive=False)]


@functools.cache
def is_partitioned(method: str, engine: str) -> bool:
    return type_name(method) in [solver.name for solver in pb.solvers(engine, problem="partitioned")]


def type_name(method: str) -> str:
    return str(as_method(method)).split("(")[0]


def default_methods(stiff: bool, engine: str, *, quick: bool) -> Sequence[str]:
    """Solvers worth comparing: on the embedded engine, all implicit ones, or the explicit ones of order 3 or more."""
    if engine == "julia":
        return (QUICK_JULIA_METHODS if quick else JULIA_METHODS)[stiff]
    if quick:
        return QUICK_EMBEDDED_METHODS[stiff]
    if stiff:
        return [solver.name for solver in pb.solvers(engine, implicit=True)]
    explicit = pb.solvers(engine, implicit=False, adaptive=True)
    return [solver.name for solver in explicit if solver.order is None or solver.order >= 3] + ["RK4"]
