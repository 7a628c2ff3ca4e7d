"""What each ATen operator becomes: a file for each family, of which all are entered into the registry."""

from pyode_bridge.compiled.lowerings import (  # noqa: F401
    arithmetic,
    creation,
    factorisations,
    indexing,
    linear_algebra,
    movement,
    reductions,
    unary,
)
from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import REGISTRY

__all__ = ["REGISTRY", "LoweringContext"]
