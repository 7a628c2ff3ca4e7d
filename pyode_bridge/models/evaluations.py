"""How often a model evaluated its dynamics."""

from __future__ import annotations

from typing import NamedTuple


class Evaluations(NamedTuple):
    """Evaluations of the dynamics (NFE) in the last forward pass, and vector-Jacobian products in its backward pass.

    A count is None before there was such a pass.
    """

    forward: int | None
    backward: int | None
