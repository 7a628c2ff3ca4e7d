"""How wrong a solver may be at a tolerance of 1e-6, by its order."""

from __future__ import annotations

import pyode_bridge as pb

BOUNDS = {1: 5e-2, 2: 5e-3}  # for the relative error, by order
BOUND = 1e-3  # for higher orders, and where none is stated


def bound_of(solver: pb.SolverInfo) -> float:
    return BOUNDS.get(solver.order or 0, BOUND)
