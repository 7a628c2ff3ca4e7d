"""Translations of functions of ``(t, y)``, many compiled at once, run as solvers run them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.compiled.capture.tracing import Graph, trace
from pyode_bridge.compiled.codegen.entry_points import function_text
from pyode_bridge.compiled.codegen.graph_lowering import Output, lower_with
from pyode_bridge.compiled.codegen.loops.emitter import LoopEmitter
from pyode_bridge.compiled.codegen.pointers import Pointers
from pyode_bridge.compiled.codegen.scalar_emitter import ScalarEmitter
from pyode_bridge.compiled.codegen.workspace_layout import LEFT, MEMORY, TENSORS, WORK
from pyode_bridge.engines.julia import session
from pyode_bridge.problem.direction import INCREASING

Function = Callable[[Tensor, Tensor], Tensor]
EMITTERS = {"scalars": lambda pointers: ScalarEmitter(), "loops": lambda pointers: LoopEmitter(pointers.constant)}
TIME = 0.75

_POINTER = ctypes.c_void_p
_FUNCTIONS = {
    vectors: ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * (1 + vectors), ctypes.c_double, _POINTER)
    for vectors in (1, 2)
}


class Environment:
    """What compiled functions read and write beside their vectors.

    Args:
        tensors: that they read, in order.
        work_size: bytes that they work in.
        kept: bytes in which they keep products.
    """

    def __init__(self, tensors: Sequence[Tensor], work_size: int, kept: int = 8) -> None:
        self._tensors = [tensor.detach() for tensor in tensors]
        self._work = np.full(work_size, 255, dtype=np.uint8)  # NaN, so that reading what nobody wrote shows
        self._kept = np.full(kept, 255, dtype=np.uint8)
        self.values = np.zeros(TENSORS - 1 + len(tensors), dtype=np.int64)
        self.values[LEFT - 1] = 1000
        self.values[WORK - 1] = self._work.ctypes.data
        self.values[MEMORY - 1] = self._kept.ctypes.data
        self.values[TENSORS - 1 :] = [tensor.data_ptr() for tensor in self._tensors]


def called(address: int, size: int, vectors: Sequence[Tensor], s: float, env: Environment) -> Tensor:
    """What a compiled function writes to ``size`` numbers."""
    out = torch.full((size,), torch.nan, dtype=vectors[0].dtype)
    pointers = [out.data_ptr(), *(vector.data_ptr() for vector in vectors)]
    assert _FUNCTIONS[len(vectors)](address)(*pointers, s, env.values.ctypes.data) == 0
    return out


@dataclass(frozen=True)
class Translated:
    """One function's Julia text, with what it reads and how much it writes."""

    name: str
    text: str
    y: Tensor
    constants: list[Tensor]
    work_size: int
    out_size: int

    def run(self, address: int) -> Tensor:
        """What the compiled function makes of ``y``."""
        return called(address, self.out_size, [self.y], TIME, Environment(self.constants, self.work_size))


def traced(function_: Function, y: Tensor) -> Graph:
    """The graph of a function."""
    return trace(function_, (torch.tensor(TIME, dtype=y.dtype), torch.ones_like(y)))


def translated(name: str, graph: Graph, y: Tensor, emitter: str) -> Translated:
    """The Julia function that one of `EMITTERS` makes of a graph of a function of ``(t, y)``."""
    constants: list[Tensor] = []
    pointers = Pointers((), constants)
    code = lower_with(EMITTERS[emitter](pointers), graph, [("t",), "y"], [Output("out", y.dtype)], pointers)
    (result,) = (node for node in graph.graph.nodes if node.op == "output")
    text = function_text("rhs", code, y.dtype, INCREASING, pointers, len(y), 0).replace(
        "function rhs", f"function {name}"
    )
    return Translated(name, text, y, constants, code.work_size, result.args[0].meta["val"].numel())


def compiled(pieces: Sequence[Translated]) -> dict[str, int]:
    """The addresses of functions of one dtype, by name."""
    dtype = str(pieces[0].y.dtype).removeprefix("torch.")
    text = "\n".join(piece.text for piece in pieces)
    found = session.start().compile(text, dtype, [(piece.name, 2) for piece in pieces])
    return {piece.name: int(address) for piece, address in zip(pieces, found, strict=True)}
