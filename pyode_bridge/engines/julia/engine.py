"""The Julia engine: hands a problem to the Julia package and keeps what the backward pass needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.methods import Method
from pyode_bridge.options import StepOptions
from pyode_bridge.problem import (
    AdjointStats,
    Gradients,
    Problem,
    Sensitivity,
    SolverInfo,
    SolverStats,
    Trajectory,
)
from pyode_bridge.retcodes import raise_for_retcode

DEFAULT_SENSEALG = "InterpolatingAdjoint"


class JuliaEngine:
    """Every solver of OrdinaryDiffEq, adjoints by SciMLSensitivity; computes on the CPU."""

    name = "julia"

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnknownSolverError, UnknownSensealgError or UnsupportedError for a name that Julia does not serve."""
        self._algorithm(method)
        if sensitivity is not None:
            self._algorithm(sensitivity.method)
            self._sensealg(sensitivity)

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        if problem.y0.device.type != "cpu":
            raise UnsupportedError(
                f"y0 is on {problem.y0.device}, but the Julia engine computes on the CPU; move y0 and the module there."
            )
        sensitivity = problem.sensitivity
        algorithm = self._algorithm(problem.method)
        sensealg = None if sensitivity is None else self._sensealg(sensitivity)
        callbacks = Callbacks(problem.dynamics)
        ys = torch.empty(len(problem.t), len(problem.y0), dtype=problem.y0.dtype)
        y0, t = problem.y0.contiguous(), problem.t.contiguous()
        with callbacks.raised(), julia_errors(str(problem.method)):
            solved = self._bridge.solve_callbacks(
                list(callbacks.pointers),
                str(y0.dtype).removeprefix("torch."),
                y0.data_ptr(),
                len(y0),
                0 if sensitivity is None else problem.dynamics.parameter_size,
                t.data_ptr(),
                len(t),
                ys.data_ptr(),
                algorithm,
                _tolerance(problem.tolerances.atol),
                _tolerance(problem.tolerances.rtol),
                self._control(problem.options, problem.method),
                sensealg,
            )
        name = self._algorithm_name(problem.method)
        sign = problem.dynamics.sign
        raise_for_retcode(solved.retcode, t=sign * solved.t_reached, t_end=sign * t[-1].item(), algorithm=name)
        pullback = None if sensitivity is None else self._pullback(problem, sensitivity, sensealg, callbacks, solved)
        stats = SolverStats(solved.nfe, solved.njac, solved.accepted, solved.rejected)
        return Trajectory(ys, stats, solved.retcode, self.name, name, "callback", pullback)

    def solvers(self) -> Sequence[SolverInfo]:
        """Every solver that the solver packages of the running Julia export."""
        return [SolverInfo(*map(str, row)) for row in self._bridge.catalogue()]

    def _algorithm(self, method: Method) -> Any:
        with julia_errors(str(method)):
            return self._bridge.algorithm(method.algorithm)

    def _algorithm_name(self, method: Method) -> str:
        return str(method) if isinstance(method.algorithm, str) else str(self._bridge.algorithm_name(method.algorithm))

    def _sensealg(self, sensitivity: Sensitivity) -> Any:
        name = sensitivity.sensealg or DEFAULT_SENSEALG
        tolerances = sensitivity.tolerances
        with julia_errors(name, sensealg=True):
            return self._bridge.sensitivity_algorithm(name, abstol=tolerances.atol, reltol=tolerances.rtol)

    def _control(self, options: StepOptions, method: Method) -> Any:
        adaptive = False if method.fixed_step else options.adaptive
        return self._bridge.step_control(options.dt, options.dtmin, options.dtmax, options.maxiters, adaptive)

    def _pullback(
        self, problem: Problem, sensitivity: Sensitivity, sensealg: Any, callbacks: Callbacks, solved: Any
    ) -> JuliaPullback:
        algorithm = self._algorithm(sensitivity.method)
        control = self._control(sensitivity.options, sensitivity.method)
        name = sensitivity.sensealg or DEFAULT_SENSEALG
        callbacks.joint_products = self._bridge.joint_products(sensealg)

        def call(grads: Tensor, dy0: Tensor, dp: Tensor) -> None:
            with callbacks.raised(), julia_errors(name):
                self._bridge.pull_back(
                    solved,
                    grads.data_ptr(),
                    dy0.data_ptr(),
                    dp.data_ptr(),
                    algorithm,
                    sensealg,
                    sensitivity.tolerances.atol,
                    sensitivity.tolerances.rtol,
                    control,
                )

        return JuliaPullback(name, problem, call)


class JuliaPullback:
    """SciMLSensitivity's adjoint of one solve."""

    def __init__(self, sensealg: str, problem: Problem, call: Any) -> None:
        self.sensealg = sensealg
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


def _tolerance(tolerance: float | Tensor) -> float | list[float]:
    return tolerance.tolist() if isinstance(tolerance, Tensor) else tolerance
