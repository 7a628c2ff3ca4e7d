"""A worker: calls into it, and what is said of its end.

Whatever may have happened to a process, this one hears of it: a call waits for the answer and for the worker's end.
Where something breaks a call off, such as Ctrl-C, the worker is ended: nobody would know what its answers are to.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import pickle
import select
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Protocol

from pyode_bridge.engines.julia.isolation import start
from pyode_bridge.engines.julia.isolation.messages import RAISED, RETURNED, TOLD
from pyode_bridge.engines.julia.isolation.process import Process
from pyode_bridge.engines.julia.isolation.transfer import Outbox, Remote, unpickled
from pyode_bridge.errors import WorkerError

LOOK_SECONDS = 1.0  # from one look at whether the process is there to the next

SCRIPT = start.__file__


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
        self._outbox = Outbox()
        self._hearing: weakref.WeakValueDictionary[int, Hearing] = weakref.WeakValueDictionary()
        self._listeners = itertools.count()
        self._connection, theirs = multiprocessing.Pipe()
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        environment = {} if threads is None else {"PYTHON_JULIACALL_THREADS": str(threads)}
        with theirs:
            self._process = Process(script, (theirs.fileno(), self._outbox.mailbox.descriptor), environment)
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
            call = self._outbox.pickled(target, name, args, kwargs)  # what cannot be sent does the worker no harm
            with self._ending_with_what_breaks_off():
                self._process.said = ""
                released = [self.released.popleft() for _ in range(len(self.released))]
                calls, self._posted = [*self._posted, call], []
                kind, value = self._answer(pickle.dumps((self._outbox.mailbox.size, calls, released)))
                if kind == RETURNED:
                    self._outbox.fetch()
                self._outbox.clear()
        if kind == RAISED:
            raise value
        return value

    def post(self, target: int | Remote, name: str, *args: Any) -> None:
        """Have a method called before the next call, without an answer."""
        with self._lock:
            self._check()
            self._posted.append(self._outbox.pickled(target, name, args, {}))

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
            how = self._process.end()
            self._ended = why or self._why or how
            self._connection.close()
            self._outbox.mailbox.close()

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
            self._outbox.mailbox.close()

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
            said = self._process.said.strip()
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
            kind, value = unpickled(self, answer)
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
