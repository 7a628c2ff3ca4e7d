"""A worker process: its start, calls into it, and what is said of its end.

Whatever may have happened to a process, this one hears of it: a call waits for the answer and for the worker's end.
Where something breaks a call off, such as Ctrl-C, the worker is ended: nobody would know what its answers are to.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import io
import itertools
import multiprocessing
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Protocol

from torch import Tensor

from pyode_bridge.engines.julia.isolation import start
from pyode_bridge.engines.julia.isolation.mailbox import Mailbox
from pyode_bridge.engines.julia.isolation.messages import MEMORY, OBJECT, RAISED, RETURNED, SERVICE, TOLD
from pyode_bridge.errors import UnsupportedError, WorkerError

SECONDS_TO_END = 5.0  # that a process is given
LOOK_SECONDS = 1.0  # from one look at whether the process is there to the next
REMEMBERED = 1000  # characters at either end of what the worker said
CUT = "\n...\n"

SCRIPT = start.__file__


class Remote:
    """Something that the worker keeps, for as long as this lives."""

    def __init__(self, worker: Worker, number: int) -> None:
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


class Hearing(Protocol):
    """Something that is told how far a call is."""

    def hear(self, value: float) -> object: ...


class Worker:
    """A process with a Julia of its own.

    Args:
        threads: how many Julia has there; None leaves it to PYTHON_JULIACALL_THREADS.
        script: what it runs.

    Attributes:
        released: numbers of what it need not keep any longer.
        ended_idle: whether it ended by itself between calls, and nobody has been told.

    Raises:
        EngineUnavailableError: Julia cannot start there.
        WorkerError: it ended before it had started.
    """

    def __init__(self, threads: int | None = None, script: str = SCRIPT) -> None:
        self.released: collections.deque[int] = collections.deque()
        self._lock, self._ending = threading.Lock(), threading.RLock()
        self._ended: str | None = None
        self._why = ""
        self.ended_idle = False
        self._posted: list[bytes] = []
        self._written: list[tuple[Writes, int]] = []
        self._hearing: weakref.WeakValueDictionary[int, Hearing] = weakref.WeakValueDictionary()
        self._listeners = itertools.count()
        self._mailbox = Mailbox()
        self._connection, theirs = multiprocessing.Pipe()
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        passed = (theirs.fileno(), self._mailbox.descriptor)
        environment = {} if threads is None else {"PYTHON_JULIACALL_THREADS": str(threads)}
        command = [sys.executable, script, *map(str, passed)]
        self._said = ""
        started: Future[subprocess.Popen[bytes]] = Future()
        self._relay = threading.Thread(target=self._pass_on, args=(command, passed, environment, started), daemon=True)
        self._relay.start()
        with theirs:
            self._process = started.result()
        with self._lock, self._ending_with_what_breaks_off():
            kind, value = self._answer(pickle.dumps(sys.path))
        if kind == RAISED:
            self.end("could not start Julia")
            raise value

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ended(self) -> str | None:
        """How it ended, in words; None for a worker that can be called."""
        if self._ended is None and self._process.poll() is not None:
            self.end()
            self.ended_idle = True
        return self._ended

    def call(self, target: int | Remote, name: str, *args: Any, **kwargs: Any) -> Any:
        """What a method of something that the worker has returns; posted calls come first.

        Raises:
            WorkerError: the worker ended before it had answered, or before.
            Exception: what the method raised.
        """
        with self._lock:
            self._check()
            call = self._pickled(target, name, args, kwargs)  # what cannot be sent does the worker no harm
            with self._ending_with_what_breaks_off():
                self._said = ""
                released = [self.released.popleft() for _ in range(len(self.released))]
                calls, self._posted = [*self._posted, call], []
                kind, value = self._answer(pickle.dumps((self._mailbox.size, calls, released)))
                if kind == RETURNED:
                    for wanted, offset in self._written:
                        ctypes.memmove(wanted.tensor.data_ptr(), self._mailbox.address + offset, wanted.size)
                self._clear()
        if kind == RAISED:
            raise value
        return value

    def post(self, target: int | Remote, name: str, *args: Any) -> None:
        """Have a method called before the next call, without an answer."""
        with self._lock:
            self._check()
            self._posted.append(self._pickled(target, name, args, {}))

    def listen(self, hearing: Hearing) -> int:
        """The number by which the worker may speak to something, as long as it lives."""
        number = next(self._listeners)
        self._hearing[number] = hearing
        return number

    def break_off(self, error: BaseException) -> None:
        """End the process, and so a call that another thread waits for, because of an exception in this one."""
        self._why = f"was ended by {type(error).__name__}"
        self._process.kill()

    def end(self, why: str = "") -> None:
        """Wait for the end of the process; ``why`` says what makes it end, where that was not the process itself."""
        with self._ending:
            if self._ended is not None:
                return
            if why:
                self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_END)  # it may have closed the connection a moment before its end
            if self._process.poll() is None:
                why = "answered no more"
                self._process.kill()
                self._process.wait()
            self._relay.join(SECONDS_TO_END)
            self._ended = why or self._why or _status(self._process.returncode)
            self._connection.close()
            self._mailbox.close()

    def close(self) -> None:
        """Ask it to end, and wait for that."""
        if self._ended is None:
            self._connection.close()
            self.end()

    def abandon(self) -> None:
        """In a fork of the process that started it: leave it to that one."""
        self._lock, self._ending = threading.Lock(), threading.RLock()
        if self._ended is None:
            self._ended = "belongs to the process that this one was forked from"
            self._connection.close()
            self._mailbox.close()

    def _check(self) -> None:
        if self.ended() is not None:
            self.ended_idle = False
            raise WorkerError(
                f"The worker process that solved this (isolation='process') {self._ended}, and what it knew is lost. "
                "Solve again, which starts a new one, before you ask for a gradient or for values between the times."
            )

    def _answer(self, message: bytes) -> tuple[str, Any]:
        """The kind and value of the answer to a message; those who listen are told what comes before it."""
        try:
            self._connection.send_bytes(message)
            kind, value = self._next()
            while kind == TOLD:
                number, far = value
                hearing = self._hearing.get(number)
                if hearing is not None:
                    hearing.hear(far)
                kind, value = self._next()
        except (EOFError, OSError) as error:
            self.end()
            said = self._said.strip()
            raise WorkerError(
                f"The worker process in which Julia runs (isolation='process') {self._ended} before it had answered; "
                "the next solve starts a new one." + (f" It said:\n{said}" if said else "")
            ) from error
        return kind, value

    def _next(self) -> tuple[str, Any]:
        while not self._poll.poll(1000 * LOOK_SECONDS):
            if self._process.poll() is not None:
                raise EOFError
        answer = self._connection.recv_bytes()
        try:
            kind, value = _Unpickler(self, answer).load()
        except Exception as error:
            self._why = "answered with what makes no sense, and was ended,"
            self._process.kill()
            raise EOFError from error
        return kind, value

    @contextlib.contextmanager
    def _ending_with_what_breaks_off(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.break_off(error)
            self.end()
            raise

    def _clear(self) -> None:
        self._written.clear()
        self._mailbox.clear()

    def _pickled(self, target: int | Remote, name: str, args: Any, kwargs: Any) -> bytes:
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
        offset = self._mailbox.take(array.size)
        if isinstance(array, Writes):
            self._written.append((array, offset))
        else:
            ctypes.memmove(self._mailbox.address + offset, array.tensor.data_ptr(), array.size)
        return offset

    def _pass_on(
        self,
        command: list[str],
        passed: tuple[int, int],
        environment: dict[str, str],
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        """Start the process, repeat what it says, and remember what came since the last call.

        By the thread that starts it, since Linux ends the process with that one; see `start.end_with_parent`.
        """
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,  # a buffer would have a lock, which a fork may find taken
                pass_fds=passed,
                start_new_session=True,  # Ctrl-C is this process's business
                env={**os.environ, **environment},
            )
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        assert process.stdout is not None
        with process.stdout as output:
            while told := output.read(REMEMBERED):
                text = told.decode(errors="replace")
                self._said = _shortened(self._said + text)
                sys.stderr.write(text)
        process.wait()


class _Number(int):
    """Of an object that the worker has from the beginning."""


class _Pickler(pickle.Pickler):
    def __init__(self, worker: Worker, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._worker = worker

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Remote):
            return OBJECT, obj.number
        if isinstance(obj, _Number):
            return OBJECT, int(obj)
        if isinstance(obj, Reads):
            return MEMORY, self._worker.place(obj)
        if type(obj).__module__.startswith("juliacall"):
            raise UnsupportedError(
                f"{obj} is an object of the Julia in this process, which isolation='process' does not use; give its "
                "name as a string."
            )
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, worker: Worker, message: bytes) -> None:
        super().__init__(io.BytesIO(message))
        self._worker = worker

    def persistent_load(self, pid: Any) -> Remote:
        return Remote(self._worker, pid)


def _shortened(text: str) -> str:
    """Its beginning, where Julia says what crashed, and its end."""
    return text if len(text) <= 2 * REMEMBERED else f"{text[:REMEMBERED]}{CUT}{text[-REMEMBERED + len(CUT) :]}"


def _status(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
