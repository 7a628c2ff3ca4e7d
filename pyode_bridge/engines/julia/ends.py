"""How a solve by Julia has ended: in one of the ways that are no success, it raises."""

from __future__ import annotations

from pyode_bridge.engines.julia.unnamed import STIFF, StiffError
from pyode_bridge.problem.problem import Problem, Sensitivity
from pyode_bridge.problem.retcodes import SUCCESS, raise_for_retcode


def check_end(retcode: str, s: float, problem: Problem, algorithm: str, backward: Sensitivity | None = None) -> None:
    """Raise SolverError as `raise_for_retcode` does, or StiffError, for a solve that ended early, at ``s``."""
    if retcode in SUCCESS:
        return
    if retcode == STIFF:
        raise StiffError(s)
    if backward is None:
        problem.dynamics.check_start(problem.t[0].item(), problem.y0)
    raise_for_retcode(retcode, s, problem, algorithm, backward)
