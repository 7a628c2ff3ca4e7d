"""What Julia makes of what a user names: solvers, sensitivity algorithms, step control; each once.

To look a name up, Julia reads what its packages export, which takes longer than a short solve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.limits import warn_of_misleading
from pyode_bridge.engines.julia.plan import Backward
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import AS_ASKED, Problem, Sensitivity

# What differentiates the steps that torchdiffeq's fixed-step methods take.
DISCRETE = "DiscreteAdjoint"
FIXED_STEPS = "the steps are fixed: it is their own gradient, as that of torchdiffeq through its steps"


class Solvers(NamedTuple):
    """Julia's solvers of a problem; that of the backward solve is None where no gradient is wanted."""

    forward: Any
    backward: Any


class Named:
    """The objects of one Julia, by what names them."""

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self._made: dict[Any, Any] = {}

    def with_solvers(self, problem: Problem) -> tuple[Problem, Solvers]:
        """The problem with the method of its backward solve, and the solvers of both directions."""
        algorithm, sensitivity = self.solver(problem.method), problem.sensitivity
        if sensitivity is None:
            return problem, Solvers(algorithm, None)
        if "adjoint_method" not in sensitivity.asked and not sensitivity.method.fixed_step:
            chosen = self._chosen_backward(problem, sensitivity, algorithm)
            if chosen:
                sensitivity = replace(sensitivity, method=Method(chosen))
                problem = replace(problem, sensitivity=sensitivity)
        return problem, Solvers(algorithm, self.solver(sensitivity.method))

    def takes_jacobian(self, problem: Problem, solvers: Solvers) -> bool:
        """Whether a full Jacobian will be asked for, in one of the directions."""
        sensitivity = problem.sensitivity
        return problem.sparsity is None and (
            self._is_implicit(problem.method, solvers.forward)
            or (sensitivity is not None and self._adjoint_takes_jacobian(sensitivity, solvers.backward))
        )

    def control(self, problem: Problem, callbacks: Callbacks) -> Any:
        """How the forward solve may step."""
        options = problem.options
        if options.for_adjoint() is options:  # it needs no callbacks
            return self._step_control(options, problem.method)
        return self._step_control(
            options,
            problem.method,
            tstops=sorted(map(problem.dynamics.direction.solver_time, options.tstops)),
            isoutofdomain=callbacks.predicate(options.isoutofdomain),
            unstable_check=callbacks.predicate(options.unstable_check),
        )

    def backward(self, problem: Problem, equation: Any, solvers: Solvers) -> Backward | None:
        """How gradients are computed; None where none are wanted."""
        if problem.sensitivity is None:
            return None
        sensitivity, reason = self._chosen_sensitivity(problem, problem.sensitivity, equation, solvers)
        sensealg, control = self.sensealg(sensitivity), self._step_control(sensitivity.options, sensitivity.method)
        joint = self._joint_products(str(sensitivity.sensealg), sensealg)
        return Backward(sensitivity, reason, sensealg, solvers.backward, control, joint)

    def _chosen_sensitivity(
        self, problem: Problem, sensitivity: Sensitivity, equation: Any, solvers: Solvers
    ) -> tuple[Sensitivity, str]:
        """The problem's, with the sensitivity algorithm that suits it where none is named, and why that one."""
        if sensitivity.sensealg is None and _is_plain_fixed(problem) and sensitivity.method == problem.method:
            return replace(sensitivity, sensealg=DISCRETE), FIXED_STEPS
        named = None if sensitivity.sensealg is None else self.sensealg(sensitivity)
        with julia_errors(str(sensitivity.method), argument="adjoint_method"):
            self._bridge.backward_algorithm(equation, solvers.backward, named)  # refused now or after the solve
        if named is not None:
            if problem.dynamics.parameter_size:
                misled = str(self._bridge.may_mislead(named, solvers.backward))
                if misled:
                    warn_of_misleading(sensitivity, misled)
            return sensitivity, AS_ASKED + _other_solver(problem, sensitivity)
        with julia_errors(problem.method):
            chosen, reason = self._bridge.chosen_sensealg(
                equation, *solvers, len(problem.y0), problem.dynamics.parameter_size
            )
        return replace(sensitivity, sensealg=str(chosen)), str(reason) + _other_solver(problem, sensitivity)

    def solver(self, method: Method) -> Any:
        """The solver of a method; raises UnknownSolverError or UnsupportedError where Julia has none of that name."""
        named, kind = method.algorithm, method.kind
        key = ("algorithm", named, kind) if isinstance(named, str) else named

        def made() -> Any:
            with julia_errors(method):
                return self._bridge.algorithm(named, kind)

        return self._once(key, made)

    def sensealg(self, sensitivity: Sensitivity) -> Any:
        """The sensitivity algorithm, which has a name; raises UnknownSensealgError or UnsupportedError."""
        name, tolerances = sensitivity.sensealg, sensitivity.tolerances

        def made() -> Any:
            with julia_errors(str(name), argument="sensealg"):
                return self._bridge.sensitivity_algorithm(name, abstol=tolerances.atol, reltol=tolerances.rtol)

        return self._once(("sensealg", name, tolerances.atol, tolerances.rtol), made)

    def _step_control(self, options: StepOptions, method: Method, **forward_only: Any) -> Any:
        """How a solve by a method may step."""

        def made() -> Any:
            with julia_errors(options.controller or "", argument="controller"):
                return self._bridge.step_control(
                    dt=options.dt,
                    dtmin=options.dtmin,
                    dtmax=options.dtmax,
                    maxiters=options.maxiters,
                    adaptive=options.adaptive_by(method),
                    norm=options.norm,
                    controller=options.controller,
                    until_stiff=method.until_stiff,
                    **forward_only,
                )

        return made() if forward_only else self._once(("control", options, method.fixed_step, method.until_stiff), made)

    def _is_implicit(self, method: Method, algorithm: Any) -> bool:
        """Whether the solver of a method, or one that it may switch to, solves equations in its steps."""
        key = ("implicit", method.algorithm) if isinstance(method.algorithm, str) else algorithm
        return bool(self._once(key, lambda: self._bridge.is_implicit(algorithm)))

    def _adjoint_takes_jacobian(self, sensitivity: Sensitivity, backward: Any) -> bool:
        """Whether the backward solve asks for the Jacobian of the dynamics."""
        if self._is_implicit(sensitivity.method, backward):
            return True
        name = sensitivity.sensealg
        if name is None:
            return False
        return bool(
            self._once(("takes jacobian", name), lambda: self._bridge.takes_jacobian(self.sensealg(sensitivity)))
        )

    def name_of(self, method: Method, solved: Any) -> str:
        """What to call the solver that ran."""
        return method.algorithm if isinstance(method.algorithm, str) else str(self._bridge.algorithm_name(solved))

    def _joint_products(self, name: str, sensealg: Any) -> bool:
        """Whether an adjoint asks for both vector-Jacobian products at the same points."""
        return bool(self._once(("joint", name), lambda: self._bridge.joint_products(sensealg)))

    def _chosen_backward(self, problem: Problem, sensitivity: Sensitivity, algorithm: Any) -> str:
        """The name of the solver that suits the backward solve better than that of the forward one, or ""."""
        named, size, is_sparse = problem.method.algorithm, len(problem.y0), problem.sparsity is not None
        name = sensitivity.sensealg
        sensealg = None if name is None else self.sensealg(sensitivity)
        key = ("backward", named, size, is_sparse, name) if isinstance(named, str) else algorithm
        return self._once(key, lambda: str(self._bridge.chosen_backward(algorithm, size, is_sparse, sensealg)))  # type: ignore[no-any-return]

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` makes for a key that is a tuple, remembered; made anew for any other key but None."""
        if key is None:
            return None
        if not isinstance(key, tuple):
            return make()
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found


def _other_solver(problem: Problem, sensitivity: Sensitivity) -> str:
    """What to add to the reason for a sensitivity algorithm where the backward solve is not the forward solver's."""
    same = str(sensitivity.method) == str(problem.method) or "adjoint_method" in sensitivity.asked
    return "" if same else f"; {sensitivity.method} solves backwards"


def _is_plain_fixed(problem: Problem) -> bool:
    """Whether it is an ordinary equation with the steps of one of torchdiffeq's fixed-step names."""
    return problem.method.fixed_step and problem.form is None and problem.mass_matrix is None
