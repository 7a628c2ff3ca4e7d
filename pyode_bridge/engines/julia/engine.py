"""The Julia engine: hands a problem to the Julia package and keeps what the backward pass needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.compiled.runtime.compilation import lane_for
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia import unnamed
from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.ensemble import Ensemble, Settings
from pyode_bridge.engines.julia.equation import julia_equation, type_name
from pyode_bridge.engines.julia.limits import LIMITED, warn_of_wrong_values
from pyode_bridge.engines.julia.named import Named
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Steady
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.mismatch import Mismatch, warn_of_mismatch
from pyode_bridge.problem.problem import (
    LOOKS,
    AdjointStats,
    Gradients,
    Happened,
    Problem,
    Sensitivity,
    SolverInfo,
    SolverStats,
    Trajectory,
)
from pyode_bridge.problem.retcodes import SUCCESS, raise_for_retcode


def why_compiled(func: Any) -> str:
    """What a solution says of the compiled lane."""
    return "func is written in Julia" if is_written(func) else "func was translated to Julia"


class JuliaEngine:
    """Every solver of OrdinaryDiffEq, adjoints by SciMLSensitivity; computes on the CPU."""

    name = "julia"

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self.translations: Translations | None = bridge.translations
        self._named = Named(bridge)

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnknownSolverError, UnknownSensealgError or UnsupportedError for a name that Julia does not serve."""
        self._named.solver(method)
        if sensitivity is not None:
            self._named.solver(sensitivity.method)
            if sensitivity.sensealg is not None:
                self._named.sensealg(sensitivity)

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        return unnamed.by_suitable_method(self._solve, problem)

    def _solve(self, problem: Problem) -> Trajectory:
        _on_cpu(problem)
        warn_of_wrong_values(problem.method, problem.options)
        problem, algorithm, backward = self._named.with_solvers(problem)
        lane, lane_reason = self._lane(problem, algorithm, backward)
        with lane or contextlib.nullcontext():
            return self._solve_in(lane, lane_reason, problem, algorithm, backward)

    def _solve_in(
        self, lane: Lane | None, lane_reason: str, problem: Problem, algorithm: Any, backward: Any
    ) -> Trajectory:
        callbacks = self._bridge.callbacks(problem.dynamics, lane)
        equation = julia_equation(self._bridge, problem, callbacks)
        sensitivity, reason = self._named.chosen_sensitivity(problem, equation, algorithm, backward)
        sensealg = None if sensitivity is None else self._named.sensealg(sensitivity)
        y0, t = problem.y0.contiguous(), problem.t.contiguous()
        n, times = y0.numel(), t.numel()
        ys = torch.empty(times, n, dtype=y0.dtype)
        evaluated = problem.dynamics.nfe
        with callbacks.raised(), julia_errors(problem.method):
            solved, retcode, t_reached, *counts = self._bridge.solve_and_report(
                equation,
                type_name(y0),
                self._bridge.reads(y0),
                n,
                0 if sensitivity is None else problem.dynamics.parameter_size,
                self._bridge.reads(t),
                times,
                self._bridge.writes(ys),
                algorithm,
                julia_tolerance(problem.tolerances.atol),
                julia_tolerance(problem.tolerances.rtol),
                self._control(problem, callbacks),
                sensealg,
                problem.dense,
            )
        if retcode == unnamed.STIFF:
            raise unnamed.StiffError(t_reached)
        name = self._named.name_of(problem.method, solved)
        sign = problem.dynamics.sign
        if retcode not in SUCCESS:
            problem.dynamics.check_start(t[0].item(), y0)
            raise_for_retcode(
                retcode,
                t=sign * t_reached,
                t_end=sign * t[-1].item(),
                algorithm=name,
                rtol=problem.tolerances.rtol,
                dtype=y0.dtype,
            )
        pullback = None
        if sensitivity is not None:
            call = self._call(problem, sensitivity, sensealg, backward, callbacks, solved)
            pullback = JuliaPullback(str(sensitivity.sensealg), reason, problem, call)
        stats = _stats(counts, problem.dynamics.nfe - evaluated, lane)
        interpolant = JuliaInterpolant(self._bridge, problem, callbacks, solved) if problem.dense else None
        kind = "callback" if lane is None else "compiled"
        if lane is not None and interpolant is not None:
            lane.keep()
        elif lane is not None and pullback is not None:
            lane.keep_for(pullback)
        return Trajectory(ys, stats, retcode, self.name, name, kind, pullback, interpolant, lane_reason)

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span."""
        unnamed.by_suitable_method(lambda made: self._locate(made, happened), problem)

    def _locate(self, problem: Problem, happened: Happened) -> None:
        _on_cpu(problem)
        self._bridge.check_callable("conditions of events are Python functions")
        algorithm = self._named.solver(problem.method)
        lane, _ = self._lane(problem, algorithm, None)
        with lane or contextlib.nullcontext():
            self._locate_in(lane, problem, happened, algorithm)

    def _locate_in(self, lane: Lane | None, problem: Problem, happened: Happened, algorithm: Any) -> None:
        callbacks = self._bridge.callbacks(problem.dynamics, lane)
        y0 = problem.y0.contiguous()
        start, end = problem.t[0].item(), problem.t[-1].item()
        with callbacks.raised(), julia_errors(problem.method):
            s, retcode = self._bridge.locate(
                julia_equation(self._bridge, problem, callbacks),
                type_name(y0),
                self._bridge.reads(y0),
                len(y0),
                start,
                end,
                callbacks.question(happened),
                LOOKS,
                algorithm,
                julia_tolerance(problem.tolerances.atol),
                julia_tolerance(problem.tolerances.rtol),
                self._control(problem, callbacks),
            )
        if retcode == unnamed.STIFF:
            raise unnamed.StiffError(s)
        sign = problem.dynamics.sign
        if retcode not in SUCCESS:
            problem.dynamics.check_start(start, y0)
        raise_for_retcode(retcode, t=sign * s, t_end=sign * end, algorithm=str(problem.method))

    def ensemble(self, problem: Problem, notify: Callable[[int], None]) -> Ensemble:
        """Solves like ``problem`` on Julia's threads; raises UnsupportedDynamicsError where they would call Python."""
        _on_cpu(problem)
        warn_of_wrong_values(problem.method, problem.options)
        for name, given in (
            ("jac_sparsity", problem.sparsity),
            ("isoutofdomain", problem.options.isoutofdomain),
            ("unstable_check", problem.options.unstable_check),
        ):
            if given is not None:
                raise UnsupportedDynamicsError(f"{name} is evaluated in Python")
        problem, algorithm, backward = self._named.with_solvers(problem)
        with self._compiled(problem, algorithm, backward) as lane:
            if lane.address("jacobian") is None and self._takes_jacobian(problem, algorithm, backward):
                raise UnsupportedDynamicsError("its Jacobian is not translated, as a large one is not")
            callbacks = self._bridge.callbacks(problem.dynamics, lane)
            equation = julia_equation(self._bridge, problem, callbacks)
            chosen, _ = self._named.chosen_sensitivity(problem, equation, algorithm, backward)
            return Ensemble(
                self._bridge,
                problem,
                callbacks,
                notify,
                Settings(
                    algorithm,
                    self._control(problem, callbacks),
                    chosen,
                    None if chosen is None else self._named.sensealg(chosen),
                    backward,
                    None if chosen is None else self._named.step_control(chosen.options, chosen.method),
                ),
            )

    def call(self, name: str, dynamics: Dynamics, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        """Call a function of dynamics that are written in Julia, outside of a solve; it writes ``out``."""
        bridge = self._bridge
        with julia_errors("JuliaDynamics"):
            times = torch.tensor([s], dtype=torch.float64)
            inputs = list(map(bridge.reads, vectors))
            with lane_for(dynamics, vectors[-1], times, products=name != "rhs", jacobian=False, backend=bridge) as lane:
                bridge.call_translation(lane.address(name), bridge.writes(out), inputs, s, lane.workspace.address)

    def solvers(self) -> Sequence[SolverInfo]:
        """Every solver that the solver packages of the running Julia export."""
        return [
            SolverInfo(
                *(str(name), str(source), str(family), order or None, adaptive, implicit, str(kind), str(summary)),
                limit=str(LIMITED.get(str(name), "")),
            )
            for name, source, family, order, adaptive, implicit, kind, summary in self._bridge.catalogue()
        ]

    def _lane(self, problem: Problem, algorithm: Any, backward: Any) -> tuple[Lane | None, str]:
        """The compiled dynamics, or None for callbacks, and why."""
        if problem.lane == "callback":
            self._bridge.check_callable("lane='callback', which second derivatives need too, is for Python's dynamics")
            return None, "as asked for"
        try:
            return self._compiled(problem, algorithm, backward), why_compiled(problem.dynamics.func)
        except UnsupportedDynamicsError as refusal:
            if problem.lane == "compiled":
                raise UnsupportedError(
                    f"lane='compiled' cannot serve these dynamics, because {refusal}. lane='auto' would call Python."
                ) from refusal
            self._bridge.check_callable(str(refusal))
            return None, f"not compiled, because {refusal}"

    def _compiled(self, problem: Problem, algorithm: Any, backward: Any) -> Lane:
        if not isinstance(problem.form, Steady | None):
            raise UnsupportedDynamicsError("the equation has parts of its own")
        products, jacobian = problem.sensitivity is not None, self._takes_jacobian(problem, algorithm, backward)
        with julia_errors(problem.method):
            return lane_for(
                problem.dynamics, problem.y0, problem.t, products=products, jacobian=jacobian, backend=self._bridge
            )

    def _takes_jacobian(self, problem: Problem, algorithm: Any, backward: Any) -> bool:
        """Whether a full Jacobian will be asked for, in one of the directions."""
        sensitivity = problem.sensitivity
        return problem.sparsity is None and (
            self._named.is_implicit(problem.method, algorithm)
            or (sensitivity is not None and self._named.adjoint_takes_jacobian(sensitivity, backward))
        )

    def _control(self, problem: Problem, callbacks: Callbacks) -> Any:
        options = problem.options
        if options.for_adjoint() is options:  # it needs no callbacks
            return self._named.step_control(options, problem.method)
        return self._named.step_control(
            options,
            problem.method,
            tstops=sorted(problem.dynamics.sign * time for time in options.tstops),
            isoutofdomain=callbacks.predicate(options.isoutofdomain),
            unstable_check=callbacks.predicate(options.unstable_check),
        )

    def _call(
        self,
        problem: Problem,
        sensitivity: Sensitivity,
        sensealg: Any,
        backward: Any,
        callbacks: Callbacks,
        solved: Any,
    ) -> Callable[[Tensor, Tensor, Tensor], None]:
        """What writes the gradients for given loss gradients into two tensors."""
        control = self._named.step_control(sensitivity.options, sensitivity.method)
        name = str(sensitivity.sensealg)
        callbacks.joint_products = self._named.joint_products(name, sensealg)

        def call(grads: Tensor, dy0: Tensor, dp: Tensor) -> None:
            with callbacks.raised(), julia_errors(name):
                retcode, t, error, size = self._bridge.pull_back(
                    solved,
                    self._bridge.reads(grads),
                    self._bridge.writes(dy0),
                    len(dy0),
                    self._bridge.writes(dp),
                    backward,
                    sensealg,
                    sensitivity.tolerances.atol,
                    sensitivity.tolerances.rtol,
                    control,
                )
            sign = problem.dynamics.sign
            raise_for_retcode(
                retcode,
                t=sign * t,
                t_end=sign * problem.t[0].item(),
                algorithm=str(sensitivity.method),
                sensealg=name,
                rtol=sensitivity.tolerances.rtol,
                dtype=problem.y0.dtype,
            )
            warn_of_mismatch(Mismatch(sign * t, error, size), sensitivity, name)

        return call


class JuliaInterpolant:
    """The solver's own interpolant of a dense solution; some evaluate the dynamics when they are asked."""

    def __init__(self, bridge: Any, problem: Problem, callbacks: Callbacks, solved: Any) -> None:
        self._bridge = bridge
        self._callbacks = callbacks
        self._solved = solved
        self._y0 = problem.y0

    def __call__(self, s: Tensor, derivative: int) -> Tensor:
        """Values, or derivatives of that order, at times ``s`` of shape ``(T,)``; shape ``(T, n)``."""
        s = s.contiguous()
        values = self._y0.new_empty(len(s), len(self._y0))
        bridge = self._bridge
        with self._callbacks.raised(), julia_errors(str(derivative), argument="derivative"):
            bridge.interpolate(
                self._solved, bridge.reads(s), values.shape[1], len(s), bridge.writes(values), derivative
            )
        return values

    @property
    def steps(self) -> Tensor:
        """Times at which the solver's steps began and ended."""
        return torch.tensor(np.asarray(self._bridge.step_times(self._solved)))


class JuliaPullback:
    """SciMLSensitivity's adjoint of one solve."""

    def __init__(
        self, sensealg: str, reason: str, problem: Problem, call: Callable[[Tensor, Tensor, Tensor], None]
    ) -> None:
        self.sensealg, self.reason = sensealg, reason
        self.stats: AdjointStats | None = None
        self._dynamics = problem.dynamics
        self._call = call

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        dynamics = self._dynamics
        nfe, nvjp = dynamics.nfe, dynamics.nvjp
        dy0 = grad_ys.new_empty(dynamics.size)
        dp = grad_ys.new_empty(dynamics.parameter_size)
        self._call(grad_ys.contiguous(), dy0, dp)
        self.stats = AdjointStats(dynamics.nfe - nfe, dynamics.nvjp - nvjp)
        return Gradients(dy0, dp)


def _stats(counts: Sequence[int], evaluated: int, lane: Lane | None) -> SolverStats:
    """What the solver counted, or, where it counts nothing, the evaluations that arrived here."""
    seconds = 0.0 if lane is None else lane.seconds
    nfe, njac, accepted, rejected = counts
    if nfe < 0:
        return SolverStats(evaluated, compile_seconds=seconds)
    return SolverStats(nfe, njac, accepted, rejected, seconds)


def _on_cpu(problem: Problem) -> None:
    if not problem.y0.is_cpu:
        raise UnsupportedError(
            f"y0 is on {problem.y0.device}, but the Julia engine computes on the CPU; move y0 and the module there."
        )
