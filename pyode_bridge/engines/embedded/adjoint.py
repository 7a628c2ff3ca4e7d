"""The adjoint of the paper: one augmented system solved backwards (Chen et al. 2018, section 2 and appendix C)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.mismatch import Mismatch, warn_of_worst
from pyode_bridge.problem.problem import AS_ASKED, AdjointStats, Gradients, Problem, Sensitivity
from pyode_bridge.problem.retcodes import raise_for_retcode

Solve = Callable[[InitialValueProblem, Sensitivity], Integration]


class PaperAdjoint:
    """Pullback of a solve: integrates ``[y, a, g]`` from each saved time back to the one before.

    With ``a = dL/dy`` and ``g = dL/dθ``: ``dy/dt = f``, ``da/dt = -aᵀ ∂f/∂y`` (eq. 4), ``dg/dt = -aᵀ ∂f/∂θ`` (eq. 5).
    At each saved time ``y`` is set to the value found in the forward solve and that time's loss gradient is added to
    ``a``; memory does not grow with the number of steps.
    """

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
        dynamics, t = self._problem.dynamics, self._problem.t
        nfe, nvjp = dynamics.nfe, dynamics.nvjp
        n = dynamics.size
        adjoint = grad_ys[-1]
        parameter_grad = grad_ys.new_zeros(dynamics.parameter_size)
        mismatches = []
        for i in range(len(t) - 1, 0, -1):
            start = torch.cat([self._ys[i], adjoint, parameter_grad])
            end = self._solved_back(start, t[i - 1].item(), t[i].item())
            arrival = dynamics.direction.user_time(t[i - 1].item())
            mismatches.append(Mismatch.between(arrival, end[:n], self._ys[i - 1]))
            adjoint = end[n : 2 * n] + grad_ys[i - 1]
            parameter_grad = end[2 * n :]
        warn_of_worst(mismatches, self._sensitivity, self.sensealg)
        self.stats = AdjointStats(dynamics.nfe - nfe, dynamics.nvjp - nvjp)
        return Gradients(adjoint, parameter_grad)

    def _solved_back(self, start: Tensor, t_from: float, t_to: float) -> Tensor:
        """The augmented state at ``t_from`` from that at ``t_to``; raises SolverError."""
        sensitivity = self._sensitivity
        integration = self._solve(self._segment(start, t_from, t_to), sensitivity)
        s = t_to - integration.t_reached
        raise_for_retcode(integration.retcode, s, self._problem, str(sensitivity.method), sensitivity)
        assert integration.ys is not None  # a retcode of success carries the values
        return integration.ys[-1]

    def _segment(self, start: Tensor, t_from: float, t_to: float) -> InitialValueProblem:
        """The augmented problem over ``r = t_to - t``, which increases as time runs back from ``t_to``."""
        dynamics, sensitivity = self._problem.dynamics, self._sensitivity
        return InitialValueProblem(
            f=lambda r, z: _augmented(dynamics, t_to - r, z),
            jacobian=None,
            y0=start,
            t=torch.tensor([0.0, t_to - t_from], dtype=torch.float64),
            tolerances=sensitivity.tolerances,
            options=sensitivity.options,
            fixed_step=sensitivity.options.adaptive_by(sensitivity.method) is False,
            blocks=(dynamics.size, dynamics.size, dynamics.parameter_size),
        )


def _augmented(dynamics: Dynamics, s: float, z: Tensor) -> Tensor:
    """``d[y, a, g]/dr`` with ``r = -s``: the signs of the paper's equations are reversed."""
    n = dynamics.size
    y, a = z[:n], z[n : 2 * n]
    value, to_state, to_parameters = dynamics.value_and_vjp(s, y, a)
    return torch.cat([-value, to_state, to_parameters])
