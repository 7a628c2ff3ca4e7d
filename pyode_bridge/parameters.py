"""Which tensors the gradient must reach: those of the module, and those the dynamics turn out to use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError


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
    return _unique(parameter for parameter in parameters if parameter.requires_grad)


def reachable_parameters(func: Callable[..., Any], leaves: Sequence[Tensor]) -> list[Tensor]:
    """The module's parameters that require a gradient, then the other ``leaves``.

    These are the `graph_leaves` of the right-hand side evaluated once under autograd: what a plain function or a
    closure uses, which a list of a module's parameters would miss.
    """
    own = func.parameters() if isinstance(func, torch.nn.Module) else ()
    return _unique([parameter for parameter in own if parameter.requires_grad] + list(leaves))


def graph_leaves(value: Tensor) -> list[Tensor]:
    """The leaf tensors that ``value`` depends on and that require a gradient."""
    leaves: list[Tensor] = []
    pending = [value.grad_fn] if value.grad_fn is not None else []
    seen = set(pending)
    while pending:
        node = pending.pop()
        leaf = getattr(node, "variable", None)  # present on AccumulateGrad nodes only
        if leaf is not None:
            leaves.append(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    return leaves


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())
