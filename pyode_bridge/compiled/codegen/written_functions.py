"""The functions of dynamics that a user wrote in Julia: C functions around them, with Julia's own derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from pyode_bridge.compiled.codegen.entry_points import function_text, parameter_product
from pyode_bridge.compiled.codegen.graph_lowering import Code
from pyode_bridge.compiled.codegen.pointers import Pointers
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.state import Structure


class WrittenFunctions:
    """As `TracedFunctions`, of dynamics whose ``func`` is a `JuliaDynamics`; see Julia's half, ``julia_dynamics.jl``.

    Args:
        dynamics: which they are of.
        tensors: that may have other values at each solve.

    Attributes:
        work_size: bytes of memory that they work in.
    """

    work_size = 0

    def __init__(self, dynamics: Dynamics, tensors: Sequence[Tensor]) -> None:
        assert is_written(dynamics.func)
        self._dynamics, self._func = dynamics, dynamics.func
        self._tensors = tensors
        self._size = _state_size(dynamics.structure)

    def text(self, name: str) -> str:
        """The Julia text of ``"rhs"``, ``"vjp"``, ``"vjp_p"``, ``"joint"`` or ``"jacobian"``."""
        return getattr(self, f"_{name}")()  # type: ignore[no-any-return]

    def _rhs(self) -> str:
        return self._made("rhs", f"value!({_array('out', self._size)}, ")

    def _vjp(self) -> str:
        return self._product("vjp", "nothing")

    def _joint(self) -> str:
        return self._product("joint", self._targets())

    def _vjp_p(self) -> str:
        dynamics = self._dynamics
        return parameter_product(dynamics.structure.dtype, dynamics.size, dynamics.parameter_size)

    def _jacobian(self) -> str:
        size = self._dynamics.size
        return self._made("jacobian", f"jacobian!({_array('out', (size, size))}, ")

    def _product(self, name: str, targets: str) -> str:
        return self._made(name, f"pull_back!({_array('out', self._size)}, {targets}, {_array('v', self._size)}, ")

    def _made(self, name: str, call: str) -> str:
        """A function that makes a call, of which the last arguments are the same in all."""
        dynamics, pointers = self._dynamics, Pointers(self._tensors, [])
        p = _laid_out(self._func.values(), lambda tensor: _value(pointers.of(tensor), tensor))
        sign = -1 if dynamics.direction.decreases else 1
        lines = (f"{call}dynamics, {_array('y', self._size)}, {p}, t, {sign})",)
        dtype, size, parameters = dynamics.structure.dtype, dynamics.size, dynamics.parameter_size
        text = function_text(name, Code(lines, 0), dtype, dynamics.direction, pointers, size, parameters)
        return f"const dynamics = from_source({_literal(self._func.source)})\n{text}"

    def _targets(self) -> str:
        """Where the products go, in the shape of ``p``, without what is not wanted."""
        dynamics, begins, end = self._dynamics, {}, 0  # in bytes
        for parameter in dynamics.parameters:
            begins[id(parameter)] = end
            end += parameter.numel() * dynamics.structure.dtype.itemsize
        p = self._func.values()
        if isinstance(p, Mapping):
            p = {name: tensor for name, tensor in p.items() if id(tensor) in begins}
        elif p is not None and id(p) not in begins:
            p = None
        return _laid_out(p, lambda tensor: _array(f"dp + {begins[id(tensor)]}", _reversed(tensor)))


def _state_size(structure: Structure) -> tuple[int, ...]:
    """The size of ``u``: a vector for all but a tensor of several dimensions."""
    if structure.keys is not None or structure.is_complex or len(structure.shapes[0]) < 2:
        return (structure.size,)
    return tuple(reversed(structure.shapes[0]))


def _reversed(tensor: Tensor) -> tuple[int, ...]:
    """Julia's order of dimensions, of which the first lies closest in memory."""
    return tuple(reversed(tensor.shape))


def _laid_out(p: Tensor | Mapping[str, Tensor] | None, written: Callable[[Tensor], str]) -> str:
    if p is None:
        return "nothing"
    if isinstance(p, Tensor):
        return written(p)
    return "(; " + ", ".join(f"{name} = {written(tensor)}" for name, tensor in p.items()) + ")"


def _value(pointer: str | None, tensor: Tensor) -> str:
    assert pointer is not None  # a module's tensors are all within its reach
    return _array(pointer, _reversed(tensor)) if tensor.ndim else f"unsafe_load({pointer})"


def _array(pointer: str, size: Sequence[int]) -> str:
    return f"Borrowed({pointer}, ({''.join(f'{length}, ' for length in size)}))"


def _literal(text: str) -> str:
    """A string as Julia writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'
