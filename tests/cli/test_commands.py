"""What the commands leave behind, print and return."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyode_bridge import cli
from pyode_bridge.cli import main
from pyode_bridge.install.julia import REMEDY
from pyode_bridge.install.location import (
    CONFIG_VARIABLE,
    EXE_VARIABLE,
    PROJECT_VARIABLE,
    configuration_file,
    locate,
)
from tests.install.conftest import FakeJulia
from tests.install.juliapkg_state import SetUp

Output = pytest.CaptureFixture[str]
posix = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")


@posix
def test_use_and_forget_change_what_is_located(fake_julia: FakeJulia, ready_project: Path, capsys: Output) -> None:
    exe = fake_julia("julia version 1.10.8")
    assert main(["use", "--julia", str(exe), "--project", str(ready_project)]) == 0
    assert json.loads(configuration_file().read_text()) == {"exe": str(exe), "project": str(ready_project)}
    assert (locate().exe, locate().project) == (str(exe), str(ready_project))
    assert str(configuration_file()) in capsys.readouterr().out
    assert main(["use", "--forget"]) == 0
    assert not configuration_file().exists()
    assert locate().exe is None


@posix
def test_use_remembers_absolute_paths(
    fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exe = fake_julia("julia version 1.10.8")
    monkeypatch.chdir(ready_project.parent)
    expected = {"exe": str(exe), "project": str(ready_project)}
    for julia in ("bin/julia", "julia"):
        monkeypatch.setenv("PATH", str(exe.parent))
        assert main(["use", "--julia", julia, "--project", ready_project.name]) == 0
        assert json.loads(configuration_file().read_text()) == expected


@posix
def test_use_tells_what_goes_first(
    fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv(EXE_VARIABLE, "/b/julia")
    monkeypatch.setenv(PROJECT_VARIABLE, "/b/project")
    exe = fake_julia("julia version 1.10.8")
    assert main(["use", "--julia", str(exe), "--project", str(ready_project)]) == 0
    assert "something else goes first: the environment variables" in capsys.readouterr().out


@posix
def test_a_julia_that_cannot_be_used_is_not_remembered(
    fake_julia: FakeJulia, ready_project: Path, capsys: Output
) -> None:
    (ready_project / "Manifest.toml").unlink()
    exe = fake_julia("julia version 1.10.8")
    assert main(["use", "--julia", str(exe), "--project", str(ready_project)]) == 1
    assert "Pkg.instantiate()" in capsys.readouterr().err
    assert not configuration_file().exists()


def test_a_configuration_that_cannot_be_removed_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Output
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))  # a folder
    assert main(["use", "--forget"]) == 1
    assert capsys.readouterr().err.startswith("pyode-bridge: ")


@pytest.mark.parametrize(
    "arguments", [["use", "--project", "x"], ["use", "--forget", "--julia", "x", "--project", "y"], ["unknown"]]
)
def test_usage_errors_tell_the_usage(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: pyode-bridge" in capsys.readouterr().err


def test_install_tells_cause_and_remedy(fresh_juliapkg: SetUp, capsys: Output) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
    assert main(["install"]) == 1
    told = capsys.readouterr().err
    assert "PYTHON_JULIAPKG_OFFLINE forbids downloads" in told
    assert REMEDY in told


def test_ctrl_c_ends_a_command_with_the_shells_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "install", interrupted)
    assert main(["install"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("timed", [[], ["--time"]], ids=["look", "time"])
def test_doctor_fails_where_julia_cannot_be_had(timed: list[str], fresh_juliapkg: SetUp, capsys: Output) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
    assert main(["doctor", *timed]) == 1
    report = capsys.readouterr().out
    assert "\nWRONG Julia " in report
    assert report.endswith("The Julia engine cannot be used; see WRONG above.\n")
    assert ("not made" in report) is bool(timed)


@posix
def test_doctor_is_content_with_a_complete_environment(
    fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv(EXE_VARIABLE, str(fake_julia("julia version 1.10.8")))
    monkeypatch.setenv(PROJECT_VARIABLE, str(ready_project))
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    assert "WRONG" not in report
    assert "julia (auto: it is installed)" in report
    assert report.endswith("The Julia engine can be used.\n")


def test_doctor_refuses_an_unknown_engine(
    fresh_juliapkg: SetUp, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "matlab")
    assert main(["doctor"]) == 1
    assert "PYODE_BRIDGE_ENGINE=matlab is unknown" in capsys.readouterr().out


def test_solvers_are_filtered_in_any_column_and_case(capsys: Output) -> None:
    for wanted in ("qndf", "SHAMPINE & reichelt"):
        assert main(["solvers", "--engine", "embedded", wanted]) == 0
        rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
        assert rows == ["QNDF"]
    assert main(["solvers", "--engine", "embedded", "RADAU"]) == 0
    assert {"RadauIIA5", "radauIIA5", "radauIIA3"} <= set(capsys.readouterr().out.split())


def test_the_count_of_solvers_is_the_number_of_rows(capsys: Output) -> None:
    assert main(["solvers", "--engine", "embedded"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{sum(line.startswith('  ') for line in lines)} solvers"


def test_no_match_says_so_on_stderr_alone(capsys: Output) -> None:
    assert main(["solvers", "--engine", "embedded", "nonsense"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pyode-bridge: no solver has 'nonsense' in its name")


def test_an_unknown_engine_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "matlab")
    assert main(["solvers"]) == 1
    assert "PYODE_BRIDGE_ENGINE is 'matlab'; expected one of" in capsys.readouterr().err
