"""Translations of functions of ``(t, y)``, many compiled at once, run as solvers run them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.compiled.loops import ByLoops
from pyode_bridge.compiled.numbers import ByNumber
from pyode_bridge.compiled.source import LEFT, TENSORS, WORK, function
from pyode_bridge.compiled.tracing import Graph, trace
from pyode_bridge.compiled.translation import Names, Output, written
from pyode_bridge.engines.julia import session

Function = Callable[[Tensor, Tensor], Tensor]
BUILDERS = {"by number": lambda names: ByNumber(), "by loops": lambda names: ByLoops(names.constant)}
TIME = 0.75

_POINTER = ctypes.c_void_p
_C_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_double, _POINTER)


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
        work = np.full(self.work_size, 255, dtype=np.uint8)  # NaN, so that reading what nobody wrote shows
        env = np.zeros(TENSORS - 1 + len(self.constants), dtype=np.int64)
        env[LEFT - 1] = 1000
        env[WORK - 1] = work.ctypes.data
        env[TENSORS - 1 :] = [constant.data_ptr() for constant in self.constants]
        out = torch.full((self.out_size,), torch.nan, dtype=self.y.dtype)
        assert _C_FUNCTION(address)(out.data_ptr(), self.y.data_ptr(), TIME, env.ctypes.data) == 0
        return out


def traced(function_: Function, y: Tensor) -> Graph:
    """The graph of a function."""
    return trace(function_, (torch.tensor(TIME, dtype=y.dtype), torch.ones_like(y)))


def translated(name: str, graph: Graph, y: Tensor, builder: str) -> Translated:
    """The Julia function that one of `BUILDERS` makes of a graph of a function of ``(t, y)``."""
    constants: list[Tensor] = []
    names = Names((), constants)
    code = written(BUILDERS[builder](names), graph, [("t",), "y"], [Output("out", y.dtype)], names)
    (result,) = (node for node in graph.graph.nodes if node.op == "output")
    text = function("rhs", code, y.dtype, 1.0, names, len(y), 0).replace("function rhs", f"function {name}")
    return Translated(name, text, y, constants, code.work_size, result.args[0].meta["val"].numel())


def compiled(pieces: Sequence[Translated]) -> dict[str, int]:
    """The addresses of functions of one dtype, by name."""
    dtype = str(pieces[0].y.dtype).removeprefix("torch.")
    text = "\n".join(piece.text for piece in pieces)
    found = session.start().compile(text, dtype, [(piece.name, 2) for piece in pieces])
    return {piece.name: int(address) for piece, address in zip(pieces, found, strict=True)}
