"""What the running engine offers."""

from __future__ import annotations

from collections.abc import Sequence

from pyode_bridge.engines import select_engine
from pyode_bridge.errors import InputError, near_names
from pyode_bridge.problem.problem import SolverInfo
from pyode_bridge.problem.settings import EngineName


def solvers(
    engine: EngineName | None = None,
    *,
    family: str | None = None,
    implicit: bool | None = None,
    adaptive: bool | None = None,
    problem: str | None = None,
    min_order: int = 0,
) -> Sequence[SolverInfo]:
    """The solvers of an engine, read from the engine itself.

    Args:
        engine: ``"julia"`` or ``"embedded"``; default: the one that `odeint` would use.
        family: only this family, such as ``"Rosenbrock"`` or ``"BDF/NDF"``.
        implicit: only solvers that are implicit, or that are not.
        adaptive: only solvers that choose their steps, or that do not.
        problem: only solvers of ``"ODE"``, ``"partitioned"``, ``"DAE"``, ``"SDE"`` or ``"DDE"`` problems.
        min_order: only solvers of at least this order; those without a fixed order are kept if it is 0.

    Raises:
        InputError: there is no such family or kind of problem.

    Examples:
        >>> import pyode_bridge as pb
        >>> stiff = [solver.name for solver in pb.solvers("embedded", implicit=True)]
    """
    found = select_engine(engine).solvers()
    _known("family", family, [solver.family for solver in found])
    _known("problem", problem, ["ODE", "partitioned", "DAE", "SDE", "DDE"])
    return [
        solver
        for solver in found
        if family in (None, solver.family)
        and implicit in (None, solver.implicit)
        and adaptive in (None, solver.adaptive)
        and problem in (None, solver.problem)
        and (solver.order or 0) >= min_order
    ]


def _known(name: str, value: str | None, known: list[str]) -> None:
    if value is not None and value not in known:
        names = list(dict.fromkeys(known))
        raise InputError(f"{name} is {value!r}; known are {', '.join(names)}.{near_names(value, names)}")
