"""One fixture runs a test on every engine present; those for Julia are marked and skip, with the reason, without it."""

from __future__ import annotations

import functools
import os
import signal

import pytest
import torch

from pyode_bridge.compiled.runtime import cache
from pyode_bridge.engines import julia_engine
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.location import locate

# A shell's background jobs ignore Ctrl-C, and so would the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# States are small: a second thread of torch takes many times the time of processors. What tests start inherits it.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# A run of the tests compiles more dynamics than a session does; each test is to find the lane that it would find alone.
cache.MOST_TRANSLATIONS = 100_000

ENGINES = ["embedded", pytest.param("julia", marks=pytest.mark.julia)]


@functools.cache
def why_no_julia() -> str | None:
    """None if the Julia engine starts without installing anything, else why not."""
    if locate().exe is None:
        import juliapkg

        if not juliapkg.resolve(dry_run=True):
            return "no Julia is installed; run `python -m pyode_bridge install`"
    try:
        julia_engine()
    except EngineUnavailableError as error:
        return str(error)
    return None


def julia_finds(package: str) -> bool:
    """Whether the Julia that runs has a package."""
    from juliacall import Main

    return bool(Main.seval("package -> Base.find_package(package) !== nothing")(package))


@pytest.fixture(autouse=True)
def _needs_julia(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("julia") and (reason := why_no_julia()):
        pytest.skip(reason)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
