"""Whether an adjoint that solves the state again, backwards in time, arrives where the forward solve was."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pyode_bridge.errors import GradientWarning
from pyode_bridge.problem import levels
from pyode_bridge.problem.problem import Sensitivity
from pyode_bridge.problem.retcodes import UNSTABLE_BACKWARDS

# A mismatch is tolerable up to so many times the tolerances, since ordinary problems add up errors of many steps, and
# up to a ten-thousandth of the state, or, where fixed steps have no tolerance to compare with, a hundredth.
TOLERANCES = 1000.0
SHARE, SHARE_OF_FIXED_STEPS = 1e-4, 1e-2

COARSE = (
    "Fixed steps that are too long do not lead back to where they came from: make them shorter, or take the gradient "
    "of the steps themselves, 'DiscreteAdjoint' (on the Julia engine) or 'TorchAdjoint' (on the embedded one)."
)


@dataclass(frozen=True)
class Mismatch:
    """At time ``t``, the largest error of a component of the state, and the largest component."""

    t: float
    error: float
    size: float

    @classmethod
    def between(cls, t: float, found: Tensor, true: Tensor) -> Mismatch:
        """Between two flat states; of a batch, that one where each is largest."""
        error, size = (levels.plain(values.abs().max()).max().item() for values in (found - true, true))
        return cls(t, error, size)

    def excess(self, sensitivity: Sensitivity) -> float:
        """The error as a multiple of what is tolerable in this backward solve."""
        fixed = _has_fixed_steps(sensitivity)
        tolerances = sensitivity.tolerances
        by_tolerance = 0.0 if fixed else TOLERANCES * float(tolerances.atol + tolerances.rtol * self.size)
        return self.error / max(by_tolerance, (SHARE_OF_FIXED_STEPS if fixed else SHARE) * self.size, 1e-300)


def warn_of_worst(mismatches: Sequence[Mismatch], sensitivity: Sensitivity, sensealg: str) -> None:
    """`warn_of_mismatch` for the one that exceeds most what is tolerable."""
    warn_of_mismatch(max(mismatches, key=lambda mismatch: mismatch.excess(sensitivity)), sensitivity, sensealg)


def warn_of_mismatch(mismatch: Mismatch, sensitivity: Sensitivity, sensealg: str) -> None:
    """Warn where the state that was solved for again is off by much more than the tolerance."""
    if not mismatch.excess(sensitivity) <= 1:
        warnings.warn(
            f"{sensealg} solves the state again, backwards in time, and arrived at t = {mismatch.t:.6g} with an error "
            f"of {mismatch.error:.2g}, where the state's size is {mismatch.size:.2g}. Its gradients are not to be "
            f"relied on. {COARSE if _has_fixed_steps(sensitivity) else UNSTABLE_BACKWARDS}",
            GradientWarning,
            stacklevel=2,
        )


def _has_fixed_steps(sensitivity: Sensitivity) -> bool:
    return sensitivity.method.fixed_step or sensitivity.options.adaptive is False
