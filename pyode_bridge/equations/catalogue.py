"""What the running engine offers."""

from __future__ import annotations

from pyode_bridge.engines import select_engine
from pyode_bridge.errors import InputError, near_names
from pyode_bridge.problem.settings import EngineName
from pyode_bridge.views.solver_table import SolverTable


def solvers(
    engine: EngineName | None = None,
    *,
    family: str | None = None,
    implicit: bool | None = None,
    adaptive: bool | None = None,
    problem: str | None = None,
    min_order: int = 0,
    stiff: bool | None = None,
) -> SolverTable:
    """The solvers of an engine, read from the engine itself: a list of `SolverInfo`, which shows as a table.

    Args:
        engine: ``"julia"`` or ``"embedded"``; default: the one that `odeint` would use.
        family: only this family, such as ``"Rosenbrock"`` or ``"BDF/NDF"``.
        implicit: only solvers that are implicit, or that are not.
        adaptive: only solvers that choose their steps, or that do not.
        problem: only solvers of ``"ODE"``, ``"partitioned"``, ``"DAE"``, ``"SDE"`` or ``"DDE"`` problems.
        min_order: only solvers of at least this order; those without a fixed order are kept if it is 0.
        stiff: only solvers for stiff problems, or only others; see `SolverInfo.stiff`.

    Raises:
        InputError: there is no such family or kind of problem.

    Examples:
        >>> import pyode_bridge as pb
        >>> stiff = [solver.name for solver in pb.solvers("embedded", stiff=True)]
    """
    found = select_engine(engine).solvers()
    _known("family", family, [solver.family for solver in found])
    _known("problem", problem, ["ODE", "partitioned", "DAE", "SDE", "DDE"])
    return SolverTable(
        solver
        for solver in found
        if family in (None, solver.family)
        and implicit in (None, solver.implicit)
        and adaptive in (None, solver.adaptive)
        and problem in (None, solver.problem)
        and (solver.order or 0) >= min_order
        and stiff in (None, solver.stiff)
    )


def _known(name: str, value: str | None, known: list[str]) -> None:
    if value is not None and value not in known:
        names = list(dict.fromkeys(known))
        raise InputError(f"{name} is {value!r}; known are {', '.join(names)}.{near_names(value, names)}")
