"""What each ATen operation becomes: one file a group, all entered into `table.LOWERINGS`."""

from pyode_bridge.compiled.operations import (  # noqa: F401
    arithmetic,
    creation,
    functions,
    linear_algebra,
    movement,
    reductions,
)
from pyode_bridge.compiled.operations.table import LOWERINGS, Call

__all__ = ["LOWERINGS", "Call"]
