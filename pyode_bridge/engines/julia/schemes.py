"""Julia's solvers of methods that are given by their numbers."""

from __future__ import annotations

import warnings
from typing import Any

from pyode_bridge.errors import OptionWarning
from pyode_bridge.problem.options import MAX_ORDER, StepOptions
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.schemes import THREE_EIGHTHS, Adams, Tableau, bashforth_weights, moulton_weights

# How often stages are corrected by Newton's method, or the end of a step by an Adams method, where nothing is said.
NEWTON_ITERS, ADAMS_ITERS = 100, 4
FEWEST_ORDER = 4


def solver_of(bridge: Any, scheme: Tableau | Adams, options: StepOptions) -> Any:
    """The solver that steps by a scheme."""
    kind = options.perturb, options.interp == "cubic"
    if isinstance(scheme, Adams):
        return _adams(bridge, scheme, options, kind)
    if scheme.error:
        return bridge.embedded_pair(scheme.a, scheme.b, scheme.c, scheme.error, scheme.order)
    numbers = scheme.name, scheme.a, scheme.b, scheme.c, scheme.order
    if scheme.is_explicit:
        return bridge.explicit_steps(*numbers, *kind)
    return bridge.implicit_steps(*numbers, *kind, options.max_iters or NEWTON_ITERS)


def _adams(bridge: Any, scheme: Adams, options: StepOptions, kind: tuple[bool, bool]) -> Any:
    highest = options.max_order or MAX_ORDER
    if highest < FEWEST_ORDER:
        warnings.warn(
            f"max_order is {highest}, and from {FEWEST_ORDER} on {scheme} is an Adams method: below, it is 'rk4'.",
            OptionWarning,
            stacklevel=2,
        )
    starter = solver_of(bridge, THREE_EIGHTHS, StepOptions())
    orders = range(1, highest + 1)
    return bridge.adams_steps(
        scheme.name,
        starter,
        tuple(map(bashforth_weights, orders)),
        tuple(map(moulton_weights, orders)),
        scheme.implicit,
        max(highest - 1, 1),
        options.max_iters or ADAMS_ITERS,
        *kind,
    )


def warn_where_unconverged(bridge: Any, problem: Problem, solved: Any) -> None:
    """Warn where an implicit Adams method stopped correcting a step before it had converged."""
    scheme = problem.method.algorithm
    if not (isinstance(scheme, Adams) and scheme.implicit):
        return
    steps = int(bridge.unconverged_steps(solved))
    if steps:
        warnings.warn(
            f"{scheme} corrected {steps} steps as often as max_iters allows without an end within the tolerances. The "
            "solution may be wrong: take shorter steps, or raise options['max_iters'].",
            RuntimeWarning,
            stacklevel=2,
        )
