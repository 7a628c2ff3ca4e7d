"""Which tensors a value was computed from, by walks through autograd's graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

Edge = tuple[Any, int]  # a node of autograd's graph, and which of its results
_functions: Any = torch._C._functions
_LEAF = _functions.AccumulateGrad  # the node that stands for a leaf, its `variable`


def lost_leaves(value: Tensor, known: Sequence[Tensor], again: Callable[[], Tensor]) -> list[Tensor]:
    """The leaves that ``value`` and another evaluation depend on, beside the ``known`` tensors and what is behind them.

    It is evaluated ``again`` only if there may be some.
    """
    edges = _edges([_edge(value)], {_edge(tensor) for tensor in known if not tensor.is_leaf})
    return lasting(without(leaves_of(edges), known), again)


def depends_on_all(value: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether ``value`` depends on each of the tensors, otherwise than by another of them."""
    cuts = {_edge(tensor): tensor for tensor in tensors if not tensor.is_leaf}
    edges = _edges([_edge(value)], cuts)
    return not without(tensors, [*leaves_of(edges), *(tensor for edge, tensor in cuts.items() if edge in edges)])


def are_entangled(tensors: Sequence[Tensor]) -> bool:
    """Whether one of the tensors was computed from another."""
    return any(ancestors(tensor, tensors) for tensor in tensors)


def ancestors(tensor: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
    """Those of the others that a tensor was computed from."""
    if tensor.is_leaf:
        return []
    edges = behind([tensor])
    leaves = set(map(id, leaves_of(edges)))
    return [other for other in others if id(other) in leaves or (not other.is_leaf and _edge(other) in edges)]


def direct_gradients(tensors: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients by each tensor alone, of those that count what goes through others that were computed from it, too.

    Autograd, which is given them, adds that up itself. Differentiable under the caller's grad mode.
    """
    left = {id(tensor): grad for tensor, grad in zip(tensors, grads, strict=True)}
    behind_each = [(tensor, ancestors(tensor, tensors)) for tensor in tensors]
    for tensor, sources in sorted(behind_each, key=lambda pair: -len(pair[1])):  # the last computed ones first
        grad = left[id(tensor)]
        if grad is None or not sources:
            continue
        through: Sequence[Tensor | None] = torch.autograd.grad(
            tensor, sources, grad, allow_unused=True, retain_graph=True, create_graph=torch.is_grad_enabled()
        )
        for source, part in zip(sources, through, strict=True):
            whole = left[id(source)]
            left[id(source)] = whole if part is None or whole is None else whole - part
    return [left[id(tensor)] for tensor in tensors]


def graph_leaves(value: Tensor) -> list[Tensor]:
    """The leaf tensors that ``value`` depends on and that require a gradient."""
    return leaves_of(_edges([_edge(value)]))


def cut(value: Tensor, computed: Sequence[Tensor]) -> tuple[dict[Edge, None], list[Tensor]]:
    """The edges between ``value`` and its leaves or cuts, and the cuts: of the computed tensors, those met on the way.

    One that was computed from what ``value`` depends on otherwise too is none: gradients of both would count what goes
    through it twice.
    """
    left = {_edge(tensor): tensor for tensor in computed}
    while True:
        edges = _edges([_edge(value)], left)
        cuts = [tensor for edge, tensor in left.items() if edge in edges]
        entangled = [tensor for tensor in cuts if not edges.keys().isdisjoint(behind([tensor]))]
        if not entangled:
            return edges, cuts
        for tensor in entangled:
            del left[_edge(tensor)]


def behind(computed: Iterable[Tensor]) -> dict[Edge, None]:
    """The edges between computed tensors and their leaves."""
    return _edges([edge for tensor in computed for edge in tensor.grad_fn.next_functions])  # type: ignore[union-attr]


def _edge(tensor: Tensor) -> Edge:
    return tensor.grad_fn, tensor.output_nr


def _edges(starts: Iterable[Edge], cuts: Collection[Edge] = ()) -> dict[Edge, None]:
    """The edges from ``starts`` on to the leaves, without those behind ``cuts``."""
    found: dict[Edge, None] = {}
    followed = set()
    pending = list(starts)
    while pending:
        edge = pending.pop()
        node = edge[0]
        if node is None or edge in found:
            continue
        found[edge] = None
        if edge not in cuts and node not in followed:
            followed.add(node)
            pending += node.next_functions
    return found


def leaves_of(edges: Iterable[Edge]) -> list[Tensor]:
    """The leaf tensors at the ends of edges."""
    return [node.variable for node, _ in edges if isinstance(node, _LEAF)]


def lasting(leaves: list[Tensor], again: Callable[[], Tensor]) -> list[Tensor]:
    """Those that another evaluation depends on too."""
    if not leaves:
        return []
    return among(leaves, graph_leaves(again()))


def among(tensors: Iterable[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    """The tensors that are among others, by identity."""
    own = set(map(id, others))
    return [tensor for tensor in tensors if id(tensor) in own]


def without(tensors: Iterable[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    """The tensors that are not among others, by identity."""
    own = set(map(id, others))
    return [tensor for tensor in tensors if id(tensor) not in own]


def unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Each tensor once, by identity."""
    return list({id(tensor): tensor for tensor in tensors}.values())
