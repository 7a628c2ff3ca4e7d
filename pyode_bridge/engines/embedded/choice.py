"""Which algorithm is to solve a problem, and whether it serves all that is asked for."""

from __future__ import annotations

from pyode_bridge.engines.embedded.algorithms import ALGORITHMS, SCIPY, SUNDIALS, Algorithm, of_scipy
from pyode_bridge.engines.embedded.integrator import Stepping
from pyode_bridge.errors import UnsupportedError, near_names
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.schemes import ScipySolver
from pyode_bridge.problem.torchdiffeq import METHODS

DEFAULT = "DP5"

GET_JULIA = "Run `python -m pyode_bridge install` for the Julia engine, which has every solver."


def name_of(method: Method) -> str:
    """What this engine calls it."""
    return DEFAULT if method.algorithm is None else str(method).removesuffix("()")


def named(method: Method) -> Algorithm:
    """The algorithm; raises UnsupportedError where there is none of that name, or its package is missing."""
    if isinstance(method.algorithm, ScipySolver):
        return of_scipy(method.algorithm.solver)
    name = name_of(method)
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise UnsupportedError(
            f"method={str(method)!r} is not a solver of the embedded engine, which has {', '.join(ALGORITHMS)}."
            f"{near_names(name, (*METHODS, *ALGORITHMS))} {GET_JULIA}"
        )
    if not algorithm.installed:
        raise UnsupportedError(
            f"{name} needs the package scikit-sundae: pip install 'pyode_bridge[sundials]'. {GET_JULIA}"
        )
    return algorithm


def stepping(method: Method, options: StepOptions) -> tuple[Stepping, bool]:
    """What steps, and whether along a grid."""
    algorithm, adaptive = named(method), options.adaptive_by(method)
    fixed = algorithm.is_fixed(adaptive)
    found = algorithm.fixed if fixed else algorithm.adaptive
    if found is None:
        has, hint = ("adaptive", "") if fixed else ("fixed", " Ask for it with options={'adaptive': False}.")
        raise UnsupportedError(f"The embedded engine has {name_of(method)} with {has} steps only.{hint} {GET_JULIA}")
    return found, fixed


def check_served(problem: Problem) -> None:
    """Raise UnsupportedError where something would be dropped."""
    wanted = _unserved(problem.method, problem.options)
    if problem.sensitivity is not None:
        wanted += _unserved(problem.sensitivity.method, problem.sensitivity.options)
    if problem.mass_matrix is not None:
        wanted.append("mass_matrix")
    if problem.sparsity is not None:
        wanted.append("jac_sparsity")
    if problem.dense and not named(problem.method).keeps_steps:
        wanted.append(f"dense with {name_of(problem.method)}")
    if problem.lane == "compiled":
        wanted.append("lane='compiled'")
    wanted += _unheard(problem)
    if wanted:
        raise UnsupportedError(f"The embedded engine does not serve {', '.join(dict.fromkeys(wanted))}. {GET_JULIA}")


def _unserved(method: Method, options: StepOptions) -> list[str]:
    """The options that were set and that the solver has no use for."""
    algorithm, adaptive = named(method), options.adaptive_by(method)
    unserved = options.others_than(algorithm.served(adaptive))
    if adaptive and algorithm.adaptive is None:
        unserved.append("adaptive=True")
    return [f"{option} with {name_of(method)}" for option in unserved]


def _unheard(problem: Problem) -> list[str]:
    """Callbacks of steps, of solvers that tell of none; SciPy's by torchdiffeq's name have been warned of."""
    asked = [(problem.method, problem.step_callbacks)]
    if problem.sensitivity is not None:
        asked.append((problem.sensitivity.method, problem.backward_callbacks))
    return [
        f"callbacks of steps with {name_of(method)}"
        for method, callbacks in asked
        if callbacks is not None
        and named(method).source in (SCIPY, SUNDIALS)
        and not isinstance(method.algorithm, ScipySolver)
    ]
