"""Between Julia and what it calls here: exceptions and Ctrl-C, which its code would not survive, wait for its end."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of its answers, which takes too long
import threading
from collections.abc import Callable
from typing import Any, Protocol

from pyode_bridge.engines.julia import forks
from pyode_bridge.errors import WorkerError

FAILED = -1  # what a callback returns after an exception


class Guard:
    """Keeps what functions raise that Julia calls, and has Julia stop; `Raised` raises it again, unchanged.

    Attributes:
        error: what a function raised, or None.
        lock: held by the thread whose call into Julia may call back.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.lock = threading.RLock()

    def act(self, function: Callable[..., None]) -> Callable[..., int]:
        """A function for Julia that does what ``function`` does; 0 for success."""

        def call(*args: Any) -> int:
            if self.error is not None:
                return FAILED
            try:
                function(*args)
            except BaseException as error:
                self.error = error
                return FAILED
            return 0

        return call

    def answer(self, function: Callable[..., Any], kind: type[int] | type[float] = int) -> Callable[..., Any]:
        """A function for Julia that answers with a number, which is not negative: 1 or 0 for true or false."""

        def call(*args: Any) -> Any:
            if self.error is not None:
                return FAILED
            try:
                return kind(function(*args))
            except BaseException as error:
                self.error = error
                return FAILED

        return call


class Counting(Protocol):
    """What knows how often compiled dynamics were evaluated, such as a lane."""

    def count(self) -> None:
        """Note what was evaluated since the last time."""


class Raised:
    """A block of Julia's code: counts what a lane evaluated, and raises after it what was kept in it.

    What was kept replaces whatever Julia made of it.
    """

    def __init__(self, guard: Guard, lane: Counting | None) -> None:
        self._guard, self._lane = guard, lane

    def __enter__(self) -> None:
        self._guard.lock.acquire()
        self._guard.error = None

    def __exit__(self, kind: Any, raised: BaseException | None, trace: Any) -> None:
        guard = self._guard
        try:
            # A worker that has ended, or was ended by Ctrl-C, counts no more.
            if self._lane is not None and not isinstance(raised, (WorkerError, KeyboardInterrupt)):
                self._lane.count()
        finally:
            error, guard.error = guard.error, None
            guard.lock.release()
        if error is not None:
            context = error.__context__
            try:
                raise error
            finally:
                error.__context__ = context  # not what Julia made of it


_running: list[Guard] = []  # in the main thread, a solve before the one that its dynamics call for


def _note_interrupt(signum: int, frame: Any) -> None:
    for guard in _running:
        guard.error = KeyboardInterrupt()


class RaisedHere(Raised):
    """Notes Ctrl-C as a kept KeyboardInterrupt, which ends the solve at its next callback, and raises what was kept.

    Where the user has a handler of his own, that one decides, and what it raises in a callback is kept like any
    exception.
    """

    def __init__(self, guard: Guard, lane: Counting | None) -> None:
        super().__init__(guard, lane)
        self._in_main = self._noting = False

    def __enter__(self) -> None:
        forks.refuse()
        super().__enter__()
        self._in_main = threading.get_ident() == threading.main_thread().ident
        if self._in_main:
            _running.append(self._guard)
            if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
                _signal.signal(_signal.SIGINT, _note_interrupt)
                self._noting = True

    def __exit__(self, kind: Any, raised: BaseException | None, trace: Any) -> None:
        if self._noting:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            self._noting = False
        if self._in_main:
            _running.pop()
        super().__exit__(kind, raised, trace)
