"""Making a system image: the steps, and what is said where one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyode_bridge.cli import image, main
from pyode_bridge.cli.doctor import software
from pyode_bridge.cli.doctor.findings import Machine
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.environment import examine
from pyode_bridge.install.image import image_file, remember_image
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, locate
from tests.install.conftest import FakeJulia

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")


@pytest.fixture
def julia(fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An executable and an environment that the variables name."""
    exe, project = str(fake_julia("julia version 1.11.9")), str(ready_project)
    monkeypatch.setenv(EXE_VARIABLE, exe)
    monkeypatch.setenv(PROJECT_VARIABLE, project)
    return exe, project


def doctors_finding(julia: tuple[str, str]) -> Any:
    return software.image(Machine("auto", locate(), examine(*julia), None))


def test_the_steps_end_in_an_image_that_is_current(julia: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def run(what: str, command: list[str], variables: dict[str, str], say: image.Say) -> None:
        steps.append(what)
        if what.startswith("solving"):
            Path(command[-1]).write_text("StochasticDiffEq\n")
        elif what.startswith("making"):
            assert variables["PYODE_BRIDGE_LOADED"] == "SciMLSensitivity,Zygote,StochasticDiffEq"
            Path(command[-1]).write_bytes(b"an image")

    monkeypatch.setattr(image, "_run", run)
    assert doctors_finding(julia).value == "none"
    assert image.make_image(lambda _: None) == image_file(julia[1])
    assert image_file(julia[1]).read_bytes() == b"an image"
    assert len(steps) == 3
    assert doctors_finding(julia).value.startswith("current")
    (Path(julia[1]) / "LocalPreferences.toml").write_text("[Zygote]\n")
    assert doctors_finding(julia).value.startswith("outdated: the environment changed")


def test_without_the_compiler_of_images_the_command_that_adds_it_is_said(julia: tuple[str, str]) -> None:
    Path(julia[0]).write_text("#!/bin/sh\ncase $1 in --version) echo 'julia version 1.11.9';; *) exit 3;; esac\n")
    with pytest.raises(EngineUnavailableError, match=r'PackageCompiler.*Pkg\.add\("PackageCompiler"\)'):
        image.make_image(lambda _: None)


def test_a_step_that_fails_leaves_the_old_image_as_it_was(julia: tuple[str, str]) -> None:
    image_file(julia[1]).write_bytes(b"old")
    remember_image(*julia)
    said: list[str] = []
    with pytest.raises(EngineUnavailableError, match="No image was made: a trial ended with exit code 3"):
        image._run("a trial", [sys.executable, "-c", "raise SystemExit(3)"], {}, said.append)
    assert said == ["Image: a trial."]
    assert doctors_finding(julia).value.startswith("current")


def test_a_long_step_tells_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "PROGRESS_INTERVAL", 0.05)
    said: list[str] = []
    image._run("waiting", [sys.executable, "-c", "import time; time.sleep(0.3)"], {}, said.append)
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
        image._run("waiting", [sys.executable, "-c", "import time; time.sleep(60)"], {}, lambda _: None)
    assert started[0].returncode not in (None, 0)


def test_the_command_makes_one_after_installing(
    julia: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("pyode_bridge.cli.install", lambda _say, packages: asked.append(packages))
    monkeypatch.setattr("pyode_bridge.cli.make_image", lambda _say: Path("/an/image.so"))
    assert main(["install", "--image"]) == 0
    assert "Made /an/image.so" in capsys.readouterr().out
    monkeypatch.delenv(EXE_VARIABLE)
    monkeypatch.delenv(PROJECT_VARIABLE)
    assert main(["install", "--image", "DelayDiffEq"]) == 0
    assert asked == [[], ["DelayDiffEq", "PackageCompiler"]]
