"""Tensors that are joined and then turned are turned and then joined, so that each is written where it is to lie.

What `torch.vmap` makes of a function joins along its last dimension what it has the batch in front of.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

aten = torch.ops.aten


def join_turned(graph: fx.Graph) -> None:
    """Rewrite each ``permute`` of a ``stack`` or a ``cat`` that nothing else uses."""
    for node in list(graph.nodes):
        if node.target != aten.permute.default:
            continue
        joined, order = node.args
        if joined.target not in _TURNED or len(joined.users) > 1:
            continue
        parts, dim = (*joined.args, 0)[:2]
        if len({part.meta["val"].ndim for part in parts}) > 1:  # as cat leaves out empty vectors
            continue
        _TURNED[joined.target](graph, node, parts, dim % len(order), [place % len(order) for place in order])
        graph.erase_node(node)
        graph.erase_node(joined)


def _stack(graph: fx.Graph, node: fx.Node, parts: Any, dim: int, order: list[int]) -> None:
    rest = [place - (place > dim) for place in order if place != dim]
    _join(graph, node, aten.stack.default, parts, rest, order.index(dim))


def _cat(graph: fx.Graph, node: fx.Node, parts: Any, dim: int, order: list[int]) -> None:
    _join(graph, node, aten.cat.default, parts, order, order.index(dim))


def _join(graph: fx.Graph, node: fx.Node, operator: Any, parts: Any, order: list[int], dim: int) -> None:
    with graph.inserting_before(node):
        turned = [_permuted(graph, part, order) for part in parts]
        made = graph.call_function(operator, (turned, dim))
    made.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(made)


def _permuted(graph: fx.Graph, part: fx.Node, order: list[int]) -> fx.Node:
    if order == sorted(order):
        return part
    made = graph.call_function(aten.permute.default, (part, order))
    made.meta["val"] = part.meta["val"].permute(order)
    return made


_TURNED = {aten.stack.default: _stack, aten.cat.default: _cat}
