"""The right-hand side as torchdiffeq's solvers ask for it, and what they tell of their steps."""

from __future__ import annotations

import torch
from torch import Tensor
from torchdiffeq._impl.misc import Perturb

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Work
from pyode_bridge.engines.embedded.steps import Ended


class Heard:
    """The right-hand side, counted; each step is counted too, and the user's listeners hear of it."""

    def __init__(self, problem: InitialValueProblem, work: Work) -> None:
        self._problem, self._work = problem, work
        options = problem.options
        self._shortest = 0.0 if options.force_dtmin or options.dtmin is None else options.dtmin

    def __call__(self, t: float | Tensor, y: Tensor, *, perturb: Perturb = Perturb.NONE) -> Tensor:
        """``f`` at a time, or at its neighbour among the numbers of the state's precision."""
        self._work.nfe += 1
        return self._problem.f(beside(float(t), y.dtype, perturb), y)

    def callback_step(self, t0: float | Tensor, y0: Tensor, dt: float | Tensor) -> None:
        """A step is about to be tried."""
        if self._work.accepted + (self._work.rejected or 0) >= self._problem.options.maxiters:
            raise Ended("MaxIters")  # torchdiffeq's own max_num_steps is that between two times
        if float(dt) < self._shortest:
            raise Ended("DtLessThanMin")
        listener = self._problem.listeners.step
        if listener is not None:
            listener(float(t0), y0, float(dt))

    def callback_accept_step(self, t0: float | Tensor, y0: Tensor, dt: float | Tensor) -> None:
        """It was good enough."""
        self._work.accepted += 1
        listener = self._problem.listeners.accept
        if listener is not None:
            listener(float(t0), y0, float(dt))

    def callback_reject_step(self, t0: float | Tensor, y0: Tensor, dt: float | Tensor) -> None:
        """It was not."""
        self._work.rejected = (self._work.rejected or 0) + 1
        listener = self._problem.listeners.reject
        if listener is not None:
            listener(float(t0), y0, float(dt))


def beside(t: float, dtype: torch.dtype, perturb: Perturb) -> float:
    """A time, or its neighbour among the numbers of the state's precision."""
    if perturb is Perturb.NONE:
        return t
    at = torch.tensor(t, dtype=dtype)
    return torch.nextafter(at, at + (1 if perturb is Perturb.NEXT else -1)).item()
