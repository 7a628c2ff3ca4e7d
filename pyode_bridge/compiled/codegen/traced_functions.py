"""The functions of an equation that solvers call, as Julia's text."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pyode_bridge.compiled.capture.functions import graph_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.entry_points import function_text, parameter_product, vectors_of
from pyode_bridge.compiled.codegen.graph_lowering import Output, lower
from pyode_bridge.compiled.codegen.pointers import Pointers


class TracedFunctions:
    """The functions of one dynamics.

    Args:
        start: of a solve of the dynamics that they are of.
        tensors: that may have other values at each solve.
        constants: of the functions so far; see `Pointers`.

    Attributes:
        work_size: bytes of memory that the largest works in.
    """

    def __init__(self, start: Start, tensors: Sequence[Tensor], constants: list[Tensor]) -> None:
        self._start, self._dynamics = start, start.dynamics
        self._tensors = tensors
        self._constants = constants
        self.work_size = 0

    def text(self, name: str) -> str:
        """The Julia text of ``"rhs"``, ``"vjp"``, ``"vjp_p"``, ``"joint"``, ``"jacobian"`` or a part."""
        dynamics = self._dynamics
        dtype, size, parameters = dynamics.structure.dtype, dynamics.size, dynamics.parameter_size
        if name == "vjp_p":
            return parameter_product(dtype, size, parameters)
        pointers, vectors = Pointers(self._tensors, self._constants), vectors_of(name, self._start.parts)
        inputs = [vector for vector in vectors if vector in ("v", "y")]
        code = lower(graph_of(name, self._start), [("t",), *inputs], self._outputs(name), pointers)
        self.work_size = max(self.work_size, code.work_size)
        return function_text(name, code, dtype, dynamics.direction, pointers, size, parameters, vectors)

    def _outputs(self, name: str) -> list[Output]:
        dtype = self._dynamics.structure.dtype
        if name != "joint":
            return [Output("out", dtype)]
        return [
            Output("out", dtype, may_be_null=True),
            *[Output("dp", dtype, adds=True)] * len(self._dynamics.parameters),
        ]
