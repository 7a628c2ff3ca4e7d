"""From a function of tensors to a graph of ATen operators."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pyode_bridge.compiled.capture.complex_pairs import PairInterpreter, has_complex
from pyode_bridge.compiled.capture.decompositions.functions import FUNCTIONS
from pyode_bridge.compiled.capture.decompositions.table import table
from pyode_bridge.compiled.capture.joining import join_turned
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem import levels

DEPENDS_ON_DATA = "it takes a Python value out of a tensor, as in a condition, so its operations depend on the data"


@dataclass(frozen=True)
class Graph:
    """A traced function.

    Attributes:
        graph: its nodes; each has the result's shape and dtype in ``meta["val"]``.
        tensors: by the name of a ``get_attr`` node, the tensor from outside or the constant that it stands for.
    """

    graph: fx.Graph
    tensors: dict[str, Tensor]


def trace(function: Callable[..., Any], inputs: Sequence[Tensor]) -> Graph:
    """Trace ``function``; raises UnsupportedDynamicsError where its operations cannot be known beforehand.

    Writing in place is turned into operations that make new tensors.
    """

    def called(*given: Tensor) -> Any:  # whatever the function's own signature is
        with _Numbers(), _Functions():  # type: ignore[no-untyped-call]
            return function(*given)

    try:
        with _uncompiled():
            module = make_fx(called, decomposition_table=table())(*inputs)
            if _writes(module):  # which decompositions must not come before
                module = _without_writing(make_fx(called)(*inputs), inputs)
            if has_complex(module):
                module.graph.eliminate_dead_code()
                module = make_fx(PairInterpreter(module).run, decomposition_table=table())(*inputs)
    except UnsupportedDynamicsError:
        raise
    except Exception as error:
        raise UnsupportedDynamicsError(f"it could not be traced ({_first_line(error)})") from error
    graph = module.graph
    graph.eliminate_dead_code()
    _eliminate_common_subexpressions(graph)
    join_turned(graph)
    return Graph(graph, _outside(module))


class _Numbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses Python numbers out of tensors, which would stay in the graph while the tensors change.

    Those out of tensors of whole numbers, which may decide on operations, are in the key of a graph.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        if isinstance(value, (bool, int, float, complex)) and any(map(_is_inexact, args)):
            raise UnsupportedDynamicsError(DEPENDS_ON_DATA)
        return value


class _Functions(TorchFunctionMode):
    """Refuses lists and NumPy's arrays of a tensor's elements likewise; takes some functions apart."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.tolist, Tensor.numpy, Tensor.__array__) and _is_inexact(args[0]):
            raise UnsupportedDynamicsError(DEPENDS_ON_DATA)
        if func in FUNCTIONS and not args[0].is_complex():
            return FUNCTIONS[func](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _is_inexact(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _uncompiled() -> contextlib.AbstractContextManager[object]:
    """Within it, what torch.compile made runs as what it was made of, where it would refuse to be traced."""
    dynamo: Any = sys.modules.get("torch._dynamo")
    return contextlib.nullcontext() if dynamo is None else dynamo.config.patch(error_on_nested_fx_trace=False)


def _outside(module: fx.GraphModule) -> dict[str, Tensor]:
    """The tensors that a graph has from outside, by name."""
    names = [node.target for node in module.graph.nodes if node.op == "get_attr"]
    return {name: _in_memory(getattr(module, name)) for name in names}


def _in_memory(tensor: Any) -> Tensor:
    """The tensor, but for a zero of autograd's that lies nowhere."""
    if not isinstance(tensor, Tensor):
        raise UnsupportedDynamicsError(f"it uses a {type(tensor).__name__}, as random numbers do")
    if levels.is_wrapped(tensor):
        raise UnsupportedDynamicsError("it uses a tensor that torch is about to transform otherwise than as an input")
    return torch.zeros_like(tensor) if tensor._is_zerotensor() else tensor


def _without_writing(module: fx.GraphModule, inputs: Sequence[Tensor]) -> fx.GraphModule:
    """The same, taken apart, with new tensors in the place of those that are written to.

    Its tensors from outside are inputs on the way: torch turns writing into something else where all is made of inputs.
    """
    outside = _outside(module)
    _take_in(module, list(outside))
    given = (*inputs, *outside.values())
    module = make_fx(torch.func.functionalize(module))(*given)
    module = make_fx(module, decomposition_table=table())(*given)
    if _writes(module):
        raise UnsupportedDynamicsError("it writes to a tensor that it captures")
    _put_back(module, len(inputs), list(outside.values()))
    return module


def _take_in(module: fx.GraphModule, names: Sequence[str]) -> None:
    """Make inputs, behind the others, of the tensors of these names."""
    graph = module.graph
    *_, last = (node for node in graph.nodes if node.op == "placeholder")
    made: dict[Any, fx.Node] = {}
    for name in names:
        with graph.inserting_after(last):
            made[name] = last = graph.placeholder(name)
    for node in list(graph.nodes):
        if node.op == "get_attr":
            node.replace_all_uses_with(made[node.target])
            graph.erase_node(node)
    module.recompile()


def _put_back(module: fx.GraphModule, inputs: int, tensors: Sequence[Tensor]) -> None:
    """Have these tensors from outside again, in the place of the inputs behind so many."""
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    for number, (node, tensor) in enumerate(zip(placeholders[inputs:], tensors, strict=True)):
        node.op, node.target = "get_attr", f"outside{number}"
        setattr(module, node.target, tensor)


def _eliminate_common_subexpressions(graph: fx.Graph) -> None:
    """Compute once what several nodes compute. torch's own pass takes a second to load, and this one tells -0.0 from 0.

    Nodes are the same where their arguments are written the same; earlier ones stand for their repetitions by then.
    """
    firsts: dict[tuple[Any, str], fx.Node] = {}
    for node in graph.nodes:
        if node.op == "call_function":
            first = firsts.setdefault((node.target, repr((node.args, node.kwargs))), node)
            if first is not node:
                node.replace_all_uses_with(first)
                graph.erase_node(node)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if lines and "data-dependent control flow" in str(error):
        return DEPENDS_ON_DATA
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _writes(module: fx.GraphModule) -> bool:
    schemas = (getattr(node.target, "_schema", None) for node in module.graph.nodes)
    return any(schema is not None and schema.is_mutable for schema in schemas)
