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

from pyode_bridge.methods import Method
from pyode_bridge.problem import Problem

Solved = TypeVar("Solved")

STIFF = "Stiff"  # Julia's half returns it in place of a return code

# Rounding in float32 keeps the steps of Tsit5 short, those of DP5 less; tight tolerances are for higher orders.
SINGLE, DOUBLE, TIGHT = (
    Method("DP5", until_stiff=True),
    Method("Tsit5", until_stiff=True),
    Method("Vern7", until_stiff=True),
)
TIGHT_RTOL = 1e-9

# Implicit solvers, with numbers of components up to which they are taken; the last keeps no matrix.
SMALL, MIDDLE = 200, 1000
ROSENBROCK, MULTISTEP = Method("Rodas5P"), Method("FBDF")
WITHOUT_MATRIX = Method("FBDF(linsolve=KrylovJL_GMRES())")


class StiffError(Exception):
    """The problem was found stiff by a solver that is explicit."""


def by_suitable_method(solve: Callable[[Problem], Solved], problem: Problem) -> Solved:
    """``solve`` the problem by the method that was named, or, where none was, by one that suits it."""
    if problem.method.algorithm is not None:
        return solve(problem)
    try:
        return solve(first(problem))
    except StiffError:
        return solve(after_stiffness(problem))


def first(problem: Problem) -> Problem:
    """The problem with the method that is tried first."""
    if problem.mass_matrix is not None or problem.sparsity is not None:  # which explicit solvers know nothing of
        return after_stiffness(problem)
    rtol = torch.as_tensor(problem.tolerances.rtol).min().item()
    if problem.y0.dtype == torch.float32:
        return _by(problem, SINGLE)
    return _by(problem, TIGHT if rtol < TIGHT_RTOL else DOUBLE)


def after_stiffness(problem: Problem) -> Problem:
    """The problem with a method for stiff ones, which makes no dense matrix of more than a thousand rows."""
    size, one_rtol = len(problem.y0), not isinstance(problem.tolerances.rtol, torch.Tensor)
    if size <= SMALL and one_rtol:
        return _by(problem, ROSENBROCK)
    return _by(problem, MULTISTEP if size <= MIDDLE or problem.sparsity is not None else WITHOUT_MATRIX)


def _by(problem: Problem, method: Method) -> Problem:
    """By a method in both directions, unless another one was named for the backward solve."""
    sensitivity = problem.sensitivity
    if sensitivity is not None and sensitivity.method.algorithm is None:
        sensitivity = replace(sensitivity, method=replace(method, until_stiff=False))
    return replace(problem, method=method, sensitivity=sensitivity)
