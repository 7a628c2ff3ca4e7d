"""What the running engine offers."""

from __future__ import annotations

from collections.abc import Sequence

from pyode_bridge.engines import select_engine
from pyode_bridge.problem import SolverInfo


def solvers(engine: str | None = None) -> Sequence[SolverInfo]:
    """The solvers of ``engine`` (default: the one `odeint` would use), read from the engine itself."""
    return select_engine(engine).solvers()
