"""The functions of dynamics that solvers call, as graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.capture.tracing import Graph, trace
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.dynamics import Dynamics

LARGEST_JACOBIAN = 1000  # rows; beyond, the products for all of them at once would fill the memory


def graph_of(name: str, start: Start) -> Graph:
    """The graph of one function: all take the user's time as a tensor, then vectors, of which the state is the last.

    Args:
        name: ``"rhs"`` and ``"jacobian"``, column by column, of the state; ``"vjp"``, the product of a vector with the
            Jacobian, and ``"joint"``, beside it those with each parameter, of that vector and the state.
        start: of a solve.

    Raises:
        UnsupportedDynamicsError: it cannot be traced; says why.
    """
    return _GRAPHS[name](start)


def _rhs(start: Start) -> Graph:
    return _traced(lambda t, y: _value(start.dynamics, t, y), start)


def _vjp(start: Start) -> Graph:
    return _products(start, ())


def _joint(start: Start) -> Graph:
    return _products(start, start.dynamics.parameters)


def _jacobian(start: Start) -> Graph:
    if start.dynamics.size > LARGEST_JACOBIAN:
        raise UnsupportedDynamicsError(f"its Jacobian has more than {LARGEST_JACOBIAN} rows")

    def columns(t: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = torch.func.jacrev(lambda y: _value(start.dynamics, t, y))(y)
        return found.mT

    return _traced(columns, start)


_GRAPHS = {"rhs": _rhs, "vjp": _vjp, "joint": _joint, "jacobian": _jacobian}


def _value(dynamics: Dynamics, t: Tensor, y: Tensor) -> Tensor:
    """The right-hand side at the user's time; of copies, which ``func`` may write to."""
    return dynamics.direction.turned(dynamics.at(t.clone(), y, 0.0))


def _products(start: Start, wanted: Sequence[Tensor]) -> Graph:
    def products(t: Tensor, v: Tensor, y: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            inputs = [y, *wanted]
            value = _value(start.dynamics, t, y)
            found: Sequence[Tensor | None] = [None] * len(inputs)
            if value.requires_grad:
                found = torch.autograd.grad(value, inputs, v, allow_unused=True)
        return [torch.zeros_like(of) if grad is None else grad.detach() for grad, of in zip(found, inputs, strict=True)]

    return _traced(products, start, vectors=2)


def _traced(function: Callable[..., object], start: Start, vectors: int = 1) -> Graph:
    # Close to the start, since what is computed on the way, such as an inverse matrix, may not exist elsewhere; but not
    # there, so that the comparison notices what escaped the trace. The vectors are tensors to be told apart.
    point = start.beside()
    inputs = [point.y.clone() for _ in range(vectors)]
    with torch.no_grad():
        return trace(function, (start.dynamics.time(point.s), *inputs))
