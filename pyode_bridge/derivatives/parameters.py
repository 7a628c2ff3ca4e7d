"""Which tensors the gradient must reach: all that the dynamics can use, and those they turn out to use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture import guards
from pyode_bridge.compiled.capture.guards import Guards, guards_of
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.errors import InputError
from pyode_bridge.problem.graph import among, behind, cut, lasting, leaves_of, unique, without
from pyode_bridge.problem.wanted import Wanted


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
    return unique(parameter for parameter in parameters if parameter.requires_grad)


def reached(func: Any) -> Guards | None:
    """What a walk through ``func`` finds; None where it meets what it cannot tell.

    Walk before any evaluation: a tensor that one computes and leaves behind in an attribute is none from outside.
    """
    try:
        return guards_of(func)
    except UnsupportedDynamicsError:
        return None


def notes_of(func: Any) -> tuple[Sequence[Tensor], dict[Any, Any]] | None:
    """The tensors that a walk through ``func`` found, and what is noted of it since; see `guards.notes_of`."""
    return guards.notes_of(func)


def wanted(func: Callable[..., Any], found: Guards | None, value: Tensor, again: Callable[[], Tensor]) -> Wanted:
    """What ``value``, the right-hand side at the start under autograd, depends on, and what it may come to depend on.

    A module's own parameters count as if it did. Others that were `reached`, by attributes, closures and global
    variables, may belong to something else, so that they are unmet until an evaluation depends on them. Leaves that
    ``again``, another evaluation at the start, does not repeat were made by the evaluation itself, as by
    ``requires_grad_()`` on the state.
    """
    own = list(func.parameters()) if isinstance(func, torch.nn.Module) else []
    buffers = func.buffers() if isinstance(func, torch.nn.Module) else ()  # which the walk may not have come to
    everything = (*own, *buffers, *(() if found is None else found.tensors))
    known = unique(tensor for tensor in everything if tensor.requires_grad)
    edges, cuts = cut(value, [tensor for tensor in known if not tensor.is_leaf])
    met = leaves_of(edges)
    others = lasting(without(met, known), again)
    leaves = without([tensor for tensor in known if tensor.is_leaf], leaves_of(behind(cuts)))
    parameters = among(leaves, [*own, *met]) + cuts + others
    complete = found is not None and found.exhaustive and not others and len(leaves) + len(cuts) == len(known)
    return Wanted(parameters, among(met, parameters) + cuts, without(leaves, parameters), complete)
