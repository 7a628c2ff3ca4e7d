"""The discrete adjoint: autograd through the solver's own steps, which are kept for it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.problem import AdjointStats, Gradients
from pyode_bridge.problem.state import flat_gradients


class TorchAdjoint:
    """Pullback of a solve whose every operation was recorded: the exact gradient of the numbers that it computed.

    Stable wherever the solve was, and its memory grows with the number of evaluations. Like the discrete adjoints of
    SciMLSensitivity that are named after their tapes (ReverseDiffAdjoint, TrackerAdjoint, ZygoteAdjoint).
    """

    sensealg = "TorchAdjoint"

    def __init__(self, recording: Recording, ys: Tensor, evaluations: int, reason: str) -> None:
        self.reason = reason
        self._recording = recording
        self._dynamics = recording.dynamics
        self._inputs = (recording.y0, *recording.dynamics.parameters)
        self._ys = ys
        self._evaluations = evaluations
        self.stats: AdjointStats | None = None

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``; raises UnsupportedError where some are lost."""
        if self._recording.refusal is not None:
            raise self._recording.refusal
        grads = self._dynamics.pulled_back(self._ys, self._inputs, grad_ys)
        flat = flat_gradients(grads, self._inputs, grad_ys)
        self.stats = AdjointStats(nfe=0, nvjp=self._evaluations)
        return Gradients(flat[0], torch.cat(flat[1:]) if len(flat) > 1 else grad_ys.new_empty(0))


class Recording:
    """Dynamics and an initial state that autograd follows.

    Attributes:
        refusal: why there is no gradient, where that of a tensor would be lost; the values are none the worse for it.
    """

    def __init__(self, dynamics: Dynamics, y0: Tensor) -> None:
        self.dynamics = dynamics
        self.y0 = y0.detach().requires_grad_()
        self.refusal: UnsupportedError | None = None

    def of(self, ivp: InitialValueProblem) -> InitialValueProblem:
        """The problem, recorded as it is solved."""
        return replace(ivp, f=self._evaluated, y0=self.y0)

    def _evaluated(self, s: float, y: Tensor) -> Tensor:
        if self.refusal is None:
            try:
                return self.dynamics.recorded(s, y)
            except UnsupportedError as refusal:
                self.refusal = refusal
        return self.dynamics.evaluate(s, y)
