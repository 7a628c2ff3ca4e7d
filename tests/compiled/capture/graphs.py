"""The graphs of dynamics, run by torch: what was traced, without what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from pyode_bridge.compiled.capture.functions import graph_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.capture.tracing import Graph
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted

NAMES = ["rhs", "vjp", "joint", "jacobian"]


def graphs(
    func: Callable[..., Any], y: Tensor, parameters: Sequence[Tensor] = (), names: Sequence[str] = NAMES, s: float = 0.3
) -> dict[str, Any]:
    """The graphs of the functions of dynamics, by name, of a solve from ``y`` at ``s``."""
    start = Start(Dynamics(func, Structure.of(y), Wanted(parameters)), y, s, 1.0)
    return {name: graph_of(name, start) for name in names}


def run(graph: Graph, *inputs: Tensor) -> Any:
    """What a graph computes, with the tensors from outside as they are now."""
    with torch.no_grad():
        return fx.Interpreter(fx.GraphModule(graph.tensors, graph.graph)).run(*inputs)
