"""What runs where no method is named: an explicit solver, and a stiff one where that finds the problem stiff.

An explicit solver costs what it costs by name: nothing is made for a switch that most problems never need. While it
steps, Julia's half looks now and then whether stability is what limits the steps (see ``stiffness.jl``); there the
solve ends, and begins anew with a solver for stiff problems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from pyode_bridge.errors import SolverError
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.norms import lanes_of
from pyode_bridge.problem.problem import Problem, Settled

Solved = TypeVar("Solved")

STIFF = "Stiff"  # Julia's half returns it in place of a return code

# torchdiffeq's default, which takes no more evaluations than Tsit5, and far fewer in float32; tight tolerances are for
# higher orders.
USUAL, TIGHT = Method("DP5", until_stiff=True), Method("Vern7", until_stiff=True)
TIGHT_RTOL = 1e-9

# Implicit solvers, with numbers of components up to which they are taken: their matrices are dense.
SMALL, LARGEST = 200, 1000
ROSENBROCK, MULTISTEP = Method("Rodas5P"), Method("FBDF")


class StiffError(Exception):
    """The problem was found stiff at time ``s`` by a solver that is explicit."""

    def __init__(self, s: float) -> None:
        super().__init__(s)
        self.s = s


def by_suitable_method(
    solve: Callable[[Problem], Solved], problem: Problem, has_pattern: Callable[[Problem], bool] = lambda _: False
) -> Solved:
    """``solve`` the problem by the method that was named, or, where none was, by one that suits it.

    ``has_pattern`` says whether the Jacobian of a problem will be sparse, which then may be large.
    """
    if problem.method.algorithm is not None:
        return solve(problem)
    try:
        return solve(first(problem))
    except StiffError as found:
        _check_alone(problem, found.s)
        stiff = after_stiffness(problem)
        if len(problem.y0) > LARGEST and not has_pattern(stiff):
            raise _too_large(problem, found.s) from None
        return solve(stiff)


def first(problem: Problem) -> Problem:
    """The problem with the method that is tried first."""
    if problem.mass_matrix is not None or problem.sparsity is not None:  # which explicit solvers know nothing of
        return after_stiffness(problem)
    rtol = torch.as_tensor(problem.tolerances.rtol, dtype=torch.float64).min().item()
    made = _by(problem, TIGHT if rtol < TIGHT_RTOL and problem.y0.dtype == torch.float64 else USUAL)
    made.settled = problem.settled
    return made


def after_stiffness(problem: Problem) -> Problem:
    """The problem with a method for stiff ones."""
    one_rtol = not isinstance(problem.tolerances.rtol, torch.Tensor)
    made = _by(problem, ROSENBROCK if len(problem.y0) <= SMALL and one_rtol else MULTISTEP)
    # What stands for the settings is what is tried first.
    made.settled = None if problem.settled is None else Settled(problem.settled.asked)
    return made


def _check_alone(problem: Problem, s: float) -> None:
    """Raise SolverError for trajectories that share their steps: the matrix would have rows for all of them."""
    if lanes_of(problem.options.norm) is None:
        return
    t = problem.dynamics.direction.user_time(s)
    raise SolverError(
        f"No method is named, and the problem is stiff, as was found at t = {t:.6g}: solvers for stiff problems are "
        "implicit, and shared_steps is for explicit ones. Leave it out, and each trajectory has steps of its own; or "
        "name 'Tsit5', which goes on in short steps.",
        retcode=STIFF,
        t=t,
        algorithm=str(first(problem).method),
    )


def _too_large(problem: Problem, s: float) -> SolverError:
    """What is said where a dense matrix would have more than a thousand rows."""
    t = problem.dynamics.direction.user_time(s)
    return SolverError(
        f"No method is named, and the problem is stiff, as was found at t = {t:.6g}: explicit steps are as long as is "
        f"stable, and many more would follow. Solvers for stiff problems keep a dense Jacobian, which is made unasked "
        f"up to {LARGEST} components, and here are {len(problem.y0)}; no pattern was found by which few of them depend "
        "on each other. Give jac_sparsity where there is one; or name a method: 'FBDF(linsolve=KrylovJL_GMRES())' "
        "keeps no matrix, 'ROCK4' suits diffusion, 'FBDF' or 'Rodas5P' take the memory, and 'Tsit5' goes on in short "
        "steps.",
        retcode=STIFF,
        t=t,
        algorithm=str(first(problem).method),
    )


def _by(problem: Problem, method: Method) -> Problem:
    """By a method in both directions, unless another one was named for the backward solve."""
    sensitivity = problem.sensitivity
    if sensitivity is not None and sensitivity.method.algorithm is None:
        sensitivity = replace(sensitivity, method=replace(method, until_stiff=False))
    return replace(problem, method=method, sensitivity=sensitivity)
