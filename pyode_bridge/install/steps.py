"""Long steps of an installation, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from pyode_bridge.errors import EngineUnavailableError

PROGRESS_INTERVAL = 30.0  # seconds

Say = Callable[[str], None]


def run_step(what: str, command: Sequence[str], variables: Mapping[str, str], say: Say) -> None:
    """Run a step to its end, saying what it is and how long it took.

    Raises:
        EngineUnavailableError: it failed.
    """
    begin = time.monotonic()
    say(f"Now {what}.")
    code = exit_code(what, command, variables, say)
    if code != 0:
        raise EngineUnavailableError(f"{what.capitalize()} ended with exit code {code}; the messages above say why.")
    say(f"  {what} took {time.monotonic() - begin:.0f} s")


def exit_code(what: str, command: Sequence[str], variables: Mapping[str, str], say: Say) -> int:
    """How a process ends, which meanwhile is told to go on; an interrupt ends it."""
    begin = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **variables})
    try:
        while True:
            try:
                return process.wait(PROGRESS_INTERVAL)
            except subprocess.TimeoutExpired:
                say(f"  still {what}, {time.monotonic() - begin:.0f} s so far")
    finally:
        process.kill()
        process.wait()
