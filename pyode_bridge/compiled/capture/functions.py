"""The functions of an equation that solvers call, as graphs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.capture.tracing import Graph, trace
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.jacobians import columns, pulled_back

LARGEST_JACOBIAN = 1000  # rows; beyond, the products for all of them at once would fill the memory


def graph_of(name: str, start: Start) -> Graph:
    """The graph of one function: all take the user's time as a tensor, then vectors, of which the state is the last.

    Args:
        name: ``"rhs"`` and ``"jacobian"``, column by column, of the state; ``"vjp"``, the product of a vector with the
            Jacobian, and ``"joint"``, beside it those with each parameter, of that vector and the state; or that of a
            part of the equation.
        start: of a solve.

    Raises:
        UnsupportedDynamicsError: it cannot be traced; says why.
    """
    return _GRAPHS[name](start) if name in _GRAPHS else _part(name, start)


def _rhs(start: Start) -> Graph:
    return _traced(lambda t, y: _value(start.dynamics, t, y), start, "rhs")


def _vjp(start: Start) -> Graph:
    dynamics = start.dynamics
    return _traced(lambda t, v, y: pulled_back(lambda y: _value(dynamics, t, y), y, v, ()), start, "vjp")


def _joint(start: Start) -> Graph:
    dynamics = start.dynamics

    def products(t: Tensor, v: Tensor, y: Tensor) -> list[Tensor]:
        found = pulled_back(lambda y: _value(dynamics, t, y), y, v, dynamics.parameters)
        return [torch.view_as_real(grad) if grad.is_complex() else grad for grad in found]

    return _traced(products, start, "vjp")


def _jacobian(start: Start) -> Graph:
    _check_rows(start.dynamics.size**2)
    return _traced(lambda t, y: columns(lambda y: _value(start.dynamics, t, y), y), start, "jacobian")


_GRAPHS = {"rhs": _rhs, "vjp": _vjp, "joint": _joint, "jacobian": _jacobian}


def _part(name: str, start: Start) -> Graph:
    part = start.parts[name]
    if part.optional:
        _check_rows(part.size)
    function = part.traced or part.at
    return _traced(lambda t, *vectors: function(0.0, t.clone(), *vectors), start, name)


def _check_rows(elements: int) -> None:
    if elements > LARGEST_JACOBIAN**2:
        raise UnsupportedDynamicsError(f"its Jacobian has more than {LARGEST_JACOBIAN} rows")


def _value(dynamics: Dynamics, t: Tensor, y: Tensor) -> Tensor:
    """The right-hand side at the user's time; of copies, which ``func`` may write to."""
    return dynamics.direction.turned(dynamics.at(t.clone(), y))


def _traced(function: Callable[..., object], start: Start, name: str) -> Graph:
    # Close to the start, since what is computed on the way, such as an inverse matrix, may not exist elsewhere; but not
    # there, so that the comparison notices what escaped the trace. The vectors are tensors to be told apart.
    point = start.beside()
    inputs = [vector.clone() for vector in point.vectors(name)]
    with torch.no_grad():
        return trace(function, (start.dynamics.time(point.s), *inputs))
