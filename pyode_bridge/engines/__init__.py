"""The engines, and the rule that chooses between them."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Iterator

from pyode_bridge.engines.julia import forks
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.errors import EngineUnavailableError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.settings import EngineName

ENGINE_VARIABLE = "PYODE_BRIDGE_ENGINE"


def select_engine(name: str | None = None, isolation: str | None = None) -> Engine:
    """The engine called ``name``; for None, as for ``"auto"``, the one that the variable PYODE_BRIDGE_ENGINE names.

    Without that, it is Julia where it runs or can be installed, else the embedded engine, with a warning that says why.
    ``isolation`` says in which process Julia runs; see `pyode_bridge.problem.checks.isolation`.
    """
    name, origin = engine_name(name)
    isolated = checks.isolation(isolation) == "process"
    if name == "embedded":
        if isolated and isolation is not None:
            raise UnsupportedError(
                f"isolation='process' is for Julia, but {origin} is 'embedded', which has none; leave one of them out."
            )
        return embedded_engine()
    if isolated:
        # Who has asked for it gets no other engine than Julia; a variable for a whole program is no such demand.
        return isolated_engine() if name == "julia" or isolation is not None else _auto_isolated_engine()
    return julia_engine() if name == "julia" else _auto_engine()


def engine_name(given: str | None) -> tuple[EngineName, str]:
    """The name that a choice of None or another stands for, and whether the argument or the variable says it."""
    origin, name = "engine", given
    if given is None or given == "auto":
        origin, name = ENGINE_VARIABLE, os.environ.get(ENGINE_VARIABLE, "auto")
    return checks.engine(name, origin), origin


@functools.cache
def embedded_engine() -> Engine:
    """The engine made of PyPI solvers."""
    from pyode_bridge.engines.embedded.engine import EmbeddedEngine

    return EmbeddedEngine()


def julia_engine() -> Engine:
    """The Julia engine; starts Julia, and installs it if it must. Raises EngineUnavailableError."""
    forks.refuse()
    return _julia_engine()


def start_julia() -> None:
    """Start Julia now, so that no solve waits for it: at the top of a program, or in a notebook's first cell.

    Takes the seconds that the first solve would, during which other threads of Python go on. Julia itself cannot start
    in one of them: it must be started from the main thread. Does nothing where it runs already.

    Raises:
        EngineUnavailableError: Julia is neither here nor can it be installed, or this is not the main thread.
    """
    julia_engine()


@functools.cache
def _julia_engine() -> Engine:
    from pyode_bridge.engines.julia.bridge import InProcess
    from pyode_bridge.engines.julia.engine import JuliaEngine
    from pyode_bridge.engines.julia.session import start

    return JuliaEngine(InProcess(start()))


def isolated_engine() -> Engine:
    """The Julia engine in a worker process; starts one where none lives. Raises EngineUnavailableError."""
    from pyode_bridge.engines.julia.isolation.places import engine_here

    return engine_here()


@contextlib.contextmanager
def shared_by(workers: int | None) -> Iterator[None]:
    """Have so many workers share ensembles of the block whose ``isolation`` is "process"; None leaves them to one."""
    if workers is None:
        yield
        return
    from pyode_bridge.engines.julia.isolation.places import at
    from pyode_bridge.engines.julia.isolation.pooled import pool_of

    with at(pool_of(workers).places[0]):
        yield


@functools.cache
def _auto_engine() -> Engine:
    return _or_embedded(julia_engine)


def _auto_isolated_engine() -> Engine:
    return embedded_engine() if _first_isolated_engine() is embedded_engine() else isolated_engine()


@functools.cache
def _first_isolated_engine() -> Engine:
    return _or_embedded(isolated_engine)


def _or_embedded(start: Callable[[], Engine]) -> Engine:
    try:
        return start()
    except EngineUnavailableError as error:
        warnings.warn(
            f"Julia is not available, so the embedded engine runs, which has few solvers. {error}",
            RuntimeWarning,
            stacklevel=5,
        )
        return embedded_engine()
