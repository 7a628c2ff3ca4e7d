"""Whether Julia can be installed, through juliapkg's own state and files; the network is a closed port."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install import julia, steps
from pyode_bridge.install.julia import can_install, install, resolved
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, locate, write_configuration
from pyode_bridge.install.optional import request, withdraw
from tests.install.conftest import FakeJulia
from tests.install.juliapkg_state import CLOSED, SetUp, fresh_juliapkg, write_meta

__all__ = ["fresh_juliapkg"]

posix = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")


def test_without_julia_and_network_the_address_and_the_reason_are_told(fresh_juliapkg: SetUp) -> None:
    fresh_juliapkg()
    reason = str(can_install())
    assert reason.startswith("There is no suitable Julia here")
    assert CLOSED in reason
    assert re.search(r"cannot be reached \(.+\)\.$", reason)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(julia, "REACH_TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:
        reason = julia._unreachable(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert reason is not None
    assert "cannot be reached" in reason


@posix
@pytest.mark.parametrize(("version", "fits"), [("1.10.8", True), ("1.9.4", False)])
def test_a_julia_on_the_path_needs_no_network_if_it_fits(
    version: str, fits: bool, fake_julia: FakeJulia, fresh_juliapkg: SetUp
) -> None:
    fresh_juliapkg(str(fake_julia(f"julia version {version}").parent))
    assert (can_install() is None) is fits


@posix
def test_juliapkgs_own_julia_needs_the_network_that_juliapkg_asks(fake_julia: FakeJulia, fresh_juliapkg: SetUp) -> None:
    project = fresh_juliapkg()
    exe = project / "pyjuliapkg" / "install" / "bin" / "julia"
    exe.parent.mkdir(parents=True)
    fake_julia("julia version 1.10.8").rename(exe)
    assert CLOSED in str(can_install())


@posix
def test_offline_is_enough_where_a_julia_is_at_hand(fake_julia: FakeJulia, fresh_juliapkg: SetUp) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
    assert "PYTHON_JULIAPKG_OFFLINE forbids downloads" in str(can_install())
    fresh_juliapkg(str(fake_julia("julia version 1.10.8").parent), PYTHON_JULIAPKG_OFFLINE="yes")
    assert can_install() is None


@posix
def test_an_override_is_taken_if_it_is_a_julia(fake_julia: FakeJulia, fresh_juliapkg: SetUp) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_EXE="/no/such/julia")
    assert can_install() == "PYTHON_JULIAPKG_EXE=/no/such/julia is not a Julia executable."
    fresh_juliapkg(PYTHON_JULIAPKG_EXE=sys.executable)
    assert can_install() == f"PYTHON_JULIAPKG_EXE={sys.executable} is not a Julia executable."
    fresh_juliapkg(PYTHON_JULIAPKG_EXE=str(fake_julia("julia version 1.10.8")))
    assert can_install() is None


@pytest.mark.parametrize(
    ("name", "value"), [("PYTHON_JULIAPKG_OFFLINE", "maybe"), ("PYTHON_JULIAPKG_PROJECT", "relative")]
)
def test_settings_that_juliapkg_refuses_are_named(
    name: str, value: str, fresh_juliapkg: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_juliapkg()
    monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "juliapkg.state")  # its import reads the variables
    assert str(can_install()).startswith(f"juliapkg cannot be used ({name} must be")
    assert resolved() is None


def test_requirements_that_contradict_each_other_are_told(fresh_juliapkg: SetUp) -> None:
    project = fresh_juliapkg()
    other = '{"packages": {"SciMLBase": {"uuid": "7876af07-990d-54b4-ab0e-23690620f79a"}}}'
    (project / "pyjuliapkg" / "juliapkg.json").write_text(other)
    reason = str(can_install())
    assert reason.startswith("juliapkg finds no usable set of requirements: ")
    assert "uuid" in reason


@posix
def test_a_finished_installation_is_found_and_needs_no_network(fake_julia: FakeJulia, fresh_juliapkg: SetUp) -> None:
    project, exe = fresh_juliapkg(), fake_julia("julia version 1.10.8")
    assert resolved() is None
    write_meta(exe)
    assert resolved() == (str(exe), str(project))
    assert can_install() is None


@posix
@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.10.9"},
        {"executable": "/no/such/julia"},
        {"executable": None},
        {"deps_files": {}},
        {"deps_files": 3},
        {"override_executable": "/other/julia"},
        {"meta_version": 1},
    ],
    ids=lambda changes: "-".join(f"{key}={value}" for key, value in changes.items()),
)
def test_an_installation_that_is_no_longer_current_does_not_count(
    changes: dict[str, object], fake_julia: FakeJulia, fresh_juliapkg: SetUp
) -> None:
    fresh_juliapkg()
    write_meta(fake_julia("julia version 1.10.8"), **changes)
    assert resolved() is None


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"{}", b"\xff\xfe"], ids=repr)
def test_broken_files_of_juliapkg_count_as_no_installation(content: bytes, fresh_juliapkg: SetUp) -> None:
    project = fresh_juliapkg()
    (project / "pyjuliapkg" / "meta.json").write_bytes(content)
    assert resolved() is None


def test_looking_for_an_installation_prints_and_changes_nothing(
    fresh_juliapkg: SetUp, capsys: pytest.CaptureFixture[str]
) -> None:
    project = fresh_juliapkg()
    before = sorted(project.rglob("*"))
    resolved()
    can_install()
    assert sorted(project.rglob("*")) == before
    assert capsys.readouterr().out == ""


@posix
def test_the_configured_julia_is_checked_with_its_cause(fake_julia: FakeJulia, ready_project: Path) -> None:
    (ready_project / "Manifest.toml").write_text('manifest_format = "2.0"\n')
    write_configuration(str(fake_julia("Python 3.11")), str(ready_project))
    said: list[str] = []
    with pytest.raises(EngineUnavailableError) as caught:
        install(said.append)
    assert "is not a Julia executable" in str(caught.value)
    assert "lacks PythonCall" in str(caught.value)
    assert "the configuration file" in said[0]


@posix
def test_a_fit_environment_is_compiled_with_signs_of_life(
    fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXE_VARIABLE, str(fake_julia("julia version 1.10.8")))
    monkeypatch.setenv(PROJECT_VARIABLE, str(ready_project))
    monkeypatch.setattr(julia, "START_SCRIPT", "import time; time.sleep(0.3)")
    monkeypatch.setattr(steps, "PROGRESS_INTERVAL", 0.05)
    said: list[str] = []
    install(said.append)
    assert "holds every package needed" in said[1]
    assert any("still compiling" in text for text in said)


@posix
def test_a_failing_compilation_names_the_exit_code_and_the_doctor(
    fake_julia: FakeJulia, fresh_juliapkg: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_juliapkg()
    write_meta(fake_julia("julia version 1.10.8"))
    monkeypatch.setattr(julia, "START_SCRIPT", "raise SystemExit(3)")
    said: list[str] = []
    with pytest.raises(EngineUnavailableError, match=r"exit code 3.*doctor"):
        install(said.append)
    assert "installed already" in said[0]


@posix
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (subprocess.CalledProcessError(7, "julia"), "ended with exit code 7"),
        (OSError("disk full"), "OSError: disk full"),
        (SystemExit(4), "SystemExit: 4"),
    ],
    ids=["Pkg fails", "no space", "exit"],
)
def test_a_failing_installation_tells_cause_and_remedy(
    error: BaseException, words: str, fake_julia: FakeJulia, fresh_juliapkg: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    import juliapkg

    def fail(**_: object) -> None:
        raise error

    fresh_juliapkg(str(fake_julia("julia version 1.10.8").parent))
    monkeypatch.setattr(juliapkg, "resolve", fail)
    with pytest.raises(EngineUnavailableError) as caught:
        install(lambda _: None)
    assert words in str(caught.value)
    assert julia.REMEDY in str(caught.value)
    assert caught.value.__cause__ is error


@posix
def test_what_most_solves_need_is_compiled_and_no_other_package(
    fake_julia: FakeJulia, fresh_juliapkg: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import juliapkg

    exe, log, asked = fake_julia("julia version 1.10.8"), tmp_path / "log", list[dict[str, Any]]()

    def resolve(**arguments: Any) -> None:
        asked.append(arguments)
        write_meta(exe)

    fresh_juliapkg(str(exe.parent))
    exe.write_text(f"#!/bin/sh\ncase $1 in --version) echo 'julia version 1.10.8';; *) echo \"$@\" >> {log};; esac\n")
    monkeypatch.setattr(juliapkg, "resolve", resolve)
    julia.install_packages()
    (arguments,) = asked
    flag, script = arguments["julia_args"]
    assert flag == "-L"
    assert "Pkg.precompile() = nothing" in Path(script).read_text()
    (line,) = log.read_text().splitlines()
    assert "Pkg.precompile([" in line
    assert {"PythonCall", "OrdinaryDiffEqTsit5", "SciMLSensitivity", "Zygote"} <= set(re.findall(r'"(\w+)"', line))
    assert "OrdinaryDiffEqSDIRK" not in line
    assert "PyODETranslations" not in line


@posix
def test_an_optional_package_that_cannot_be_had_spoils_no_installation(
    fake_julia: FakeJulia, fresh_juliapkg: SetUp
) -> None:
    fresh_juliapkg()
    exe = fake_julia("julia version 1.10.8")
    write_meta(exe)
    before = resolved()
    with pytest.raises(EngineUnavailableError, match="cannot be installed"):
        install(lambda _: None, ["Sundials"])
    assert resolved() == before


def test_solvers_for_noise_come_with_noise_that_is_right(fresh_juliapkg: SetUp) -> None:
    fresh_juliapkg()
    added = request(["StochasticDiffEq"], locate())
    from juliapkg.deps import load_cur_deps

    asked = load_cur_deps()["packages"]
    assert added == ["StochasticDiffEq", "DiffEqNoiseProcess"]
    assert asked["DiffEqNoiseProcess"]["version"] == "5.34"
    assert "version" not in asked["StochasticDiffEq"]
    withdraw(added)
    assert not load_cur_deps().get("packages")


def test_optional_packages_with_a_setting_that_juliapkg_refuses(
    fresh_juliapkg: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_juliapkg()
    monkeypatch.setenv("PYTHON_JULIAPKG_OFFLINE", "maybe")
    for name in [name for name in sys.modules if name.split(".")[0] == "juliapkg"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(EngineUnavailableError, match="PYTHON_JULIAPKG_OFFLINE"):
        install(lambda _: None, ["Sundials"])
