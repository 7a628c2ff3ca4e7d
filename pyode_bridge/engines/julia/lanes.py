"""The choice of lane: dynamics compiled to Julia, or called in Python."""

from __future__ import annotations

from typing import Any

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.compilation import lane_for, pattern_for
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia.named import Named, Solvers
from pyode_bridge.engines.julia.step_control import is_called
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import predicates
from pyode_bridge.problem.forms import Hybrid
from pyode_bridge.problem.graph import are_entangled
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.problem import Problem, SolverSpec
from pyode_bridge.problem.sparsity import Sparsity

SPARSE_FROM = 200  # components: below, a full matrix costs little


class Lanes:
    """Those of one Julia; a lane is to be released."""

    def __init__(self, bridge: Any, named: Named) -> None:
        self._bridge, self._named = bridge, named

    def chosen(self, problem: Problem, solvers: Solvers) -> tuple[Lane | None, str]:
        """The compiled dynamics, or None for callbacks, and why."""
        if problem.lane == "callback":
            self._bridge.check_callable("lane='callback' is for Python's dynamics")
            return None, "as asked for"
        try:
            return self.compiled(problem, solvers), why_compiled(problem.dynamics.func)
        except UnsupportedDynamicsError as refusal:
            if problem.lane == "compiled":
                raise UnsupportedError(
                    f"lane='compiled' cannot serve these dynamics, because {refusal}. lane='auto' would call Python."
                ) from refusal
            self._bridge.check_callable(str(refusal))
            return None, f"not compiled, because {refusal}"

    def for_threads(self, problem: Problem, solvers: Solvers) -> Lane:
        """The compiled dynamics, for solves that call no Python; raises UnsupportedDynamicsError where they would."""
        specs: tuple[SolverSpec | Problem, ...] = tuple(filter(None, (problem, problem.sensitivity)))
        for name, given in (
            ("a norm that is a function", next((True for spec in specs if is_called(spec.options.norm)), None)),
            ("a callback of steps", problem.step_callbacks or problem.backward_callbacks),
        ):
            if given is not None:
                raise UnsupportedDynamicsError(f"{name} is evaluated in Python")
        lane = self.compiled(problem, solvers)
        reason = self.calls_python(lane, problem, solvers)
        if reason is not None:
            lane.release()
            raise UnsupportedDynamicsError(reason)
        return lane

    def calls_python(self, lane: Lane, problem: Problem, solvers: Solvers) -> str | None:
        """Why a solve would call Python all the same; None where it would not."""
        jacobian = "jacobian" if problem.sparsity is None else problem.sparsity.name
        if lane.address(jacobian) is None and self._named.takes_jacobian(problem, solvers):
            return "its Jacobian is not translated, as a large one is not"
        parts = () if problem.form is None else problem.form.parts
        for name in (*predicates.given(problem.options), *parts):
            if lane.address(name) is None:
                return f"{name} is evaluated in Python"
        return None

    def pattern(self, problem: Problem, solvers: Solvers) -> Sparsity | None:
        """A pattern of the Jacobian, where the solver keeps that as a matrix which would be large, and there is one."""
        if not (problem.find_sparsity and len(problem.y0) >= SPARSE_FROM and problem.lane != "callback"):
            return None
        ordinary = problem.form is None or isinstance(problem.form, Hybrid)
        plain = ordinary and problem.mass_matrix is None and not is_written(problem.dynamics.func)
        if not plain or not self._named.keeps_matrix(problem, solvers):
            return None
        with julia_errors(problem.method):
            return pattern_for(problem.dynamics, problem.y0, problem.t, self._bridge)

    def compiled(self, problem: Problem, solvers: Solvers) -> Lane:
        """The compiled dynamics; raises UnsupportedDynamicsError where there are none."""
        if are_entangled(problem.dynamics.parameters):
            raise UnsupportedDynamicsError("adjoint_params lists a tensor beside one that it was computed from")
        products, jacobian = problem.sensitivity is not None, self._named.takes_jacobian(problem, solvers)
        with julia_errors(problem.method):
            return lane_for(
                problem.dynamics,
                problem.y0,
                problem.t,
                products=products,
                jacobian=jacobian,
                backend=self._bridge,
                beside=problem.beside,
                sparsity=problem.sparsity,
            )


def why_compiled(func: Any) -> str:
    """What a solution says of the compiled lane."""
    return "func is written in Julia" if is_written(func) else "func was translated to Julia"
