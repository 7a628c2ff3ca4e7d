"""What only Python's collector of cycles would free, and thus late."""

import gc
from collections.abc import Callable
from typing import Any


def cyclic_garbage(work: Callable[[], Any]) -> list[type]:
    """The types of what `work` leaves in cycles, when it is called for the second time."""
    work()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        work()
        gc.collect()
        return [type(one) for one in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
