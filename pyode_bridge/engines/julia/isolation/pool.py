"""Several workers, each driven by a thread. What a worker was doing when it ended is done again by a fresh one."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pyode_bridge.engines.julia.engine import JuliaEngine
from pyode_bridge.engines.julia.isolation.places import Place
from pyode_bridge.engines.julia.isolation.worker import LOOK_SECONDS
from pyode_bridge.errors import WorkerError

ATTEMPTS = 3  # at an act

Act = Callable[[Place], None]


class Pool:
    """So many workers, which share the cores out between them.

    Args:
        count: of the workers.
        make: makes the engine of a worker, given the pool and the worker's bridge.

    Attributes:
        places: of the workers, which start when they are first used.
    """

    def __init__(self, count: int, make: Callable[[Pool, Any], JuliaEngine]) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.places = [Place(max(1, cores // count), functools.partial(make, self)) for _ in range(count)]

    def close(self) -> None:
        """End the workers."""
        for place in self.places:
            place.close()

    def run(self, queues: Sequence[collections.deque[Act]]) -> None:
        """Do what is in the queue of each place, which may be the same one; again, where a worker ended meanwhile.

        Raises:
            WorkerError: workers ended several times over the same act.
            Exception: what an act raised.
        """
        stopping = threading.Event()

        def work(place: Place, queue: collections.deque[Act]) -> None:
            while not stopping.is_set():
                try:
                    act = queue.popleft()
                except IndexError:
                    return
                for attempt in range(1, ATTEMPTS + 1):
                    try:
                        act(place)
                        break
                    except WorkerError:
                        if attempt == ATTEMPTS or stopping.is_set():
                            raise

        with concurrent.futures.ThreadPoolExecutor(len(self.places)) as threads:
            futures = [threads.submit(work, *one) for one in zip(self.places, queues, strict=True)]
            try:
                waiting: Any = futures
                while waiting and not any(future.done() and future.exception() for future in futures):
                    # For a time, since a signal may reach another thread than this one, which has to see it.
                    _, waiting = concurrent.futures.wait(waiting, LOOK_SECONDS, concurrent.futures.FIRST_EXCEPTION)
            except BaseException as error:
                stopping.set()
                for place in self.places:
                    place.break_off(error)
                raise
            stopping.set()
        for future in futures:
            future.result()
