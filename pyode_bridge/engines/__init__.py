"""The engines, and the rule that chooses between them."""

from __future__ import annotations

import functools
import os
import warnings

from pyode_bridge.engines.julia import forks
from pyode_bridge.errors import EngineUnavailableError, InputError
from pyode_bridge.problem import Engine

ENGINE_VARIABLE = "PYODE_BRIDGE_ENGINE"
ENGINE_NAMES = ("auto", "julia", "embedded")


def select_engine(name: str | None = None) -> Engine:
    """The engine called ``name``; None asks the variable PYODE_BRIDGE_ENGINE, else ``"auto"``.

    ``"auto"`` is Julia where it runs or can be installed, else the embedded engine with one warning that says why.
    """
    origin = "engine"
    if name is None:
        name, origin = os.environ.get(ENGINE_VARIABLE, "auto"), ENGINE_VARIABLE
    if name not in ENGINE_NAMES:
        raise InputError(f"{origin} is {name!r}; expected one of {', '.join(ENGINE_NAMES)}.")
    if name == "julia":
        return julia_engine()
    if name == "embedded":
        return embedded_engine()
    return _auto_engine()


@functools.cache
def embedded_engine() -> Engine:
    """The engine made of PyPI solvers."""
    from pyode_bridge.engines.embedded.engine import EmbeddedEngine

    return EmbeddedEngine()


def julia_engine() -> Engine:
    """The Julia engine; starts Julia, and installs it if it must. Raises EngineUnavailableError."""
    forks.refuse()
    return _julia_engine()


@functools.cache
def _julia_engine() -> Engine:
    from pyode_bridge.engines.julia.bridge import InProcess
    from pyode_bridge.engines.julia.engine import JuliaEngine
    from pyode_bridge.engines.julia.session import start

    return JuliaEngine(InProcess(start()))


@functools.cache
def _auto_engine() -> Engine:
    try:
        return julia_engine()
    except EngineUnavailableError as error:
        warnings.warn(
            f"Julia is not available, so the embedded engine runs, which has few solvers. {error}",
            RuntimeWarning,
            stacklevel=4,
        )
        return embedded_engine()
