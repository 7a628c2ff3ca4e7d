"""The choice of lane: dynamics compiled to Julia, or called in Python."""

from __future__ import annotations

import weakref
from typing import Any

from pyode_bridge.compiled.lane import Lane, enter
from pyode_bridge.compiled.refusals import UntranslatableError
from pyode_bridge.engines.julia.named import Named, Solvers
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.forms import Steady
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.problem import Problem


class Held:
    """A block in which Julia calls a lane, or None; freed at its end, unless it is kept for longer."""

    def __init__(self, lane: Lane | None) -> None:
        self._lane = lane

    def __enter__(self) -> Held:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._lane is not None:
            self._lane.free()

    def keep_for(self, owner: object) -> None:
        """Free it when ``owner``, on whose behalf Julia may call, is gone."""
        if self._lane is not None:
            weakref.finalize(owner, self._lane.free)
            self._lane = None


class Lanes:
    """Those of one Julia; a lane is to be `Held`."""

    def __init__(self, bridge: Any, named: Named) -> None:
        self._bridge, self._named = bridge, named

    def chosen(self, problem: Problem, solvers: Solvers) -> tuple[Lane | None, str]:
        """The compiled dynamics, or None for callbacks, and why."""
        if problem.lane == "callback":
            self._bridge.check_callable("lane='callback', which second derivatives need too, is for Python's dynamics")
            return None, "as asked for"
        try:
            return self._compiled(problem, solvers), why_compiled(problem.dynamics.func)
        except UntranslatableError as refusal:
            if problem.lane == "compiled":
                raise UnsupportedError(
                    f"lane='compiled' cannot serve these dynamics, because {refusal}. lane='auto' would call Python."
                ) from refusal
            self._bridge.check_callable(str(refusal))
            return None, f"not compiled, because {refusal}"

    def for_threads(self, problem: Problem, solvers: Solvers) -> Lane:
        """The compiled dynamics, for solves that call no Python; raises UntranslatableError where they would."""
        for name, given in (
            ("jac_sparsity", problem.sparsity),
            ("isoutofdomain", problem.options.isoutofdomain),
            ("unstable_check", problem.options.unstable_check),
        ):
            if given is not None:
                raise UntranslatableError(f"{name} is evaluated in Python")
        lane = self._compiled(problem, solvers)
        if lane.address("jacobian") is None and self._named.takes_jacobian(problem, solvers):
            lane.free()
            raise UntranslatableError("its Jacobian is not translated, as a large one is not")
        return lane

    def _compiled(self, problem: Problem, solvers: Solvers) -> Lane:
        if not isinstance(problem.form, Steady | None):
            raise UntranslatableError("the equation has parts of its own")
        products, jacobian = problem.sensitivity is not None, self._named.takes_jacobian(problem, solvers)
        with julia_errors(problem.method):
            return enter(
                problem.dynamics, problem.y0, problem.t, products=products, jacobian=jacobian, home=self._bridge
            )


def why_compiled(func: Any) -> str:
    """What a solution says of the compiled lane."""
    return "func is written in Julia" if is_written(func) else "func was translated to Julia"
