"""Values between the times of a dense solution."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.translation import julia_errors


class JuliaInterpolant:
    """The solver's own interpolant; some evaluate the dynamics when they are asked.

    Args:
        bridge: the Julia package.
        plan: of the solve.
        solved: Julia's solution.
    """

    def __init__(self, bridge: Any, plan: Plan, solved: Any) -> None:
        self._bridge, self._plan, self._solved = bridge, plan, solved

    def __call__(self, s: Tensor, derivative: int) -> Tensor:
        """Values, or derivatives of that order, at times ``s`` of shape ``(T,)``; shape ``(T, n)``."""
        s, y0 = s.contiguous(), self._plan.problem.y0
        values = y0.new_empty(len(s), len(y0))
        bridge = self._bridge
        with self._plan.callbacks.raised(), julia_errors(str(derivative), argument="derivative"):
            bridge.interpolate(self._solved, bridge.reads(s), len(y0), len(s), bridge.writes(values), derivative)
        return values

    @property
    def steps(self) -> Tensor:
        """Times at which the solver's steps began and ended."""
        return torch.tensor(np.asarray(self._bridge.step_times(self._solved)))
