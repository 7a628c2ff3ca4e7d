"""The dynamics linearised at one time and state: what trace estimators and regularisers look at."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

FlowDynamics = Callable[[Tensor, Tensor], Tensor]


class Linearization:
    """``f`` at ``(t, z)`` and products with its Jacobian ``J = ∂f/∂z``, each computed once and only if asked for.

    ``torch.func.vjp`` works whether or not the caller records a graph: a solver's steps run without one, and the
    adjoint differentiates the same products. Unlike ``torch.autograd.grad`` on a fresh leaf, it leaves no leaf in the
    graph that could be taken for a parameter.

    Args:
        dynamics: ``f(t, z)``, which acts on each row of ``z`` alone.
        t: scalar tensor.
        z: state, shape ``(*batch, D)``.
        probe: noise of the estimators, shape ``(*batch, D)``; None where none is in use.
    """

    def __init__(self, dynamics: FlowDynamics, t: Tensor, z: Tensor, probe: Tensor | None) -> None:
        self.dynamics = dynamics
        self.t = t
        self.z = z
        self.probe = probe

    @cached_property
    def _vjp(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        pair: Any = torch.func.vjp(lambda z: self.dynamics(self.t, z), self.z)
        value, pull = pair
        return value, lambda v: pull(v)[0]

    @property
    def value(self) -> Tensor:
        """``f(t, z)``, shape ``(*batch, D)``."""
        return self._vjp[0]

    @cached_property
    def rows(self) -> tuple[Tensor, ...]:
        """The Jacobian's ``D`` rows, each of shape ``(*batch, D)``: one backward pass a row serves the whole batch."""
        _, pull = self._vjp
        basis = torch.eye(self.z.shape[-1], dtype=self.z.dtype, device=self.z.device)
        return tuple(pull(row.expand_as(self.z)) for row in basis)

    @cached_property
    def probed(self) -> Tensor:
        """``probeᵀ J``, shape ``(*batch, D)``, by one backward pass."""
        _, pull = self._vjp
        assert self.probe is not None  # only estimators that drew a probe ask
        return pull(self.probe)
