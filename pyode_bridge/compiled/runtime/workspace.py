"""The memory that compiled functions find by their last argument: counts, addresses, and space to work in.

Without torch, which worker processes do without.
"""

from __future__ import annotations

import ctypes
import functools
import math
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyode_bridge.compiled.codegen.workspace_layout import (
    ALIGNMENT,
    JACOBIAN_CALLS,
    JOINT,
    LEFT,
    MEMORY,
    RHS_CALLS,
    TENSORS,
    TICK,
    VJP_CALLS,
    WORK,
    aligned,
)
from pyode_bridge.compiled.runtime.c_functions import EMPTY_PRODUCT, ONE_INPUT, TIME, address_of, weakly

TICK_SECONDS = 0.02  # about how often Python is told the time, and sees an interrupt
FIRST_TICK = 2000  # calls before the first

(_NAN,) = struct.unpack("q", struct.pack("d", math.nan))


class Located(Protocol):
    """Something in memory, such as a tensor; a worker process has no tensors."""

    def data_ptr(self) -> int: ...


class Workspace:
    """What the functions of a translation read and write at one solve; the next one may have it once that is over.

    Attributes:
        address: what the functions take last.
        size: of what lies there, in integers of 8 bytes.
        work_size, memory_size: of the memory that it points to, in bytes.
        on_tick: told the time now and then while the functions run; what is not 0 ends the solve.
        on_jacobian: writes the Jacobian as an `ONE_INPUT` does, for solvers that ask for one that was not compiled.
        empty_product: the address of a product with no parameters.
    """

    def __init__(self, tensors: int, work_size: int, memory_size: int) -> None:
        self.size, self.work_size, self.memory_size = TENSORS - 1 + tensors, work_size, memory_size
        self.empty_product = address_of(EMPTY_PRODUCT)
        whole = 8 * self.size + ALIGNMENT + work_size + ALIGNMENT + memory_size
        self._values = (ctypes.c_int64 * (-(-whole // 8)))()
        self.address = ctypes.addressof(self._values)
        self.rest()
        self._tick = TIME(weakly(self._ticked, otherwise=0))
        self._values[TICK - 1] = address_of(self._tick)
        work = aligned(self.address + 8 * self.size)
        self._values[WORK - 1] = work
        self._values[MEMORY - 1] = aligned(work + work_size)

    def begin(self, tensors: Sequence[Located]) -> None:
        """Be as new, for functions that read ``tensors``, which the caller keeps alive."""
        values = self._values
        values[JOINT - 1] = 0
        values[(values[MEMORY - 1] - self.address) // 8] = _NAN  # no time is equal to this one
        for slot, tensor in enumerate(tensors, TENSORS - 1):
            values[slot] = tensor.data_ptr()
        self._calls = values[LEFT - 1] = FIRST_TICK
        self.forget_counts()
        self._when = time.perf_counter()

    def rest(self) -> None:
        """Let go of whoever listens."""
        self.on_tick: Callable[[float], int] = _go_on
        self.on_jacobian: Callable[..., int] | None = None

    @functools.cached_property
    def _jacobian(self) -> Any:
        return ONE_INPUT(weakly(self._asked_for_jacobian, otherwise=-1))

    @property
    def jacobian(self) -> int:
        """The address of a C function that asks `on_jacobian`."""
        return address_of(self._jacobian)

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are to be computed at once, by a function for that."""
        self._values[JOINT - 1] = int(joint)

    def take_counts(self) -> tuple[int, int, int]:
        """Calls of the right-hand side, of products and of the Jacobian since the last time."""
        values = self._values
        counts = values[RHS_CALLS - 1], values[VJP_CALLS - 1], values[JACOBIAN_CALLS - 1]
        self.forget_counts()
        return counts

    def forget_counts(self) -> None:
        """Count from 0."""
        values = self._values
        values[RHS_CALLS - 1] = values[VJP_CALLS - 1] = values[JACOBIAN_CALLS - 1] = 0

    def _asked_for_jacobian(self, *args: Any) -> int:
        return -1 if self.on_jacobian is None else self.on_jacobian(*args)

    def _ticked(self, s: float) -> int:
        status = self.on_tick(s)
        if status:
            return status
        now = time.perf_counter()
        self._calls = int(self._calls * min(4.0, max(0.25, TICK_SECONDS / max(now - self._when, 1e-9)))) + 1
        self._when = now
        self._values[LEFT - 1] = self._calls
        return 0


def _go_on(s: float) -> int:
    return 0
