"""From a function of tensors to a graph of ATen operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from pyode_bridge.compiled.decompositions import table
from pyode_bridge.compiled.refusals import UntranslatableError


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
    """Trace ``function``; raises UntranslatableError where its operations cannot be known beforehand.

    Writing in place is turned into operations that make new tensors.
    """

    def called(*given: Tensor) -> Any:  # whatever the function's own signature is
        return function(*given)

    try:
        module = make_fx(called, decomposition_table=table())(*inputs)
        if any(_writes(node) for node in module.graph.nodes):  # which decompositions must not come before
            module = make_fx(torch.func.functionalize(make_fx(called)(*inputs)))(*inputs)
            module = make_fx(module, decomposition_table=table())(*inputs)
    except UntranslatableError:
        raise
    except Exception as error:
        raise UntranslatableError(f"it could not be traced ({_first_line(error)})") from error
    graph = module.graph
    graph.eliminate_dead_code()
    _eliminate_common_subexpressions(graph)
    attributes = {node.target: getattr(module, node.target) for node in graph.nodes if node.op == "get_attr"}
    return Graph(graph, attributes)


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
        return "it takes a Python value out of a tensor, as in a condition, so its operations depend on the data"
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _writes(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable
