"""From a graph of ATen operators to lines of Julia: each node by its lowering, written by one of the emitters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, fx

from pyode_bridge.compiled.capture.tracing import Graph
from pyode_bridge.compiled.codegen.loops.emitter import LoopEmitter
from pyode_bridge.compiled.codegen.pointers import Pointers
from pyode_bridge.compiled.codegen.scalar_emitter import ScalarEmitter, TooManyScalarsError
from pyode_bridge.compiled.errors import UnsupportedOperatorError
from pyode_bridge.compiled.lowerings import REGISTRY, LoweringContext
from pyode_bridge.compiled.lowerings.creation import EMPTY
from pyode_bridge.compiled.lowerings.emitter import A, Emitter

LONGEST_PRODUCT = 8  # terms of a dot product that are still written one by one

Input = str | tuple[str]  # the variable that points to an input's memory, or, in a tuple, that is it


@dataclass(frozen=True)
class Output:
    """Where results go: one after another to the memory at a pointer; nowhere if that is null, where it may be.

    They are written there, or added to what is there.
    """

    pointer: str
    dtype: torch.dtype
    may_be_null: bool = False
    adds: bool = False


@dataclass(frozen=True)
class Code:
    """Lines of Julia, and the bytes of memory that they work in."""

    lines: tuple[str, ...]
    work_size: int


def lower(graph: Graph, inputs: Sequence[Input], outputs: Sequence[Output], pointers: Pointers) -> Code:
    """The code of a graph, number by number if it is small, else as loops.

    Args:
        graph: whose results all go to the outputs; several for one output follow one another.
        inputs: for each input its variable.
        outputs: for each result.
        pointers: to other tensors.
    """
    if not _long_products(graph):
        try:
            return lower_with(ScalarEmitter(), graph, inputs, outputs, pointers)
        except TooManyScalarsError:
            pass
    return lower_with(LoopEmitter(pointers.constant), graph, inputs, outputs, pointers)


def _long_products(graph: Graph) -> bool:
    products: set[Any] = {torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default}
    second: list[Any] = [node.args[-1] for node in graph.graph.nodes if node.target in products]
    return any(node.meta["val"].shape[-2] > LONGEST_PRODUCT for node in second)


def lower_with(
    emitter: Emitter[A], graph: Graph, inputs: Sequence[Input], outputs: Sequence[Output], pointers: Pointers
) -> Code:
    """The code that one emitter makes of a graph; the rest is as for `lower`.

    What only an output at a null pointer would need comes last, and is not run.
    """
    *nodes, end = graph.graph.nodes
    found = end.args[0] if isinstance(end.args[0], (tuple, list)) else (end.args[0],)
    results = list(zip(found, outputs, strict=True))
    always = [(result, output) for result, output in results if not output.may_be_null]
    perhaps = [(result, output) for result, output in results if output.may_be_null]
    lowering = _Lowering(emitter, graph, inputs, pointers)
    early = _behind([result for result, _ in always])
    lowering.write([node for node in nodes if node in early], always)
    if perhaps:
        emitter.stop_if(f"{perhaps[0][1].pointer} == C_NULL")
    lowering.write([node for node in nodes if node not in early], perhaps)
    return Code(tuple(emitter.lines()), emitter.work_size())


def _behind(results: Iterable[Any]) -> set[fx.Node]:
    """The nodes that results are computed from, themselves included."""
    found: set[fx.Node] = set()
    pending = [result for result in results if isinstance(result, fx.Node)]
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += node.all_input_nodes
    return found


class _Lowering(Generic[A]):
    """One graph on its way through an emitter: each node's value is an array, or what is known of it beforehand."""

    def __init__(self, emitter: Emitter[A], graph: Graph, inputs: Sequence[Input], pointers: Pointers) -> None:
        self._emitter, self._tensors, self._pointers = emitter, graph.tensors, pointers
        placeholders = (node for node in graph.graph.nodes if node.op == "placeholder")
        self._inputs = dict(zip(placeholders, inputs, strict=True))
        self._values: dict[fx.Node, Any] = {}

    def write(self, nodes: Iterable[fx.Node], results: Sequence[tuple[Any, Output]]) -> None:
        """Write nodes, then store results, one after another where several have the same pointer."""
        for node in nodes:
            self._values[node] = self._value(node)
        offsets: dict[str, int] = {}
        for result, output in results:
            value = fx.map_arg(result, self._values.__getitem__)
            array = self._emitter.constant(value) if isinstance(value, Tensor) else value
            offset = offsets.get(output.pointer, 0)
            if output.adds:
                self._emitter.add(array, output.pointer, offset, output.dtype)
            else:
                self._emitter.store(array, output.pointer, offset, output.dtype, may_be_null=output.may_be_null)
            offsets[output.pointer] = offset + torch.Size(array.shape).numel()

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._input(self._inputs[node], node.meta["val"])
        if node.op == "call_function":
            return self._called(node)
        tensor = self._tensors[str(node.target)]
        pointer = self._pointers.of(tensor)
        if pointer is None:
            return tensor.detach()
        # A complex one is seen as real parts alone, by `view_as_real`.
        return self._emitter.input(
            pointer, torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
        )

    def _input(self, name: Input, value: Tensor) -> A:
        if isinstance(name, str):
            return self._emitter.input(name, value)
        return self._emitter.scalar(name[0], value.dtype)

    def _called(self, node: fx.Node) -> Any:
        operator: Any = node.target
        args: Any
        kwargs: Any
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._values.__getitem__)
        if getattr(operator, "__name__", "") == "getitem":
            return args[0][args[1]]
        _check_deterministic(operator)
        arrays = [value for value in _flat((args, kwargs)) if not _is_known(value)]
        if not arrays and operator not in EMPTY:
            return operator(*args, **kwargs)
        if operator not in REGISTRY:
            raise UnsupportedOperatorError(f"the operation {_name(operator)} has no translation")
        result = REGISTRY[operator](LoweringContext(self._emitter, node), *args, **kwargs)
        return self._emitter.realized(result) if len(node.users) > 1 and not _is_known(result) else result


def _check_deterministic(operator: Any) -> None:
    if torch.Tag.nondeterministic_seeded in getattr(operator, "tags", ()):
        raise UnsupportedOperatorError(f"it is random ({_name(operator)})")


def _name(operator: Any) -> str:
    return str(operator).removesuffix(".default")


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [part for item in value for part in _flat(item)]
    if isinstance(value, dict):
        return [part for item in value.values() for part in _flat(item)]
    return [value]


def _is_known(value: Any) -> bool:
    return not hasattr(value, "shape") or isinstance(value, Tensor)
