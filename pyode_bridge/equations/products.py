"""Vector-Jacobian products of a function beside an equation's right-hand side, as parts of the equation."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.jacobians import direction, pulled_back
from pyode_bridge.problem.state import flat_gradients


def state_product(dynamics: Dynamics, y: Tensor, size: int) -> Part:
    """``vᵀ ∂f/∂y`` of ``v``, of that size, and ``y``."""

    def called(s: float, t: Tensor, v: Tensor, y: Tensor) -> Tensor:
        return dynamics.vjp(s, y, v, state=True, parameters=False)[0]

    def traced(s: float, t: Tensor, v: Tensor, y: Tensor) -> Tensor:
        return pulled_back(lambda y: dynamics.at(t, y), y, v, ())[0]

    return Part(called, (direction(size, y), y), len(y), traced)


def parameter_product(dynamics: Dynamics, y: Tensor, size: int) -> Part | None:
    """``vᵀ ∂f/∂θ`` likewise; None where there are no parameters."""
    parameters = dynamics.parameters

    def called(s: float, t: Tensor, v: Tensor, y: Tensor) -> Tensor:
        return dynamics.vjp(s, y, v, state=False, parameters=True)[1]

    def traced(s: float, t: Tensor, v: Tensor, y: Tensor) -> Tensor:
        _, *grads = pulled_back(lambda y: dynamics.at(t, y), y, v, parameters)
        return torch.cat(flat_gradients(grads, parameters, y))

    return Part(called, (direction(size, y), y), dynamics.parameter_size, traced) if parameters else None
