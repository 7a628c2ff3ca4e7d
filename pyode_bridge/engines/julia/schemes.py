"""Julia's solvers of methods that are given by their numbers."""

from __future__ import annotations

from typing import Any

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.schemes import Adams, Tableau


def solver_of(bridge: Any, scheme: Tableau | Adams, options: StepOptions) -> Any:
    """The solver that steps by a scheme."""
    if isinstance(scheme, Adams):
        raise UnsupportedError(f"{scheme} is not served by the Julia engine yet; choose engine='embedded'.")
    if scheme.error:
        return bridge.embedded_pair(scheme.a, scheme.b, scheme.c, scheme.error, scheme.order)
    if not scheme.is_explicit:
        raise UnsupportedError(f"{scheme} is not served by the Julia engine yet; choose engine='embedded'.")
    numbers = scheme.a, scheme.b, scheme.c, scheme.order
    return bridge.explicit_steps(*numbers, options.perturb, options.interp == "cubic")
