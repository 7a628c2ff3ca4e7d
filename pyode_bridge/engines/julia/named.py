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
from pyode_bridge.engines.julia.schemes import solver_of
from pyode_bridge.engines.julia.step_control import StepControls
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.forms import Delays
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.norms import lanes_of
from pyode_bridge.problem.problem import AS_ASKED, Problem, Sensitivity, SolverSpec
from pyode_bridge.problem.schemes import Adams, Tableau

# Kinds of equations that methods given by their numbers solve.
KINDS_OF_SCHEMES = "ODE", "steady"

# What differentiates the steps that torchdiffeq's fixed-step methods take.
DISCRETE = "DiscreteAdjoint"
FIXED_STEPS = "the steps are fixed: it is their own gradient, as that of torchdiffeq through its steps"

# What solves the adjoint's equation by the same steps, from time to time, as torchdiffeq's odeint_adjoint.
CONTINUOUS = "BacksolveAdjoint"
BY_FIXED_STEPS = "the steps are fixed: they solve for the adjoint and, from its value at each time, for the state again"


class Solvers(NamedTuple):
    """Julia's solvers of a problem; that of the backward solve is None where no gradient is wanted."""

    forward: Any
    backward: Any


class Named:
    """The objects of one Julia, by what names them.

    Attributes:
        controls: how solves may step.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self._made: dict[Any, Any] = {}
        self.controls = StepControls(bridge, self._once)

    def with_solvers(self, problem: Problem) -> tuple[Problem, Solvers]:
        """The problem with the method of its backward solve, and the solvers of both directions."""
        algorithm, sensitivity = self.solver(problem), problem.sensitivity
        if lanes_of(problem.options.norm) is not None and self._is_implicit(problem.method, algorithm):
            raise _shared_by_implicit(problem.method)
        if sensitivity is None:
            return problem, Solvers(algorithm, None)
        if "adjoint_method" not in sensitivity.asked and not sensitivity.method.fixed_step:
            chosen = self._chosen_backward(problem, sensitivity, algorithm)
            if chosen:
                sensitivity = replace(sensitivity, method=Method(chosen))
                problem = replace(problem, sensitivity=sensitivity)
        return problem, Solvers(algorithm, self.solver(sensitivity))

    def takes_jacobian(self, problem: Problem, solvers: Solvers) -> bool:
        """Whether a Jacobian will be asked for, in one of the directions."""
        sensitivity = problem.sensitivity
        return self._is_implicit(problem.method, solvers.forward) or (
            sensitivity is not None and self._adjoint_takes_jacobian(sensitivity, solvers.backward)
        )

    def keeps_matrix(self, problem: Problem, solvers: Solvers) -> bool:
        """Whether the forward solver makes a matrix of the Jacobian, and gradients let it be a sparse one."""
        if not self._is_implicit(problem.method, solvers.forward) or self._bridge.keeps_no_matrix(solvers.forward):
            return False
        sensitivity = problem.sensitivity
        if sensitivity is None or sensitivity.sensealg is None:
            return True
        return not self._bridge.takes_jacobian(self.sensealg(sensitivity))

    def backward(self, problem: Problem, equation: Any, solvers: Solvers, callbacks: Callbacks) -> Backward | None:
        """How gradients are computed; None where none are wanted."""
        if problem.sensitivity is None:
            return None
        sensitivity, reason = self._chosen_sensitivity(problem, problem.sensitivity, equation, solvers)
        sensealg, control = self.sensealg(sensitivity), self.controls.backward(problem, sensitivity, callbacks)
        joint = self._joint_products(str(sensitivity.sensealg), sensealg)
        return Backward(sensitivity, reason, sensealg, solvers.backward, control, joint)

    def _chosen_sensitivity(
        self, problem: Problem, sensitivity: Sensitivity, equation: Any, solvers: Solvers
    ) -> tuple[Sensitivity, str]:
        """The problem's, with the sensitivity algorithm that suits it where none is named, and why that one."""
        if sensitivity.sensealg is None and _is_their_own(sensitivity, problem):
            return replace(sensitivity, sensealg=DISCRETE), FIXED_STEPS
        if sensitivity.sensealg is None and _is_stepped(sensitivity.method) and _is_plain(problem):
            return replace(sensitivity, sensealg=CONTINUOUS), BY_FIXED_STEPS
        named = None if sensitivity.sensealg is None else self.sensealg(sensitivity)

        def served() -> bool:  # or refused now, before the solve
            with julia_errors(str(sensitivity.method), argument="adjoint_method"):
                self._bridge.backward_algorithm(equation, solvers.backward, named)
            return True

        self._once(_key_of("served", problem, sensitivity, sensitivity.sensealg), served)
        if named is not None:
            if problem.dynamics.parameter_size:
                self._warn_where_misleading(sensitivity, solvers)
            return sensitivity, AS_ASKED + _other_solver(problem, sensitivity)
        sizes = len(problem.y0), problem.dynamics.parameter_size

        def choice() -> Any:
            with julia_errors(problem.method):
                return tuple(map(str, self._bridge.chosen_sensealg(equation, *solvers, *sizes)))

        chosen, reason = self._once(_key_of("sensealg", problem, sensitivity, *sizes), choice)
        sensitivity = replace(sensitivity, sensealg=chosen)
        if isinstance(problem.form, Delays):  # of which there is one, whatever solves it
            self._warn_where_misleading(sensitivity, solvers)
        return sensitivity, reason + _other_solver(problem, sensitivity)

    def _warn_where_misleading(self, sensitivity: Sensitivity, solvers: Solvers) -> None:
        """Warn of a solver with which an adjoint is known to be inaccurate without a word."""
        misled = self._misled(sensitivity, solvers)
        if misled:
            warn_of_misleading(sensitivity, misled)

    def misleads(self, backward: Backward | None, solvers: Solvers) -> bool:
        """Whether there is such a solver in a plan."""
        return backward is not None and bool(self._misled(backward.sensitivity, solvers))

    def _misled(self, sensitivity: Sensitivity, solvers: Solvers) -> str:
        method = sensitivity.method
        key = ("misled", method.algorithm, method.kind, sensitivity.sensealg) if _is_data(method) else solvers.backward
        found = self._once(key, lambda: str(self._bridge.may_mislead(self.sensealg(sensitivity), solvers.backward)))
        return str(found)

    def check(self, method: Method) -> None:
        """Raise UnknownSolverError or UnsupportedError where Julia has no solver of a method's name."""
        if not isinstance(method.algorithm, Tableau | Adams):
            self._by_name(method)
        elif method.kind not in KINDS_OF_SCHEMES:
            raise UnsupportedError(f"method={str(method)!r} is for ordinary differential equations; name another.")

    def solver(self, spec: SolverSpec | Problem) -> Any:
        """The solver of a method, as `check`; one that is given by its numbers takes some options with them."""
        scheme, options = spec.method.algorithm, spec.options
        if not isinstance(scheme, Tableau | Adams):
            return self._by_name(spec.method)
        key = ("scheme", scheme, options.perturb, options.interp, options.max_order, options.max_iters)
        return self._once(key, lambda: solver_of(self._bridge, scheme, options))

    def _by_name(self, method: Method) -> Any:
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

    def _is_implicit(self, method: Method, algorithm: Any) -> bool:
        """Whether the solver of a method, or one that it may switch to, solves equations in its steps."""
        key = ("implicit", method.algorithm) if _is_data(method) else algorithm
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
        return str(method.algorithm) if _is_data(method) else str(self._bridge.algorithm_name(solved))

    def _joint_products(self, name: str, sensealg: Any) -> bool:
        """Whether an adjoint asks for both vector-Jacobian products at the same points."""
        return bool(self._once(("joint", name), lambda: self._bridge.joint_products(sensealg)))

    def _chosen_backward(self, problem: Problem, sensitivity: Sensitivity, algorithm: Any) -> str:
        """The name of the solver that suits the backward solve better than that of the forward one, or ""."""
        method, size, is_sparse = problem.method, len(problem.y0), problem.sparsity is not None
        name = sensitivity.sensealg
        sensealg = None if name is None else self.sensealg(sensitivity)
        key = ("backward", method.algorithm, size, is_sparse, name) if _is_data(method) else algorithm
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


