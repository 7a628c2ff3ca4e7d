"""From a graph of ATen operations to lines of Julia."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pyode_bridge.compiled.capture.tracing import Graph
from pyode_bridge.compiled.codegen.loops.emitter import ByLoops
from pyode_bridge.compiled.codegen.scalar_emitter import ByNumber, TooLargeError
from pyode_bridge.compiled.errors import UnsupportedOperatorError
from pyode_bridge.compiled.lowerings import LOWERINGS, Call
from pyode_bridge.compiled.lowerings.creation import EMPTY

LONGEST_PRODUCT = 8  # terms of a dot product that are still written one by one


@dataclass(frozen=True)
class Output:
    """Where results go: one after another to the memory at a pointer; nowhere if that is null, where it may be."""

    pointer: str
    dtype: torch.dtype
    may_be_null: bool = False


@dataclass(frozen=True)
class Code:
    """Lines of Julia, and the bytes of memory that they work in."""

    lines: tuple[str, ...]
    work_size: int


class Names:
    """The pointers to tensors that one function reads: those from outside by place, then constants.

    Args:
        outside: tensors that may have other values at each solve.
        constants: of the functions so far; those of this one are added.

    Attributes:
        used: places of the tensors that the function reads, with their dtypes.
    """

    def __init__(self, outside: Sequence[Tensor], constants: list[Tensor]) -> None:
        self._places = {id(tensor): place for place, tensor in enumerate(outside, 1)}
        self._outside = len(outside)
        self._constants = constants
        self.used: dict[int, torch.dtype] = {}

    def of(self, tensor: Tensor) -> str | None:
        """The pointer to a tensor from outside, or None for another."""
        place = self._places.get(id(tensor))
        return None if place is None else self._name(place, tensor)

    def constant(self, tensor: Tensor) -> str:
        """The pointer to a constant."""
        for place, other in enumerate(self._constants, self._outside + 1):
            if other.dtype == tensor.dtype and torch.equal(other, tensor):
                return self._name(place, tensor)
        self._constants.append(tensor)
        return self._name(self._outside + len(self._constants), tensor)

    def _name(self, place: int, tensor: Tensor) -> str:
        self.used[place] = tensor.dtype
        return f"p{place}"


def translate(graph: Graph, inputs: Sequence[str | tuple[str]], outputs: Sequence[Output], names: Names) -> Code:
    """The code of a graph, number by number if it is small, else as loops.

    Args:
        graph: whose results all go to the outputs; several for one output follow one another.
        inputs: for each input the variable that points to its memory, or, in a tuple, that is it.
        outputs: for each result.
        names: of the pointers to other tensors.
    """
    if not _long_products(graph):
        try:
            return written(ByNumber(), graph, inputs, outputs, names)
        except TooLargeError:
            pass
    return written(ByLoops(names.constant), graph, inputs, outputs, names)


def _long_products(graph: Graph) -> bool:
    products: set[Any] = {torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default}
    second: list[Any] = [node.args[-1] for node in graph.graph.nodes if node.target in products]
    return any(node.meta["val"].shape[-2] > LONGEST_PRODUCT for node in second)


def written(
    builder: Any, graph: Graph, inputs: Sequence[str | tuple[str]], outputs: Sequence[Output], names: Names
) -> Code:
    """The code that one builder makes of a graph; the rest is as for `translate`.

    What only an output at a null pointer would need comes last, and is not run.
    """
    *nodes, end = graph.graph.nodes
    found = end.args[0] if isinstance(end.args[0], (tuple, list)) else (end.args[0],)
    results = list(zip(found, outputs, strict=True))
    always = [(result, output) for result, output in results if not output.may_be_null]
    perhaps = [(result, output) for result, output in results if output.may_be_null]
    given = dict(zip((node for node in nodes if node.op == "placeholder"), inputs, strict=True))
    values: dict[fx.Node, Any] = {}

    def write(part: Iterable[fx.Node], targets: Sequence[tuple[Any, Output]]) -> None:
        for node in part:
            values[node] = _value(builder, node, values, graph, given, names)
        _write(builder, [(fx.map_arg(result, values.__getitem__), output) for result, output in targets])

    early = _behind([result for result, _ in always])
    write([node for node in nodes if node in early], always)
    if perhaps:
        builder.stop_if(f"{perhaps[0][1].pointer} == C_NULL")
    write([node for node in nodes if node not in early], perhaps)
    return Code(tuple(builder.lines()), builder.work_size())


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


def _value(
    builder: Any,
    node: fx.Node,
    values: Mapping[fx.Node, Any],
    graph: Graph,
    given: Mapping[fx.Node, str | tuple[str]],
    names: Names,
) -> Any:
    if node.op == "placeholder":
        return _input(builder, given[node], node.meta["val"])
    if node.op == "call_function":
        return _called(builder, node, values)
    tensor = graph.tensors[str(node.target)]
    name = names.of(tensor)
    return tensor.detach() if name is None else builder.input(name, tensor.detach())


def _input(builder: Any, name: str | tuple[str], value: Tensor) -> Any:
    return builder.input(name, value) if isinstance(name, str) else builder.scalar(name[0], value.dtype)


def _called(builder: Any, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    target: Any = node.target
    args: Any
    kwargs: Any
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda argument: values[argument])
    if getattr(target, "__name__", "") == "getitem":
        return args[0][args[1]]
    _check(target)
    arrays = [value for value in _flat((args, kwargs)) if not _is_known(value)]
    if not arrays and target not in EMPTY:
        return target(*args, **kwargs)
    if target not in LOWERINGS:
        raise UnsupportedOperatorError(f"the operation {_name(target)} has no translation")
    result = LOWERINGS[target](Call(builder, node), *args, **kwargs)
    return builder.kept(result) if len(node.users) > 1 and not _is_known(result) else result


def _check(target: Any) -> None:
    if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
        raise UnsupportedOperatorError(f"it is random ({_name(target)})")


def _name(target: Any) -> str:
    return str(target).removesuffix(".default")


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [part for item in value for part in _flat(item)]
    if isinstance(value, dict):
        return [part for item in value.values() for part in _flat(item)]
    return [value]


def _is_known(value: Any) -> bool:
    return not hasattr(value, "shape") or isinstance(value, Tensor)


def _write(builder: Any, results: Sequence[tuple[Any, Output]]) -> None:
    offsets: dict[str, int] = {}
    for result, output in results:
        array = builder.constant(result) if isinstance(result, Tensor) else result
        offset = offsets.get(output.pointer, 0)
        builder.store(array, output.pointer, offset, output.dtype)
        offsets[output.pointer] = offset + torch.Size(array.shape).numel()
