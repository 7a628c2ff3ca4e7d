"""Functions of more than a state, over points: several vectors one after another, of which the state comes last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from typing_extensions import override

from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.wanted import Wanted


class PointDynamics(Dynamics):
    """Such a function as dynamics, for its products; a kind of equation says how a point is taken apart.

    Args:
        func: the user's.
        parameters: leaves with respect to which there are products, for those that are ``wanted`` of autograd.
        wanted: likewise, as the user gave them.
        tried: the dynamics that were evaluated at the start.
        name: of the function, in messages.
    """

    def __init__(
        self, func: Callable[..., Any], parameters: Sequence[Tensor], wanted: Wanted, tried: Dynamics, name: str
    ) -> None:
        super().__init__(func, tried.structure, wanted, tried.direction, name, tried.start)
        self.parameters = tuple(parameters)
        self._tried = tried

    @override
    def check_still_uses_leaves(self, s: float, y: Tensor) -> None:
        self._tried.check_still_uses_leaves(s, y)
