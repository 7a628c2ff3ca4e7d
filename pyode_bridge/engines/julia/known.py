"""What was chosen for a compiled problem, kept for others of the same dynamics and settings, which differ in values."""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass
from typing import Any

from pyode_bridge.compiled.runtime.cache_hits import CacheHit
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.engines.julia.equations import Equations
from pyode_bridge.engines.julia.named import Solvers
from pyode_bridge.engines.julia.plan import Backward, Plan
from pyode_bridge.engines.julia.standing import Functions, Seat, Standing
from pyode_bridge.problem.problem import Problem, Trajectory

MOST = 64  # of one translation: by then a setting changes at each solve


@dataclass(slots=True)
class Known:
    """What a plan has beside the problem, its callbacks and the equation, and the solvers of both directions."""

    solvers: Solvers
    control: Any
    backward: Backward | None


class Choices:
    """Those of one Julia, by translation."""

    def __init__(self, bridge: Any, equations: Equations) -> None:
        self._bridge, self._equations = bridge, equations
        self._known: weakref.WeakKeyDictionary[Translation, dict[Any, Known]] = weakref.WeakKeyDictionary()

    def of(self, problem: Problem) -> Known | None:
        """What was chosen for a problem that differs in values alone; None where there was none."""
        hit = self._hit(problem)
        return None if hit is None else self._known.get(hit.translation, {}).get(_key(problem))

    def keep(self, problem: Problem, solvers: Solvers, plan: Plan) -> None:
        """Have the choices of a plan serve other problems; ``problem`` is as the user gave it."""
        hit = self._hit(problem)
        if hit is None or plan.callbacks.lane is None or plan.problem.sparsity is not None:
            return
        known = self._known.setdefault(hit.translation, {})
        if len(known) >= MOST:
            known.clear()
        known[_key(problem)] = Known(solvers, plan.control, plan.backward)

    def lane(self, problem: Problem) -> Lane:
        """The compiled dynamics of a problem of which something is known."""
        hit = problem.dynamics.cache_hit
        assert isinstance(hit, CacheHit)
        return Lane(hit.translation, problem.dynamics, hit.guards.tensors, 0.0, self._bridge)

    def plan(self, problem: Problem, known: Known, lane: Lane) -> Plan:
        """How to solve."""
        callbacks = self._bridge.callbacks(problem.dynamics, lane)
        equation = self._equations.of(problem, callbacks)
        return Plan(problem, callbacks, equation, known.solvers.forward, known.control, known.backward)

    def stand(self, problem: Problem, known: Known, lane: Lane, like: Trajectory) -> Standing:
        """How to solve a problem of which something is known again and again; it calls nothing of Python's."""

        def seated(another: Problem) -> Seat:
            own = self.lane(another)
            return Seat(self._bridge, self.plan(another, known, own), own)

        return Standing(self._bridge, self._functions, lane, known.backward, like, seated)

    @functools.cached_property
    def _functions(self) -> Functions:
        return Functions(self._bridge)

    def _hit(self, problem: Problem) -> CacheHit | None:
        hit = problem.dynamics.cache_hit
        plain = problem.settled is not None and problem.form is None
        return hit if plain and isinstance(hit, CacheHit) and hit.translations is self._bridge.translations else None


def _key(problem: Problem) -> Any:
    # The method is another one where that follows from the rest.
    return problem.settled and problem.settled.asked, problem.method, problem.sensitivity is None
