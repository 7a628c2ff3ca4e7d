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
    """Run a step to its end, telling meanwhile that it goes on.

    Raises:
        EngineUnavailableError: it failed.
    """
    begin = time.monotonic()
    say(f"Now {what}.")
    with subprocess.Popen(command, env={**os.environ, **variables}) as process:
        try:
            while True:
                try:
                    code = process.wait(PROGRESS_INTERVAL)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  still {what}, {time.monotonic() - begin:.0f} s so far")
        except BaseException:
            process.kill()
            raise
    if code != 0:
        raise EngineUnavailableError(f"{what.capitalize()} ended with exit code {code}; the messages above say why.")
    say(f"  {what} took {time.monotonic() - begin:.0f} s")