def _shared_by_implicit(method: Method) -> UnsupportedError:
    """Of a solver whose matrix would have rows for all trajectories that are to share their steps."""
    return UnsupportedError(
        f"shared_steps is for explicit solvers, such as 'Tsit5' and 'Vern7', and {method} is none: its matrix would "
        "have rows for all trajectories that share their steps. Leave shared_steps out, and each has steps of its own."
    )


def _other_solver(problem: Problem, sensitivity: Sensitivity) -> str:
    """What to add to the reason for a sensitivity algorithm where the backward solve is not the forward solver's."""
    same = str(sensitivity.method) == str(problem.method) or "adjoint_method" in sensitivity.asked
    return "" if same else f"; {sensitivity.method} solves backwards"


def _is_their_own(sensitivity: Sensitivity, problem: Problem) -> bool:
    """Whether a gradient is to be that of fixed steps themselves."""
    same = problem.method.fixed_step and sensitivity.method == problem.method
    return same and not (sensitivity.continuous or sensitivity.asked) and _is_plain(problem)


def _is_stepped(method: Method) -> bool:
    """Whether a method is given by its numbers, for fixed steps."""
    return method.fixed_step and isinstance(method.algorithm, Tableau | Adams)


def _is_plain(problem: Problem) -> bool:
    """Whether it is an ordinary equation, without a mass matrix."""
    return problem.form is None and problem.mass_matrix is None


def _key_of(what: str, problem: Problem, sensitivity: Sensitivity, *further: Any) -> Any:
    """A key of what depends on an ordinary equation's solvers and what else is given; none for other equations."""
    data = _is_data(problem.method) and _is_data(sensitivity.method)
    if not (data and _is_plain(problem)):
        return problem
    return (what, problem.method.algorithm, sensitivity.method.algorithm, *further)


def _is_data(method: Method) -> bool:
    """Whether a method is a name or numbers, and no object of Julia's."""
    return isinstance(method.algorithm, str | Tableau | Adams)
