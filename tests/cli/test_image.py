"""What `install` compiles ahead, and the system image: the steps, and what is said where one fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pyode_bridge.cli import ahead, image, main
from pyode_bridge.cli.doctor import software
from pyode_bridge.cli.doctor.findings import Machine
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.environment import examine
from pyode_bridge.install.image import image_file
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, locate
from tests.install.conftest import FakeJulia

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
Step = tuple[str, list[str], dict[str, str]]


@pytest.fixture
def julia(fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An executable and an environment that the variables name."""
    exe, project = str(fake_julia("julia version 1.11.9")), str(ready_project)
    monkeypatch.setenv(EXE_VARIABLE, exe)
    monkeypatch.setenv(PROJECT_VARIABLE, project)
    return exe, project


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps that were asked for, none of which runs."""
    taken: list[Step] = []

    def run(what: str, command: list[str], variables: dict[str, str], _say: object) -> None:
        taken.append((what, command, variables))
        if what.startswith("solving"):
            Path(command[-1]).write_text("StochasticDiffEq\n")
        elif what.startswith("making"):
            Path(command[-1]).write_bytes(b"an image")

    monkeypatch.setattr(ahead, "run_step", run)
    monkeypatch.setattr(image, "run_step", run)
    monkeypatch.setattr("pyode_bridge.install.julia._precompile", lambda _say: 0.0)
    return taken


def doctors_finding(julia: tuple[str, str]) -> Any:
    return software.image(Machine("auto", locate(), examine(*julia), None))


def test_an_installation_ends_with_what_first_solves_compile(
    julia: tuple[str, str], steps: list[Step], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install"]) == 0
    (_, _, solving), (_, compiling, seen) = steps
    assert solving["PYODE_BRIDGE_START"] == "plain"
    assert seen["PYODE_BRIDGE_SEEN"] == solving["PYTHON_JULIACALL_TRACE_COMPILE"]
    assert f"--project={julia[1]}" in compiling
    assert not any(flag.startswith("--sysimage") for flag in compiling)
    assert "Done" in capsys.readouterr().out
    assert doctors_finding(julia).value == "none"


def test_an_image_is_made_of_what_is_compiled_and_is_current(
    julia: tuple[str, str], steps: list[Step], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--image"]) == 0
    making = next(variables for what, _, variables in steps if what.startswith("making"))
    assert making["PYODE_BRIDGE_LOADED"] == "SciMLSensitivity,Zygote,StochasticDiffEq"
    assert image_file(julia[1]).read_bytes() == b"an image"
    assert f"--sysimage={image_file(julia[1])}" in steps[3][1], "what first solves compile is compiled for it too"
    assert f"Made {image_file(julia[1])}" in capsys.readouterr().out
    assert doctors_finding(julia).value.startswith("current")
    (Path(julia[1]) / "LocalPreferences.toml").write_text("[Zygote]\n")
    assert doctors_finding(julia).value.startswith("outdated: the environment changed")


def test_without_the_compiler_of_images_the_command_that_adds_it_is_said(
    julia: tuple[str, str], steps: list[Step], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(julia[0]).write_text("#!/bin/sh\ncase $1 in --version) echo 'julia version 1.11.9';; *) exit 3;; esac\n")
    assert main(["install", "--image"]) == 1
    assert 'Pkg.add("PackageCompiler")' in capsys.readouterr().err
    assert not steps


def test_what_cannot_be_compiled_ahead_ends_no_installation(
    julia: tuple[str, str], steps: list[Step], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    solving = ahead.run_step

    def run(what: str, *arguments: Any) -> None:
        if what.startswith("compiling"):
            raise EngineUnavailableError("Compiling ended with exit code 1.")
        solving(what, *arguments)

    monkeypatch.setattr(ahead, "run_step", run)
    assert main(["install"]) == 0
    assert "exit code 1. Sessions compile this anew each time" in capsys.readouterr().out


def test_the_compiler_of_images_is_installed_with_juliapkgs_own(
    julia: tuple[str, str], steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def install(_say: object, packages: list[str]) -> tuple[str, str]:
        asked.append(packages)
        return julia

    monkeypatch.setattr("pyode_bridge.cli.install", install)
    assert main(["install", "--image"]) == 0
    monkeypatch.delenv(EXE_VARIABLE)
    monkeypatch.delenv(PROJECT_VARIABLE)
    assert main(["install", "--image", "DelayDiffEq"]) == 0
    assert asked == [[], ["DelayDiffEq", "PackageCompiler"]]
