"""A problem as the solvers of this engine take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import NOBODY, InitialValueProblem
from pyode_bridge.problem.grids import Grids
from pyode_bridge.problem.norms import FlatNorm, mixed, of_state
from pyode_bridge.problem.options import Norm
from pyode_bridge.problem.problem import Problem


def forward(problem: Problem, *, fixed: bool) -> InitialValueProblem:
    """The problem itself; ``fixed`` is whether its steps are those of a grid."""
    dynamics, options, direction = problem.dynamics, problem.options, problem.dynamics.direction
    grid = problem.grid
    if fixed and grid is None:
        grid = Grids(str(problem.method), options, None, None, direction).between(direction.user_time(problem.t))
    structure = dynamics.structure
    norm = of_state(options.norm, structure) if callable(options.norm) else None
    return InitialValueProblem(
        f=dynamics,
        jacobian=dynamics.jacobian,
        newton=dynamics.jacobian,
        y0=problem.y0,
        t=problem.t,
        tolerances=problem.tolerances,
        options=options,
        norm=flat_norm(options.norm, norm, structure.sizes),
        grid=grid if fixed else None,
        stops=tuple(map(direction.solver_time, options.tstops)),
        jumps=tuple(map(direction.solver_time, options.d_discontinuities)),
        listeners=problem.step_callbacks or NOBODY,
        dense=problem.dense,
    )


def flat_norm(norm: Norm, function: FlatNorm | None, sizes: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Of an error; without autograd, so that a discrete adjoint takes the lengths of steps for given.

    ``function`` is what a function of the user's is of a flat state, and ``sizes`` are those of the parts of the state
    whose errors count separately; what is behind them does not count.
    """

    @torch.no_grad()
    def measured(flat: Tensor) -> Tensor:
        if function is not None:
            return flat.new_tensor(function(flat))
        if norm == "max":
            return flat.abs().amax()
        return mixed(torch.split(flat[: sum(sizes)], list(sizes)))

    return measured
