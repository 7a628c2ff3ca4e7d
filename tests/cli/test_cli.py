"""The command line, as a user types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyode_bridge.cli import main
from pyode_bridge.install import julia
from tests.install.conftest import FakeJulia

Output = pytest.CaptureFixture[str]


def test_solvers_are_listed_by_family_and_filtered(capsys: Output) -> None:
    assert main(["solvers", "--engine", "embedded"]) == 0
    everything = capsys.readouterr().out
    assert "\nFIRK\n  RadauIIA5" in everything
    assert main(["solvers", "--engine", "embedded", "multistep"]) == 0
    some = capsys.readouterr().out
    assert "implicit_adams" in some
    assert "RadauIIA5" not in some
    assert main(["solvers", "--engine", "embedded", "nonsense"]) == 1
    assert "'nonsense'" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
def test_use_remembers_and_forgets(fake_julia: FakeJulia, ready_project: Path, capsys: Output) -> None:
    exe = fake_julia("julia version 1.10.8")
    assert main(["use", "--julia", str(exe), "--project", str(ready_project)]) == 0
    assert "Julia 1.10.8" in capsys.readouterr().out
    assert main(["use", "--forget"]) == 0
    assert "Removed" in capsys.readouterr().out
    assert main(["use", "--forget"]) == 0
    assert "Nothing to forget" in capsys.readouterr().out


def test_use_says_why_not(tmp_path: Path, capsys: Output) -> None:
    assert main(["use", "--julia", sys.executable, "--project", str(tmp_path)]) == 1
    problems = capsys.readouterr().err
    assert "not a Julia executable" in problems
    assert "no Project.toml" in problems


@pytest.mark.parametrize("arguments", [["use"], ["use", "--julia", "x"], ["use", "--forget", "--julia", "x"], []])
def test_incomplete_commands_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_install_says_what_is_in_the_way(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(julia, "resolved", lambda: None)
    monkeypatch.setattr(julia, "can_install", lambda: "There is no network.")
    assert main(["install"]) == 1
    assert "There is no network. " in capsys.readouterr().err


def test_doctor_with_the_embedded_engine_is_content_and_tries_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "embedded")
    monkeypatch.setenv("PYTHON_JULIAPKG_OFFLINE", "yes")
    assert main(["doctor", "--time"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"cold start +[\d.]+ s, of which [\d.]+ s to start the engine\n", said)
    assert re.search(r"first solve +[\d.]+ s, DP5 with gradient\n", said)
    assert re.search(r"second solve +[\d.]+ ms, likewise\n", said)
    assert "ok    install " not in said, "nothing of Julia was installed for it"


def test_the_module_is_a_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pyode_bridge", "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.startswith("pyode_bridge ")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "pyode_bridge", "solvers", "--engine", "embedded"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
        assert process.wait(timeout=120) == 0
    assert complaint == ""
