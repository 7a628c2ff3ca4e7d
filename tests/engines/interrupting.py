"""Programs that Ctrl-C interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass


@dataclass
class Ended:
    """How a program has ended, and what it printed after the line with which it began."""

    returncode: int
    output: str
    errors: str


def interrupted(script: str, begins: str, after: float) -> Ended:
    """Interrupt a program so many seconds after it prints, as its first line, that it ``begins``."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == begins
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    return Ended(process.returncode, output, errors)
