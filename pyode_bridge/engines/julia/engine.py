"""The Julia engine: plans a solve, has the Julia package do it, and keeps what the backward pass needs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime import cache_hits
from pyode_bridge.compiled.runtime.cache_hits import CacheHit
from pyode_bridge.compiled.runtime.compilation import lane_for
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia import following, forward, location, unnamed
from pyode_bridge.engines.julia.ends import check_end
from pyode_bridge.engines.julia.ensemble import Ensemble, SharedOut
from pyode_bridge.engines.julia.equations import Equations
from pyode_bridge.engines.julia.interpolant import JuliaInterpolant
from pyode_bridge.engines.julia.known import Choices
from pyode_bridge.engines.julia.lanes import Lanes, why_compiled
from pyode_bridge.engines.julia.limits import (
    limit_of,
    refuse_unfit_delays,
    refuse_unfit_noise,
    warn_of_wrong_values,
    wrong_values,
)
from pyode_bridge.engines.julia.named import Named, Solvers
from pyode_bridge.engines.julia.noise import keeps_path, taken_path
from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.pullback import JuliaPullback
from pyode_bridge.engines.julia.schemes import warn_where_unconverged
from pyode_bridge.engines.julia.standing import is_small
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Hybrid
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.problem import Followed, Happened, Problem, Sensitivity, SolverInfo, Trajectory
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.trajectories import FollowedTrajectories, Moving, Notify, Trajectories


class JuliaEngine:
    """Every solver of OrdinaryDiffEq, adjoints by SciMLSensitivity; computes on the CPU."""

    name = "julia"
    compiles = True

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self._named = Named(bridge)
        self._lanes = Lanes(bridge, self._named)
        self._equations = Equations(bridge)
        self._choices = Choices(bridge, self._equations)

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnknownSolverError, UnknownSensealgError or UnsupportedError for a name that Julia does not serve."""
        self._named.check(method)
        if sensitivity is not None:
            self._named.check(sensitivity.method)
            if sensitivity.sensealg is not None:
                self._named.sensealg(sensitivity)

    def adjoint_method(self, problem: Problem) -> Method:
        """That of the problem's backward solve; what suits one, where the forward solver is for equations in parts."""
        named = problem.form is None or problem.method.algorithm is None
        return problem.adjoint.method if named else self._named.with_solvers(problem)[0].adjoint.method

    def recall(self, guards: Guards, structure: Structure, direction: Direction) -> CacheHit | None:
        """What is known of dynamics that were compiled before; None where they have to be looked at."""
        return cache_hits.look_up(guards, structure, direction, self._bridge.translations)

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        settled = problem.settled
        if settled is not None and settled.standing is not None:
            solved = settled.standing.solve(problem)
            if solved is not None:
                return solved
            settled.standing = None
            checks.finite(problem.y0, "y0")
        return unnamed.by_suitable_method(self._solve, problem, self._has_pattern)

    def _solve(self, problem: Problem) -> Trajectory:
        known = self._choices.of(problem)
        if known is not None:
            warn_of_wrong_values(problem.method, problem.options)
            with self._choices.lane(problem) as lane:
                plan = self._choices.plan(problem, known, lane)
                solved = self._run(plan, known.solvers, lane, why_compiled(problem.dynamics.func))
                if problem.settled is not None and self._can_stand(problem, known.solvers, lane):
                    problem.settled.standing = self._choices.stand(problem, known, lane, solved)
                return solved
        _check_on_cpu(problem)
        refuse_unfit_noise(problem)
        refuse_unfit_delays(problem)
        warn_of_wrong_values(problem.method, problem.options)
        chosen, solvers = self._with_pattern(*self._named.with_solvers(problem))
        found, why = self._lanes.chosen(chosen, solvers)
        with found or contextlib.nullcontext():
            plan = self._planned(chosen, solvers, found)
            if not self._named.misleads(plan.backward, solvers):  # of which each solve warns
                self._choices.keep(problem, solvers, plan)
            return self._run(plan, solvers, found, why)

    def _can_stand(self, problem: Problem, solvers: Solvers, lane: Lane) -> bool:
        """Whether solves like this one need nothing of Python's, and have nothing to say."""
        if not self._bridge.is_here or problem.dense or problem.progress or not is_small(lane.workspace):
            return False
        says_nothing = not wrong_values(problem.method, problem.options)
        return says_nothing and self._lanes.calls_python(lane, problem, solvers) is None

    def _run(self, plan: Plan, solvers: Solvers, lane: Lane | None, why: str) -> Trajectory:
        """Solve as planned."""
        problem = plan.problem
        evaluated = problem.dynamics.nfe
        solved = forward.solve(self._bridge, plan)
        report, name = solved.report, self._named.name_of(problem.method, solved.julia)
        check_end(report.retcode, report.s, problem, name)
        warn_where_unconverged(self._bridge, problem, solved.julia)
        pullback = None if plan.backward is None else JuliaPullback(self._bridge, plan, plan.backward, solved.julia)
        interpolant = JuliaInterpolant(self._bridge, plan, solved.julia) if problem.dense else None
        if lane is not None and (pullback is not None or interpolant is not None):
            lane.keep_for(plan.callbacks)  # which live until both have ended
        return Trajectory(
            ys=solved.ys,
            stats=report.stats(problem.dynamics.nfe - evaluated, 0.0 if lane is None else lane.seconds),
            retcode=report.retcode,
            engine=self.name,
            algorithm=name,
            lane="callback" if lane is None else "compiled",
            lane_reason=why,
            jacobian=self._jacobian(problem, solvers, plan),
            pullback=pullback,
            interpolant=interpolant,
            tolerances=problem.tolerances,
            path=functools.partial(taken_path, self._bridge, solved.julia) if keeps_path(plan) else None,
        )

    def _with_pattern(self, problem: Problem, solvers: Solvers) -> tuple[Problem, Solvers]:
        """The problem with the pattern of its Jacobian, if one is wanted and found, and the solvers for that."""
        found = self._lanes.pattern(problem, solvers)
        return (problem, solvers) if found is None else self._named.with_solvers(replace(problem, sparsity=found))

    def _has_pattern(self, problem: Problem) -> bool:
        return self._with_pattern(*self._named.with_solvers(problem))[0].sparsity is not None

    def _jacobian(self, problem: Problem, solvers: Solvers, plan: Plan) -> str:
        """What is said of a sparse matrix; nothing of parts, which have none of their own."""
        if problem.sparsity is None or problem.form is not None:
            return ""
        origin = "found in func" if problem.find_sparsity else "given"
        solver = self._bridge.linear_solver(plan.equation, solvers.forward)
        return f"sparse, {problem.sparsity}, pattern {origin}, factorised by {solver}"

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span."""
        unnamed.by_suitable_method(lambda made: self._locate(made, happened), problem, self._has_pattern)

    def _locate(self, problem: Problem, happened: Happened) -> None:
        _check_on_cpu(problem)
        self._bridge.check_callable("conditions of events are Python functions")
        problem, solvers = self._with_pattern(*self._named.with_solvers(problem))
        lane, _ = self._lanes.chosen(problem, solvers)
        with lane or contextlib.nullcontext():
            plan = self._planned(problem, solvers, lane)
            ended = location.locate(self._bridge, plan, happened)
            check_end(ended.retcode, ended.s, problem, str(problem.method))

    def follow(self, problem: Problem) -> Followed | None:
        """Solve from event to event; None where Python would be called."""
        try:
            return unnamed.by_suitable_method(self._follow, replace(problem, lane="auto"), self._has_pattern)
        except UnsupportedDynamicsError:
            return None

    def _follow(self, problem: Problem) -> Followed | None:
        _check_on_cpu(problem)
        warn_of_wrong_values(problem.method, problem.options)
        problem, solvers = self._with_pattern(*self._named.with_solvers(problem))
        assert isinstance(problem.form, Hybrid)
        lane, direction = self._lanes.compiled(problem, solvers), problem.dynamics.direction
        with lane:
            plan, evaluated = self._planned(problem, solvers, lane), problem.dynamics.nfe
            found = following.follow(self._bridge, plan, problem.form)
        report, name = found.report, str(problem.method)
        if report.retcode == following.NOT_FOLLOWED:
            return None
        if report.retcode != following.TOO_MANY:
            check_end(report.retcode, report.s, problem, name)
        trajectory = Trajectory(
            ys=found.ys,
            stats=report.stats(problem.dynamics.nfe - evaluated, lane.seconds),
            retcode=report.retcode,
            engine=self.name,
            algorithm=name,
            lane="compiled",
            lane_reason=why_compiled(problem.dynamics.func),
            jacobian=self._jacobian(problem, solvers, plan),
            tolerances=problem.tolerances,
        )
        return Followed(
            trajectory=trajectory,
            t=direction.user_time(found.s),
            indices=found.indices.tolist(),
            by_time=found.by_time.bool().tolist(),
            states=found.states,
            too_many=direction.user_time(report.s) if report.retcode == following.TOO_MANY else None,
        )

    def ensemble(self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify) -> Trajectories:
        """Many solves like ``problem``; raises UnsupportedDynamicsError where they would call Python."""

        def solve(chosen: Problem) -> Trajectories:
            ensemble = self._shared_out(chosen, notify)
            solved = ensemble.solve(y0s, moving)
            return Trajectories(
                ys=solved.ys,
                stats=solved.stats,
                algorithm=str(chosen.method.algorithm),
                lane_reason=why_compiled(chosen.dynamics.func),
                sensealg=solved.sensealg,
                sensealg_reason=solved.reason,
                pullbacks=None if chosen.sensitivity is None else functools.partial(ensemble.pull_back, solved),
            )

        return unnamed.by_suitable_method(solve, problem, self._has_pattern)

    def follow_ensemble(
        self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify
    ) -> FollowedTrajectories:
        """Many solves from event to event; raises UnsupportedDynamicsError where they would call Python."""
        return unnamed.by_suitable_method(
            lambda chosen: self.on_threads(chosen, notify).follow(y0s, moving), problem, self._has_pattern
        )

    def _shared_out(self, problem: Problem, notify: Notify) -> SharedOut:
        """Who solves an ensemble: the threads of this Julia."""
        return self.on_threads(problem, notify)

    def on_threads(self, problem: Problem, notify: Notify) -> Ensemble:
        """Solves like ``problem`` on Julia's threads; raises UnsupportedDynamicsError where they would call Python."""
        _check_on_cpu(problem)
        refuse_unfit_noise(problem)
        refuse_unfit_delays(problem)
        warn_of_wrong_values(problem.method, problem.options)
        problem, solvers = self._with_pattern(*self._named.with_solvers(problem))
        with self._lanes.for_threads(problem, solvers) as lane:
            plan = self._planned(problem, solvers, lane)
            ensemble = Ensemble(self._bridge, plan, lane, notify)
            lane.keep_for(plan.callbacks)
        return ensemble

    def _planned(self, problem: Problem, solvers: Solvers, lane: Lane | None) -> Plan:
        """How to solve."""
        callbacks = self._bridge.callbacks(problem.dynamics, lane)
        equation = self._equations.of(problem, callbacks)
        backward = self._named.backward(problem, equation, solvers, callbacks)
        control = self._named.controls.forward(problem, callbacks)
        return Plan(problem, callbacks, equation, solvers.forward, control, backward)

    def call(self, name: str, dynamics: Dynamics, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        """Call a function of dynamics that are written in Julia, outside of a solve; it writes ``out``."""
        bridge = self._bridge
        times = torch.tensor([s], dtype=torch.float64)
        products = name != "rhs"
        with (
            julia_errors("JuliaDynamics"),
            lane_for(dynamics, vectors[-1], times, products=products, jacobian=False, backend=bridge) as lane,
        ):
            inputs = list(map(bridge.reads, vectors))
            bridge.call_translation(lane.address(name), bridge.writes(out), inputs, s, lane.workspace.address)

    def solvers(self) -> Sequence[SolverInfo]:
        """Every solver that the solver packages of the running Julia export."""
        return [_solver_info(*row) for row in self._bridge.catalogue()]


def _solver_info(name: Any, source: Any, version: Any, *traits: Any) -> SolverInfo:
    """A row of Julia's catalogue."""
    family, order, adaptive, implicit, kind, calculus, summary = traits
    return SolverInfo(
        *(str(name), str(source), str(family), order or None, adaptive, implicit, str(kind), str(summary)),
        limit=str(limit_of(str(name), str(version)) or ""),
        calculus=str(calculus),
    )


def _check_on_cpu(problem: Problem) -> None:
    if not problem.y0.is_cpu:
        raise UnsupportedError(
            f"y0 is on {problem.y0.device}, but the Julia engine computes on the CPU; move y0 and the module there."
        )
