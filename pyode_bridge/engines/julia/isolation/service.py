"""What the worker does: calls functions of Julia's package, and of its own, as it is asked to. Without torch.

What it keeps for the process that asks has a number there, and lasts until that process is done with it.
"""

from __future__ import annotations

import ctypes
import functools
import io
import itertools
import os
import pickle
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from pyode_bridge.compiled.runtime.c_functions import COUNT, ONE_INPUT, TWO_INPUTS, address_of
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.engines.julia.failures import described
from pyode_bridge.engines.julia.isolation.mailbox import Mailbox
from pyode_bridge.engines.julia.isolation.messages import JULIA, OBJECT, RAISED, RETURNED, SERVICE, TOLD

SECONDS_UNTOLD = 0.1


class Copy:
    """Bytes that were a tensor's."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = (ctypes.c_char * size)()

    def data_ptr(self) -> int:
        return ctypes.addressof(self._bytes)

    def fill(self, address: int) -> Copy:
        ctypes.memmove(self._bytes, address, self.size)
        return self


class OwnWorkspace(Workspace):
    """A workspace of functions that read copies of the tensors, which are in the other process."""

    _copies: Sequence[Copy] = ()

    def begin_with(self, arrays: Sequence[tuple[int, int]]) -> None:
        """Be as new; arrays by address and size in bytes."""
        if [copy.size for copy in self._copies] != [size for _, size in arrays]:
            self._copies = [Copy(size) for _, size in arrays]
        for copy, (address, _) in zip(self._copies, arrays, strict=True):
            copy.fill(address)
        self.begin(self._copies)


class Listener:
    """A C function that passes a number on."""

    def __init__(self, tell: Any) -> None:
        self._function = COUNT(tell)
        self.address = address_of(self._function)


class Service:
    """The functions that the other process may call beside Julia's, and the loop that does as it says."""

    def __init__(self, connection: Connection, mailbox: int) -> None:
        self._connection, self._mailbox = connection, Mailbox(mailbox)
        self._objects: dict[int, Any] = {SERVICE: self}
        self._kept: tuple[type, ...] = (Workspace, Copy, Listener)
        self._numbers = itertools.count(SERVICE + 1)
        self._parent = os.getppid()
        self._told = 0.0
        self._evaluated: set[int] = set()

    def run(self) -> None:
        """Start Julia, then do what is asked for until nobody asks any more."""
        self._answer(self._started)
        while True:
            try:
                message = self._connection.recv_bytes()
            except (EOFError, OSError):
                os._exit(0)  # the other process has ended, or wants no more; there is nothing to be saved
            self._answer(functools.partial(self._done, message))

    def report(self) -> dict[str, Any]:
        """What this process is: its number, how many threads Julia has, and whether torch was imported."""
        threads = sys.modules["juliacall"].Main.seval("Threads.nthreads()")
        return {"pid": os.getpid(), "threads": threads, "torch": "torch" in sys.modules}

    def workspace(
        self, listener: int, tensors: int, work_size: int, memory_size: int
    ) -> tuple[Workspace, dict[str, int]]:
        """A new workspace, which tells ``listener`` the time, and its addresses and size."""
        made = OwnWorkspace(tensors, work_size, memory_size)
        made.on_tick = functools.partial(self._tell, listener)
        return made, {name: getattr(made, name) for name in ("address", "size", "jacobian", "empty_product")}

    def listener(self, number: int) -> tuple[Listener, int]:
        """A C function that tells a listener how many solves are done, and its address."""
        made = Listener(functools.partial(self._tell, number))
        return made, made.address

    def evaluate(self, address: int, out: int, vectors: Sequence[int], s: float, workspace: int) -> None:
        """Call a compiled function, at the first time by Julia, which tells what it throws."""
        if address in self._evaluated:
            (ONE_INPUT if len(vectors) == 1 else TWO_INPUTS)(address)(out, *vectors, s, workspace)
            return
        sys.modules["juliacall"].Main.PyODEBridge.call_translation(address, out, vectors, s, workspace)
        self._evaluated.add(address)

    def keep(self, address: int, size: int) -> tuple[Copy, int]:
        """A copy of an array, and its address."""
        copy = Copy(size).fill(address)
        return copy, copy.data_ptr()

    def items(self, collection: Any) -> list[Any]:
        """What a vector of Julia's holds."""
        return list(collection)

    def _started(self) -> None:
        from pyode_bridge.engines.julia.session import start

        self._objects[JULIA] = start()
        self._kept = (*self._kept, sys.modules["juliacall"].AnyValue)

    def _done(self, message: bytes) -> Any:
        """The result of the last of some calls; what is no longer wanted after them is forgotten."""
        size, calls, released = pickle.loads(message)
        self._mailbox.follow(size)
        result = None
        try:
            for call in calls:
                target, name, args, kwargs = _Unpickler(self, call).load()
                result = getattr(target, name)(*args, **kwargs)
        finally:
            for number in released:
                self._objects.pop(number, None)
        return result

    def _answer(self, work: Any) -> None:
        try:
            kind, value = RETURNED, work()
        except Exception as error:
            kind, value = RAISED, described(error) or error
        try:
            answer = self._pickled((kind, value))
        except Exception as error:
            answer = self._pickled((RAISED, RuntimeError(f"{type(value).__name__}: {value} ({error})")))
        self._send(answer)

    def _send(self, answer: bytes) -> None:
        try:
            self._connection.send_bytes(answer)
        except OSError:
            os._exit(0)

    def _tell(self, listener: int, value: float) -> int:
        """Tell the other process now and then how far a call is, and end with it."""
        if os.getppid() != self._parent:
            os._exit(0)
        now = time.monotonic()
        if now - self._told >= SECONDS_UNTOLD:
            self._told = now
            self._send(pickle.dumps((TOLD, (listener, value))))
        return 0

    def _pickled(self, answer: Any) -> bytes:
        stream = io.BytesIO()
        _Pickler(self, stream).dump(answer)
        return stream.getvalue()

    def number(self, given: Any) -> int | None:
        """Of what is kept here, since it cannot leave; None for what can."""
        if not isinstance(given, self._kept):
            return None
        number = next(self._numbers)
        self._objects[number] = given
        return number

    def found(self, kind: str, place: int) -> Any:
        """An object by its number, or an address by its offset in the mailbox."""
        return self._objects[place] if kind == OBJECT else self._mailbox.address + place


class _Pickler(pickle.Pickler):
    def __init__(self, service: Service, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._service = service

    def persistent_id(self, obj: Any) -> Any:
        return self._service.number(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, service: Service, message: bytes) -> None:
        super().__init__(io.BytesIO(message))
        self._service = service

    def persistent_load(self, pid: Any) -> Any:
        return self._service.found(*pid)
