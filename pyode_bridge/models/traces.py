"""Estimators of the trace of the dynamics' Jacobian, the right-hand side of the instantaneous change of variables."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.models.linearization import Linearization

NOISES = ("rademacher", "gaussian")


class Trace(Protocol):
    """An estimator: stateless, so that one object serves many solves."""

    def draw(self, z: Tensor) -> Tensor | None:
        """The noise for one solve that starts at ``z``, or None where the estimator has none.

        It is drawn once and held through the forward and the adjoint solve: noise that changed between evaluations
        would make the dynamics discontinuous in time, and no step size would satisfy an error bound.
        """

    def __call__(self, at: Linearization) -> tuple[Tensor, Tensor]:
        """``f``, shape ``(*batch, D)``, and ``tr(∂f/∂z)`` or its estimate, shape ``(*batch,)``."""


class ExactTrace:
    """The trace from ``D`` vector-Jacobian products over the whole batch; for small ``D``.

    Examples:
        >>> from pyode_bridge.models import CNF, ExactTrace, GatedSum
        >>> flow = CNF(GatedSum(dim=2, width=8), trace=ExactTrace())
    """

    def draw(self, z: Tensor) -> Tensor | None:
        """No noise."""
        return None

    def __call__(self, at: Linearization) -> tuple[Tensor, Tensor]:
        """``f`` and the trace."""
        return at.value, sum((row[..., i] for i, row in enumerate(at.rows)), torch.zeros_like(at.z[..., 0]))


class BruteForceTrace:
    """The trace of each sample's whole Jacobian, formed sample by sample: slow, and right by construction.

    It does not assume that the dynamics treat rows alike, so it is a check on the other estimators. Source: Chen et
    al. 2018, eq. 8.
    """

    def draw(self, z: Tensor) -> Tensor | None:
        """No noise."""
        return None

    def __call__(self, at: Linearization) -> tuple[Tensor, Tensor]:
        """``f`` and the trace."""
        rows = at.z.reshape(-1, at.z.shape[-1])
        jacobian = torch.func.jacrev(lambda row: at.dynamics(at.t, row[None])[0])
        traces = [jacobian(row).diagonal().sum() for row in rows]
        return at.dynamics(at.t, at.z), torch.stack(traces).view(at.z.shape[:-1])


class HutchinsonTrace:
    """An unbiased estimate ``εᵀ J ε`` from one vector-Jacobian product, with ``E[ε εᵀ] = I``.

    Args:
        noise: ``"rademacher"`` (entries ±1, the least variance) or ``"gaussian"``.

    Raises:
        InputError: another ``noise``.

    Source: Hutchinson 1989; Grathwohl et al. 2019 (FFJORD), eq. 7, with ``ε`` fixed during a solve.
    """

    def __init__(self, noise: str = "rademacher") -> None:
        if noise not in NOISES:
            raise InputError(f"noise is {noise!r}; expected one of {', '.join(NOISES)}.")
        self.noise = noise

    def draw(self, z: Tensor) -> Tensor | None:
        """Noise of the shape of ``z``."""
        if self.noise == "gaussian":
            return torch.randn_like(z)
        return torch.randint_like(z, 2) * 2 - 1

    def __call__(self, at: Linearization) -> tuple[Tensor, Tensor]:
        """``f`` and the estimate."""
        assert at.probe is not None  # drawn by draw
        return at.value, (at.probed * at.probe).sum(-1)

    def __repr__(self) -> str:
        return f"HutchinsonTrace({self.noise!r})"


class ClosedFormTrace:
    """The trace by the formula that the dynamics bring: a method ``value_and_divergence(t, z)``, as `GatedSum` has.

    Raises:
        InputError: at the first evaluation, if the dynamics have no such method.
    """

    def draw(self, z: Tensor) -> Tensor | None:
        """No noise."""
        return None

    def __call__(self, at: Linearization) -> tuple[Tensor, Tensor]:
        """``f`` and the trace."""
        formula = getattr(at.dynamics, "value_and_divergence", None)
        if formula is None:
            raise InputError(
                f"{type(at.dynamics).__name__} has no method value_and_divergence(t, z); ClosedFormTrace needs one. "
                "Use ExactTrace or HutchinsonTrace."
            )
        value, divergence = formula(at.t, at.z)
        return value, divergence
