"""Sparse Jacobians of what is compiled: the pattern, found in the graph, and the function that fills it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pyode_bridge.compiled.capture.functions import graph_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.jacobians import compressed, direction
from pyode_bridge.problem.sparsity import Sparsity

DENSEST = 0.2  # of all entries: beyond, a full matrix costs no more


def part_of(dynamics: Dynamics, y0: Tensor, sparsity: Sparsity) -> Part:
    """The function that computes the entries, column by column."""

    def called(s: float, t: Tensor, y: Tensor) -> Tensor:
        return dynamics.sparse_jacobian(s, y, sparsity)

    def traced(s: float, t: Tensor, y: Tensor) -> Tensor:
        products = compressed(lambda y: dynamics.direction.turned(dynamics.at(t.clone(), y)), y, sparsity.seeds(y))
        return sparsity.entries(products)

    return Part(called, (y0,), len(sparsity.rows), traced, optional=True)


def found(start: Start, tensors: Sequence[Tensor]) -> Sparsity | None:
    """The pattern of dynamics; None where there is none to speak of, or where it cannot be told.

    ``tensors`` are those that may have other values at each solve.
    """
    from pyode_bridge.compiled.codegen.patterns import pattern_of  # SciPy's sparse matrices are slow to load

    dynamics, size = start.dynamics, start.dynamics.size
    try:
        rows, columns = pattern_of(graph_of("rhs", start), tensors, size, dynamics.structure.dtype)
    except UnsupportedDynamicsError:
        return None
    if len(rows) > DENSEST * size**2:
        return None
    sparsity = Sparsity.of_entries(rows, columns, size)
    return sparsity if sparsity.products < size / 4 and _agrees(sparsity, start.beside()) else None


def _agrees(sparsity: Sparsity, start: Start) -> bool:
    """Whether the entries hold all that a product of torch's has: no lowering is to be trusted unseen."""
    dynamics, y = start.dynamics, start.y
    v = direction(len(y), y)
    true, _ = dynamics.vjp(start.s, y, v, state=True, parameters=False)
    return sparsity.missed(dynamics.sparse_jacobian(start.s, y, sparsity), v, true) is None
