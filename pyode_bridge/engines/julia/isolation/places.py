"""Where workers are: one after another at each place, as they end. A fork has the places without the workers."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator

from pyode_bridge.engines.julia.engine import JuliaEngine
from pyode_bridge.engines.julia.isolation.bridge import Isolated
from pyode_bridge.engines.julia.isolation.worker import Worker
from pyode_bridge.errors import UnsupportedError


class Place:
    """Has the engine of a worker that lives.

    Args:
        threads: how many Julia has there; None leaves it to PYTHON_JULIACALL_THREADS.
        make: makes the engine of a bridge.
    """

    def __init__(self, threads: int | None = None, make: Callable[[Isolated], JuliaEngine] = JuliaEngine) -> None:
        self._threads, self._make = threads, make
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._engine: JuliaEngine | None = None
        _places.add(self)

    def engine(self) -> JuliaEngine:
        """The engine; starts a worker where there is none, or where the last one has ended.

        Raises:
            EngineUnavailableError: Julia cannot start.
            UnsupportedError: on Windows.
        """
        if os.name == "nt":
            raise UnsupportedError("isolation='process' needs Linux or macOS; leave it out.")
        with self._lock:
            how = None if self._worker is None else self._worker.ended()
            if self._worker is None or self._engine is None or how is not None:
                if self._worker is not None and self._worker.ended_idle:
                    warnings.warn(
                        f"The worker process in which Julia runs (isolation='process') {how}, while it had nothing to "
                        "do. A new one is started, which has to compile the dynamics again.",
                        RuntimeWarning,
                        stacklevel=5,
                    )
                self._engine = None
                self._worker = Worker(self._threads)
                self._engine = self._make(Isolated(self._worker))
            return self._engine

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            worker, self._worker, self._engine = self._worker, None, None
        if worker is not None:
            worker.close()

    def break_off(self, error: BaseException) -> None:
        """End what the worker is doing, and the worker, for something that happened in this thread."""
        worker = self._worker
        if worker is not None:
            worker.break_off(error)

    def forget(self) -> None:
        """In a fork: leave the worker to the process that started it."""
        self._lock = threading.Lock()
        worker, self._worker, self._engine = self._worker, None, None
        if worker is not None:
            worker.abandon()


_places: weakref.WeakSet[Place] = weakref.WeakSet()
_usual = Place()
_chosen: contextvars.ContextVar[Place] = contextvars.ContextVar("place", default=_usual)


def engine_here() -> JuliaEngine:
    """The engine of the place that was chosen, else of that of all who choose none."""
    return _chosen.get().engine()


@contextlib.contextmanager
def at(place: Place) -> Iterator[None]:
    """Choose a place for what the block solves."""
    token = _chosen.set(place)
    try:
        yield
    finally:
        _chosen.reset(token)


def _close_all() -> None:
    for place in list(_places):
        place.close()


def _forget_all() -> None:
    for place in list(_places):
        place.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
