"""Energies that a flow accumulates along its paths: added to the loss, they keep the dynamics easy to solve."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pyode_bridge.models.linearization import Linearization


class Regulariser(Protocol):
    """A power: `CNF` integrates it over the flow's time as one more component of the state."""

    def __call__(self, at: Linearization, value: Tensor) -> Tensor:
        """The power at a point where the dynamics are ``value``, shape ``(*batch, D)``; returns ``(*batch,)``."""


class KineticEnergy:
    """``|f(t, z)|²``: the squared speed, whose minimum over flows moves each sample straight at constant speed.

    Source: Finlay et al. 2020 ("How to train your neural ODE"), eq. 7.
    """

    def __call__(self, at: Linearization, value: Tensor) -> Tensor:
        """The squared speed."""
        return value.square().sum(-1)


class JacobianFrobenius:
    """``|∂f/∂z|²_F``: exact with a trace that draws no noise, else the estimate ``|εᵀ ∂f/∂z|²``.

    Source: Finlay et al. 2020, eq. 9.
    """

    def __call__(self, at: Linearization, value: Tensor) -> Tensor:
        """The squared norm, or its estimate."""
        if at.probe is not None:
            return at.probed.square().sum(-1)
        return torch.stack(at.rows).square().sum((0, -1))
