"""The process of a worker: its start, what it says, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future

SECONDS_TO_END = 5.0  # that a process is given
REMEMBERED = 1000  # characters at either end of what it said
CUT = "\n...\n"


class Process:
    """A script in a process of its own; what it says is said here too.

    Args:
        script: what it runs.
        passed: descriptors that it shares, whose numbers are its arguments.
        environment: variables beside those of this process.

    Attributes:
        said: what came since somebody has emptied it: its beginning, where Julia says what crashed, and its end.
    """

    def __init__(self, script: str, passed: tuple[int, ...], environment: Mapping[str, str]) -> None:
        self.said = ""
        started: Future[subprocess.Popen[bytes]] = Future()
        self._relay = threading.Thread(target=self._run, args=(script, passed, environment, started), daemon=True)
        self._relay.start()
        self._popen = started.result()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._popen.poll()

    def kill(self) -> None:
        """Have it end at once."""
        self._popen.kill()

    def end(self) -> str:
        """Wait for its end, which comes soon or is made to come; how it ended, in words."""
        how = ""
        try:
            self._popen.wait(SECONDS_TO_END)  # it may have closed the connection a moment before its end
        except subprocess.TimeoutExpired:
            how = "answered no more"
            self._popen.kill()
            self._popen.wait()
        self._relay.join(SECONDS_TO_END)
        return how or _status(self._popen.returncode)

    def _run(
        self,
        script: str,
        passed: tuple[int, ...],
        environment: Mapping[str, str],
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        """Start it and repeat what it says, in one thread: Linux ends it with the one that has started it.

        See `start.end_with_parent`.
        """
        try:
            popen = subprocess.Popen(
                [sys.executable, script, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,  # a buffer would have a lock, which a fork may find taken
                pass_fds=passed,
                start_new_session=True,  # Ctrl-C is this process's business
                env={**os.environ, **environment},
            )
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(popen)
        assert popen.stdout is not None
        with popen.stdout as output:
            while told := output.read(REMEMBERED):
                text = told.decode(errors="replace")
                self.said = _shortened(self.said + text)
                sys.stderr.write(text)
        popen.wait()


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * REMEMBERED else f"{text[:REMEMBERED]}{CUT}{text[-REMEMBERED + len(CUT) :]}"


def _status(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
