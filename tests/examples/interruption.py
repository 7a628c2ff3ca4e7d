"""Pressing Ctrl-C on an example when its progress bar shows enough."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.examples.running import command, environment

LIMIT = 240  # seconds for what an example does after Ctrl-C, on a machine that others use too


def interrupt_when(enough: Callable[[str], object], name: str, output: Path, *extra: str) -> None:
    """Run an example, interrupt it once ``enough`` of what it wrote is true, and check how it leaves."""
    process = subprocess.Popen(command(name, output, *extra), env=environment(), stderr=subprocess.PIPE, bufsize=0)
    assert process.stderr is not None
    seen = ""
    try:
        while not enough(seen):
            piece = process.stderr.read(64)
            assert piece, f"ended before it was interrupted: {seen}"
            seen += piece.decode(errors="replace")
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, rest.decode()
