"""A backend that computes with torch what it is told to: what surrounds translations runs without Julia."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.compiled.runtime.compilation import lane_for
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted


class TorchBackend:
    """Its functions, by name, take the vectors that compiled ones take: ``y``, or ``v`` and ``y``."""

    def __init__(self, **functions: Callable[..., Tensor]) -> None:
        self.translations = Translations()
        self.workspace = Workspace
        self.names: list[str] = []
        self.functions = functions

    def compile(self, source: str, dtype: str, signatures: list[tuple[str, int]]) -> Sequence[int]:
        first = len(self.names)
        self.names += [name for name, _ in signatures]
        return range(first, len(self.names))

    def evaluate(self, address: int, out: Tensor, vectors: Sequence[Tensor], s: float, workspace: Workspace) -> None:
        out.copy_(self.functions[self.names[address]](*vectors))


def torch_lane(
    func: Callable[..., Tensor],
    y0: Tensor,
    backend: TorchBackend,
    parameters: Sequence[Tensor] = (),
    products: bool | None = None,
) -> Lane:
    """The lane of a solve from ``y0``; with products where there is a function for them, unless told."""
    dynamics = Dynamics(func, Structure.of(y0), Wanted(parameters))
    dynamics.start = dynamics.tried(0.0, y0).detach()
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    products = "vjp" in backend.functions if products is None else products
    return lane_for(dynamics, y0, times, products=products, jacobian="jacobian" in backend.functions, backend=backend)
