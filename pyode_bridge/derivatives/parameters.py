"""Which tensors the gradient must reach: all that the dynamics can use, and those they turn out to use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.reach import Reach, reach
from pyode_bridge.compiled.refusals import UntranslatableError
from pyode_bridge.errors import InputError, UnsupportedError

_Edge = tuple[Any, int]  # a node of autograd's graph, and which of its results
_functions: Any = torch._C._functions
_LEAF = _functions.AccumulateGrad  # the node that stands for a leaf, its `variable`


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Wanted:
    """The tensors of which a solve's gradient is wanted.

    Attributes:
        parameters: leaves, and computed tensors, where autograd's graph is cut: what is behind them is autograd's own
            business, once for a backward pass. None of them was computed from another.
        used: those that the right-hand side depends on at the start; None where nobody looked.
        unmet: other leaves, which it may come to depend on.
        complete: whether there is no leaf but these that it can depend on, as far as can be told.
    """

    parameters: Sequence[Tensor] = ()
    used: Sequence[Tensor] | None = ()
    unmet: Sequence[Tensor] = ()
    complete: bool = True


class UnmetError(UnsupportedError):
    """The dynamics depend on a leaf that they did not depend on at the start, so that it is no parameter yet."""


def listed_parameters(adjoint_params: Iterable[Tensor]) -> list[Tensor]:
    """The tensors that a caller listed, without those that need no gradient."""
    if isinstance(adjoint_params, Tensor) or not isinstance(adjoint_params, Iterable):
        raise InputError(
            f"adjoint_params is a {type(adjoint_params).__name__}; expected several tensors, for example "
            "tuple(func.parameters())."
        )
    parameters = list(adjoint_params)
    for position, parameter in enumerate(parameters):
        if not isinstance(parameter, Tensor):
            raise InputError(
                f"adjoint_params[{position}] is a {type(parameter).__name__}; expected tensors, for example "
                "tuple(func.parameters())."
            )
    listed = _unique(parameter for parameter in parameters if parameter.requires_grad)
    if are_entangled(listed):
        raise InputError(
            "adjoint_params holds a tensor together with one that it was computed from, whose gradient would count "
            "twice; list the first alone: its gradient goes on to what it was computed from."
        )
    return listed


def reached(func: Callable[..., Any]) -> Reach | None:
    """What a walk through ``func`` finds; None where it meets what it cannot tell.

    Walk before any evaluation: a tensor that one computes and leaves behind in an attribute is none from outside.
    """
    try:
        return reach(func)
    except UntranslatableError:
        return None


def wanted(func: Callable[..., Any], found: Reach | None, value: Tensor, again: Callable[[], Tensor]) -> Wanted:
    """What ``value``, the right-hand side at the start under autograd, depends on, and what it may come to depend on.

    A module's own parameters count as if it did. Others that were `reached`, by attributes, closures and global
    variables, may belong to something else, so that they are unmet until an evaluation depends on them. Leaves that
    ``again``, another evaluation at the start, does not repeat were made by the evaluation itself, as by
    ``requires_grad_()`` on the state.
    """
    own = list(func.parameters()) if isinstance(func, torch.nn.Module) else []
    everything = (*own, *(() if found is None else (*found.tensors, *found.complexes)))
    known = _unique(tensor for tensor in everything if tensor.requires_grad)
    edges, cuts = _cut(value, [tensor for tensor in known if not tensor.is_leaf])
    met = _leaves(edges)
    others = _lasting(_without(met, known), again)
    leaves = _without([tensor for tensor in known if tensor.is_leaf], _leaves(_behind(cuts)))
    parameters = _among(leaves, [*own, *met]) + cuts + others
    complete = found is not None and found.whole and not others and len(leaves) + len(cuts) == len(known)
    return Wanted(parameters, _among(met, parameters) + cuts, _without(leaves, parameters), complete)


def lost_leaves(value: Tensor, known: Sequence[Tensor], again: Callable[[], Tensor]) -> list[Tensor]:
    """The leaves that ``value`` and another evaluation depend on, beside the ``known`` tensors and what is behind them.

    It is evaluated ``again`` only if there may be some.
    """
    edges = _edges([_edge(value)], {_edge(tensor) for tensor in known if not tensor.is_leaf})
    return _lasting(_without(_leaves(edges), known), again)


def depends_on_all(value: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether ``value`` depends on each of the tensors, otherwise than by another of them."""
    cuts = {_edge(tensor): tensor for tensor in tensors if not tensor.is_leaf}
    edges = _edges([_edge(value)], cuts)
    return not _without(tensors, [*_leaves(edges), *(tensor for edge, tensor in cuts.items() if edge in edges)])


def are_entangled(tensors: Sequence[Tensor]) -> bool:
    """Whether one of the tensors was computed from another."""
    computed = [tensor for tensor in tensors if not tensor.is_leaf]
    if not computed:
        return False
    behind = _behind(computed)
    return bool(_among(_leaves(behind), tensors)) or any(_edge(tensor) in behind for tensor in computed)


def _graph_leaves(value: Tensor) -> list[Tensor]:
    """The leaf tensors that ``value`` depends on and that require a gradient."""
    return _leaves(_edges([_edge(value)]))


def _cut(value: Tensor, computed: Sequence[Tensor]) -> tuple[dict[_Edge, None], list[Tensor]]:
    """The edges between ``value`` and its leaves or cuts, and the cuts: of the computed tensors, those met on the way.

    One that was computed from what ``value`` depends on otherwise too is none: gradients of both would count what goes
    through it twice.
    """
    left = {_edge(tensor): tensor for tensor in computed}
    while True:
        edges = _edges([_edge(value)], left)
        cuts = [tensor for edge, tensor in left.items() if edge in edges]
        entangled = [tensor for tensor in cuts if not edges.keys().isdisjoint(_behind([tensor]))]
        if not entangled:
            return edges, cuts
        for tensor in entangled:
            del left[_edge(tensor)]


def _behind(computed: Iterable[Tensor]) -> dict[_Edge, None]:
    """The edges between computed tensors and their leaves."""
    return _edges([edge for tensor in computed for edge in tensor.grad_fn.next_functions])  # type: ignore[union-attr]


def _edge(tensor: Tensor) -> _Edge:
    return tensor.grad_fn, tensor.output_nr


def _edges(starts: Iterable[_Edge], cuts: Collection[_Edge] = ()) -> dict[_Edge, None]:
    """The edges from ``starts`` on to the leaves, without those behind ``cuts``."""
    found: dict[_Edge, None] = {}
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


def _leaves(edges: Iterable[_Edge]) -> list[Tensor]:
    return [node.variable for node, _ in edges if isinstance(node, _LEAF)]


def _lasting(leaves: list[Tensor], again: Callable[[], Tensor]) -> list[Tensor]:
    """Those that another evaluation depends on too."""
    if not leaves:
        return []
    return _among(leaves, _graph_leaves(again()))


def _among(tensors: Iterable[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    own = set(map(id, others))
    return [tensor for tensor in tensors if id(tensor) in own]


def _without(tensors: Iterable[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    own = set(map(id, others))
    return [tensor for tensor in tensors if id(tensor) not in own]


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())
