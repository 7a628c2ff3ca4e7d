"""A prepared problem, solved with autograd."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from pyode_bridge.derivatives import hooks
from pyode_bridge.derivatives.autograd import OdeSolve
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import progress as progress_bar
from pyode_bridge.problem.forms import Form
from pyode_bridge.problem.problem import SolverStats, Trajectory
from pyode_bridge.problem.state import State, Structure


def solution_of(prepared: Prepared) -> Solution:
    """Solve, with autograd."""
    ys, trajectory = run(prepared)
    structure = prepared.structure
    return Solution(t=prepared.t, y=values(ys, structure), trajectory=trajectory, structure=structure)


def run(prepared: Prepared) -> tuple[Tensor, Trajectory]:
    """Solve; returns the values over the flat state, shape ``(T, n)``, with autograd, and what the engine returned."""
    engine, problem = prepared.engine, prepared.problem
    if len(problem.t) == 1:
        return prepared.y0[None], standing(engine.name, str(problem.method), problem.y0)
    if problem.sensitivity is None:
        with progress_bar.shown(problem), hooks.apart():
            trajectory = engine.solve(problem)
        return trajectory.ys, trajectory
    wanted = problem.dynamics.wanted
    solved: tuple[Tensor, Trajectory] = OdeSolve.apply(  # type: ignore[no-untyped-call]
        engine, problem, prepared.y0, prepared.t, *wanted.parameters, *wanted.unmet
    )
    return solved


def standing(engine: str, algorithm: str, y0: Tensor) -> Trajectory:
    """What comes of a solve to no other time than that of flat ``y0``."""
    reason = "there is no other time than that of y0, so nothing was solved"
    return Trajectory(y0[None], SolverStats(0, 0, 0, 0), "Success", engine, algorithm, "native", lane_reason=reason)


def without_gradients(
    prepared: Prepared, form: Form, function: str, advice: str = "call it under torch.no_grad()"
) -> Prepared:
    """The same for an equation of another form, of which there is no adjoint; ``function`` is what the user called."""
    problem = prepared.problem
    wanted = (prepared.y0, prepared.t, *problem.dynamics.parameters)
    if problem.sensitivity is not None and any(tensor.requires_grad for tensor in wanted):
        raise UnsupportedError(
            f"{function} gives no gradients, but y0, t or a parameter of the dynamics requires one; {advice}."
        )
    return replace(prepared, problem=replace(problem, form=form, sensitivity=None))


def values(ys: Tensor, structure: Structure) -> State:
    """What the user gets: memory of its own where autograd's graph keeps ``ys``, so that it may be changed in place."""
    return structure.unpack_copy(ys) if ys.requires_grad else structure.unpack(ys)
