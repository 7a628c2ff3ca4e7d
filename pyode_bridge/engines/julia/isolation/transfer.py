"""What crosses to a worker and back: arrays through memory that both share, all else as bytes, or by a number there."""

from __future__ import annotations

import collections
import ctypes
import io
import pickle
from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor

from pyode_bridge.engines.julia.isolation.mailbox import Mailbox
from pyode_bridge.engines.julia.isolation.messages import MEMORY, OBJECT, SERVICE
from pyode_bridge.errors import UnsupportedError


class Keeper(Protocol):
    """A worker, which keeps things until their numbers are among the released."""

    released: collections.deque[int]

    def call(self, target: int | Remote, name: str, *args: Any) -> Any: ...


class Remote:
    """Something that the worker keeps, for as long as this lives."""

    def __init__(self, worker: Keeper, number: int) -> None:
        self.worker, self.number = worker, number

    def __del__(self) -> None:
        self.worker.released.append(self.number)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.worker.call(SERVICE, "items", self))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        import numpy as np

        return np.array(list(self), *args, **kwargs)


class Reads:
    """The address, in the worker, of a copy of the values that a tensor has now; for one call.

    What lies between its values, where it is not contiguous, is copied too.
    """

    def __init__(self, tensor: Tensor) -> None:
        if not tensor.is_cpu:
            raise UnsupportedError(f"func uses a tensor on {tensor.device}; Julia computes on the CPU. Move it there.")
        self.tensor = tensor
        strides = zip(tensor.shape, tensor.stride(), strict=True)
        spanned = 1 + sum((length - 1) * stride for length, stride in strides) if tensor.numel() else 0
        self.size = spanned * tensor.element_size()


class Writes(Reads):
    """The address of memory whose content is a contiguous tensor's after the call."""


class Outbox:
    """Calls on their way to the worker, and the arrays that they read and write.

    Attributes:
        mailbox: where these lie.
    """

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self._written: list[tuple[Writes, int]] = []

    def pickled(self, target: int | Remote, name: str, args: Any, kwargs: Any) -> bytes:
        """A call; it leaves nothing here where it cannot be sent."""
        stream = io.BytesIO()
        written = len(self._written)
        try:
            _Pickler(self, stream).dump((target if isinstance(target, Remote) else _Number(target), name, args, kwargs))
        except BaseException:
            del self._written[written:]
            raise
        return stream.getvalue()

    def place(self, array: Reads) -> int:
        """Where an array lies in the mailbox, with its values if they are read."""
        offset = self.mailbox.take(array.size)
        if isinstance(array, Writes):
            self._written.append((array, offset))
        else:
            ctypes.memmove(self.mailbox.address + offset, array.tensor.data_ptr(), array.size)
        return offset

    def fetch(self) -> None:
        """Give the tensors that were written their values."""
        for wanted, offset in self._written:
            ctypes.memmove(wanted.tensor.data_ptr(), self.mailbox.address + offset, wanted.size)

    def clear(self) -> None:
        """Be ready for other calls."""
        self._written.clear()
        self.mailbox.clear()


def unpickled(worker: Keeper, answer: bytes) -> Any:
    """An answer of the worker."""
    return _Unpickler(worker, answer).load()


class _Number(int):
    """Of an object that the worker has from the beginning."""


class _Pickler(pickle.Pickler):
    def __init__(self, outbox: Outbox, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._outbox = outbox

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Remote):
            return OBJECT, obj.number
        if isinstance(obj, _Number):
            return OBJECT, int(obj)
        if isinstance(obj, Reads):
            return MEMORY, self._outbox.place(obj)
        if type(obj).__module__.startswith("juliacall"):
            raise UnsupportedError(
                f"{obj} is an object of the Julia in this process, which isolation='process' does not use; give its "
                "name as a string."
            )
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, worker: Keeper, message: bytes) -> None:
        super().__init__(io.BytesIO(message))
        self._worker = worker

    def persistent_load(self, pid: Any) -> Remote:
        return Remote(self._worker, pid)
