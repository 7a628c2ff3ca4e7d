"""The functions of dynamics that solvers call, as graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.capture.tracing import Graph, trace
from pyode_bridge.compiled.codegen.entry_points import function, parameter_product
from pyode_bridge.compiled.codegen.graph_lowering import Code, Names, Output, translate
from pyode_bridge.compiled.errors import UnsupportedDynamicsError

LARGEST_JACOBIAN = 1000  # rows; beyond, the products for all of them at once would fill the memory


class Functions:
    """The functions of one dynamics.

    Args:
        start: of a solve of the dynamics that they are of.
        tensors: that may have other values at each solve.
        constants: of the functions so far; see `Names`.

    Attributes:
        work_size: bytes of memory that the largest works in.
    """

    def __init__(self, start: Start, tensors: Sequence[Tensor], constants: list[Tensor]) -> None:
        self._start = start
        self._dynamics = start.dynamics
        self._tensors = tensors
        self._constants = constants
        self.work_size = 0

    def text(self, name: str) -> str:
        """The Julia text of ``"rhs"``, ``"vjp"``, ``"vjp_p"``, ``"joint"`` or ``"jacobian"``."""
        return getattr(self, f"_{name}")()  # type: ignore[no-any-return]

    def _rhs(self) -> str:
        return self._made("rhs", self._trace(lambda t, y: self._value(t, y)), ["y"], [self._output("out")])

    def _vjp(self) -> str:
        return self._product("vjp", parameters=False)

    def _vjp_p(self) -> str:
        dynamics = self._dynamics
        return parameter_product(dynamics.structure.dtype, dynamics.size, dynamics.parameter_size)

    def _joint(self) -> str:
        return self._product("joint", parameters=True)

    def _jacobian(self) -> str:
        size = self._dynamics.size
        if size > LARGEST_JACOBIAN:
            raise UnsupportedDynamicsError(f"its Jacobian has more than {LARGEST_JACOBIAN} rows")

        def columns(t: Tensor, y: Tensor) -> Tensor:
            with torch.no_grad():
                found: Tensor = torch.func.jacrev(self._value, argnums=1)(t, y)
            return found.mT

        return self._made("jacobian", self._trace(columns), ["y"], [self._output("out")])

    def _value(self, t: Tensor, y: Tensor) -> Tensor:
        """The right-hand side at the user's time; of copies, which ``func`` may write to."""
        dynamics = self._dynamics
        structure = dynamics.structure
        value = structure.pack_returned(dynamics.func(t.clone(), structure.unpack_copy(y)), "func(t, y)", 0.0)
        return value if dynamics.sign > 0 else -value

    def _product(self, name: str, *, parameters: bool) -> str:
        wanted = self._dynamics.parameters if parameters else ()

        def products(t: Tensor, v: Tensor, y: Tensor) -> list[Tensor]:
            with torch.enable_grad():
                y = y.detach().requires_grad_()
                inputs = [y, *wanted]
                value = self._value(t, y)
                found: Sequence[Tensor | None] = [None] * len(inputs)
                if value.requires_grad:
                    found = torch.autograd.grad(value, inputs, v, allow_unused=True)
            return [
                torch.zeros_like(of) if grad is None else grad.detach() for grad, of in zip(found, inputs, strict=True)
            ]

        outputs = [self._output("out", may_be_null=parameters), *[self._output("dp")] * len(wanted)]
        return self._made(name, self._trace(products, vectors=2), ["v", "y"], outputs)

    def _output(self, pointer: str, *, may_be_null: bool = False) -> Output:
        return Output(pointer, self._dynamics.structure.dtype, may_be_null)

    def _trace(self, function: Callable[..., object], vectors: int = 1) -> Graph:
        # Close to the start, since what is computed on the way, such as an inverse matrix, may not exist elsewhere; but
        # not there, so that the comparison notices what escaped the trace. The vectors are tensors to be told apart.
        point = self._start.beside()
        inputs = [point.y.clone() for _ in range(vectors)]
        with torch.no_grad():
            return trace(function, (self._dynamics.time(point.s), *inputs))

    def _made(self, name: str, graph: Graph, pointers: Sequence[str], outputs: Sequence[Output]) -> str:
        dynamics = self._dynamics
        names = Names(self._tensors, self._constants)
        code: Code = translate(graph, [("t",), *pointers], outputs, names)
        self.work_size = max(self.work_size, code.work_size)
        size, parameters = dynamics.size, dynamics.parameter_size
        return function(name, code, dynamics.structure.dtype, dynamics.sign, names, size, parameters)
