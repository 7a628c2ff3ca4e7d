"""What each ATen operation becomes: one file a group, all entered into `table.LOWERINGS`."""

from pyode_bridge.compiled.lowerings import (  # noqa: F401
    arithmetic,
    creation,
    linear_algebra,
    movement,
    reductions,
    unary,
)
from pyode_bridge.compiled.lowerings.registry import LOWERINGS, Call

__all__ = ["LOWERINGS", "Call"]
