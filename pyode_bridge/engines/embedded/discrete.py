"""The discrete adjoint: autograd through the solver's own steps, which are kept for it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.problem import AdjointStats, Gradients
from pyode_bridge.problem.state import flat_gradients


class TorchAdjoint:
    """Pullback of a solve whose every operation was recorded: the exact gradient of the numbers that it computed.

    Stable wherever the solve was, and its memory grows with the number of evaluations. Like the discrete adjoints of
    SciMLSensitivity that are named after their tapes (ReverseDiffAdjoint, TrackerAdjoint, ZygoteAdjoint).
    """

    sensealg = "TorchAdjoint"

    def __init__(self, dynamics: Dynamics, y0: Tensor, ys: Tensor, evaluations: int, reason: str) -> None:
        self.reason = reason
        self._dynamics = dynamics
        self._inputs = (y0, *dynamics.parameters)
        self._ys = ys
        self._evaluations = evaluations
        self.stats: AdjointStats | None = None

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        grads = self._dynamics.pulled_back(self._ys, self._inputs, grad_ys)
        flat = flat_gradients(grads, self._inputs, grad_ys)
        self.stats = AdjointStats(nfe=0, nvjp=self._evaluations)
        return Gradients(flat[0], torch.cat(flat[1:]) if len(flat) > 1 else grad_ys.new_empty(0))


def recorded(ivp: InitialValueProblem, dynamics: Dynamics) -> InitialValueProblem:
    """The problem with dynamics and an initial state that autograd follows."""
    return replace(ivp, f=dynamics.recorded, y0=ivp.y0.detach().requires_grad_())
