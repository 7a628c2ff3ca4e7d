"""Which dynamics the compiled lane takes, as far as can be told before they are traced."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written


def check_supported(dynamics: Dynamics, value: Tensor | None) -> None:
    """Raise UnsupportedDynamicsError for a state or a start that does not do; ``value`` is that of ``func`` there."""
    if dynamics.autocast_dtype is not None:
        raise UnsupportedDynamicsError("torch.autocast is on, which changes what torch computes")
    if value is None and not is_written(dynamics.func):
        raise UnsupportedDynamicsError("it was not evaluated at the start")


def parameter_indices(parameters: Sequence[Tensor], guards: Guards) -> tuple[int, ...]:
    """Where each parameter is among the tensors that ``func`` reaches.

    Raises UnsupportedDynamicsError where one is not, or where another way to a parameter would be missed.
    """
    indices = guards.indices(parameters)
    if indices is None:
        raise UnsupportedDynamicsError(
            "a parameter is not among what func reaches by its attributes, its closure or global variables"
        )
    if indices and not guards.computed.issubset(indices):
        raise UnsupportedDynamicsError(
            "func reaches a tensor that was computed from others that require a gradient, and is no parameter itself"
        )
    return indices
