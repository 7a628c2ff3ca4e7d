"""The adjoint of the paper (see ``problem.backsolve``) in this engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration
from pyode_bridge.problem.backsolve import augmented, swept_back
from pyode_bridge.problem.problem import AS_ASKED, AdjointStats, Gradients, Problem, Sensitivity
from pyode_bridge.problem.retcodes import raise_for_retcode

Solve = Callable[[InitialValueProblem, Sensitivity], Integration]


class PaperAdjoint:
    """Pullback of a solve, by solvers from PyPI and without a graph: it is differentiated no further."""

    sensealg = "BacksolveAdjoint(checkpointing=true)"

    def __init__(self, problem: Problem, sensitivity: Sensitivity, ys: Tensor, solve: Solve) -> None:
        self._problem = problem
        self._sensitivity = replace(sensitivity, sensealg=self.sensealg)
        self._ys = ys
        self._solve = solve
        self.reason = "the embedded engine's default" if sensitivity.sensealg is None else AS_ASKED
        self.stats: AdjointStats | None = None

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        dynamics = self._problem.dynamics
        times = [dynamics.direction.user_time(s) for s in self._problem.t.tolist()]
        before = dynamics.nvjp
        gradients = swept_back(
            self._ys, grad_ys, times, dynamics.parameter_size, self._solved_to, self._sensitivity, self.sensealg
        )
        evaluations = dynamics.nvjp - before  # each gives the value and the products
        self.stats = AdjointStats(evaluations, evaluations)
        return gradients

    def _solved_to(self, i: int, z: Tensor) -> Tensor:
        """The augmented state at the time of index ``i`` from that at the next one; raises SolverError."""
        sensitivity = self._sensitivity
        t_from, t_to = self._problem.t[i].item(), self._problem.t[i + 1].item()
        integration = self._solve(self._segment(z, t_from, t_to), sensitivity)
        s = t_to - integration.t_reached
        raise_for_retcode(integration.retcode, s, self._problem, str(sensitivity.method), sensitivity)
        assert integration.ys is not None  # a retcode of success carries the values
        return integration.ys[-1]

    def _segment(self, z: Tensor, t_from: float, t_to: float) -> InitialValueProblem:
        """The augmented problem over ``r = t_to - t``, which increases as time runs back from ``t_to``."""
        dynamics, sensitivity = self._problem.dynamics, self._sensitivity
        n = dynamics.size

        def back(r: float, z: Tensor) -> Tensor:
            return -augmented(z, n, lambda y, v: dynamics.value_and_vjp(t_to - r, y, v))

        return InitialValueProblem(
            f=back,
            jacobian=None,
            y0=z,
            t=torch.tensor([0.0, t_to - t_from], dtype=torch.float64),
            tolerances=sensitivity.tolerances,
            options=sensitivity.options,
            fixed_step=sensitivity.options.adaptive_by(sensitivity.method) is False,
            blocks=(n, n, dynamics.parameter_size),
        )
