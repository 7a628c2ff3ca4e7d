"""Methods of fixed steps, along a grid: those that are given by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor
from torchdiffeq._impl.odeint import SOLVERS

from pyode_bridge.engines.embedded.implicit_stages import implicit
from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.stages import combined, side, stage_time
from pyode_bridge.engines.embedded.steps import Chord, Hermite, Step
from pyode_bridge.engines.embedded.torchdiffeqs import Heard
from pyode_bridge.problem.schemes import Adams, Tableau

# The state after a step from a time and a state to a later time, and the slope at the start, where it was evaluated.
Advance = Callable[[float, Tensor, float], tuple[Tensor, Tensor | None]]


def steps(scheme: Tableau | Adams, between: str, problem: InitialValueProblem, work: Work) -> Iterator[Step]:
    """Those of the grid; ``between`` is what the option ``interp`` is by default."""
    assert problem.grid is not None
    func = Heard(problem, work)
    advance, grid, y0 = _advance(scheme, problem, work, func), problem.grid, problem.y0
    linear = (problem.options.interp or between) == "linear"
    t0 = grid[0].item()
    for position in range(1, len(grid)):  # a list of all times takes a hundred times the memory
        t1 = grid[position].item()
        func.callback_step(t0, y0, t1 - t0)
        y1, f0 = advance(t0, y0, t1)
        func.callback_accept_step(t0, y0, t1 - t0)
        yield Chord(t0, y0, t1, y1) if linear else Hermite(func, t0, y0, f0, t1, y1)
        t0, y0 = t1, y1


def _advance(scheme: Tableau | Adams, problem: InitialValueProblem, work: Work, func: Heard) -> Advance:
    if isinstance(scheme, Adams):
        return _adams(scheme, problem, func)
    if scheme.is_explicit:
        return explicit(scheme, func, perturb=problem.options.perturb)
    return implicit(scheme, problem, work, func)


def explicit(tableau: Tableau, func: Heard, *, perturb: bool) -> Advance:
    """Stages one after the other."""
    sides = [side(node, perturb=perturb) for node in tableau.c]

    def advance(t0: float, y0: Tensor, t1: float) -> tuple[Tensor, Tensor]:
        h, slopes = t1 - t0, list[Tensor]()
        for row, node, where in zip(tableau.a, tableau.c, sides, strict=True):
            y = combined(y0, h, row, slopes)
            slopes.append(func(stage_time(node, t0, t1), y, perturb=where))
        return combined(y0, h, tableau.b, slopes), slopes[0]

    return advance


def _adams(scheme: Adams, problem: InitialValueProblem, func: Heard) -> Advance:
    """torchdiffeq's, which remember the slopes of earlier steps."""
    options, tolerances = problem.options, problem.tolerances
    given = {"max_order": options.max_order, "max_iters": options.max_iters}
    solver = SOLVERS[scheme.name](
        func=func,
        y0=problem.y0,
        rtol=tolerances.rtol,
        atol=tolerances.atol,
        perturb=options.perturb,
        **{name: value for name, value in given.items() if value is not None},
    )

    def advance(t0: float, y0: Tensor, t1: float) -> tuple[Tensor, Tensor]:
        increment, f0 = solver._step_func(func, t0, t1 - t0, t1, y0)
        return y0 + increment, f0

    return advance
