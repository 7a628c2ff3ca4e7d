"""Long steps of an installation."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install import steps


def test_a_step_that_fails_says_how_it_ended() -> None:
    said: list[str] = []
    with pytest.raises(EngineUnavailableError, match="A trial ended with exit code 3"):
        steps.run_step("a trial", [sys.executable, "-c", "raise SystemExit(3)"], {}, said.append)
    assert said == ["Now a trial."]


def test_a_long_step_tells_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PROGRESS_INTERVAL", 0.05)
    said: list[str] = []
    steps.run_step("waiting", [sys.executable, "-c", "import time; time.sleep(0.3)"], {}, said.append)
    assert any("still waiting" in text for text in said)


def test_an_interrupt_ends_the_step_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            if not started:
                started.append(self)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        steps.run_step("waiting", [sys.executable, "-c", "import time; time.sleep(60)"], {}, lambda _: None)
    assert started[0].returncode not in (None, 0)
