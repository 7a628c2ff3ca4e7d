"""The doctor's findings, and the trial."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pyode_bridge.cli import doctor
from pyode_bridge.cli.doctor import settings, software, timing, trial
from pyode_bridge.cli.doctor.findings import Machine
from pyode_bridge.install import times
from pyode_bridge.install.environment import JuliaEnvironment, JuliaVersion
from pyode_bridge.install.location import EXE_VARIABLE, JuliaLocation

NOWHERE = JuliaLocation(None, None, "juliapkg")


def machine(version: JuliaVersion | None = (1, 10, 8), lacks: tuple[str, ...] = (), engine: str = "auto") -> Machine:
    julia = JuliaEnvironment("/opt/julia/bin/julia", "/project", version, {}, lacks)
    return Machine(engine, JuliaLocation(julia.exe, julia.project, "the variables"), julia, None)


@pytest.mark.parametrize(
    ("version", "openssl", "ok"),
    [
        ((1, 9, 4), (3, 0), False),
        ((1, 10, 1), (3, 0), False),
        ((1, 10, 8), (3, 0), True),
        ((1, 12, 0), (3, 0), False),
        ((1, 12, 0), (3, 5), True),
    ],
)
def test_releases_of_julia_that_cannot_work_are_found(
    version: JuliaVersion, openssl: tuple[int, int], ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl.OPENSSL_VERSION_INFO", openssl)
    finding = software.julia_release(machine(version))
    assert finding.ok is ok
    assert bool(finding.advice) is not ok


def test_a_lacking_environment_is_wrong_and_makes_julia_unusable() -> None:
    lacking = machine(lacks=("It lacks SciMLBase. Run something.",))
    assert software.environment(lacking).advice == "It lacks SciMLBase. Run something."
    assert not doctor.is_usable(lacking, [software.environment(lacking)])
    assert doctor.is_usable(machine(lacks=("x",), engine="embedded"), [software.environment(lacking)])


def test_no_julia_gives_the_obstacle_and_the_way_out() -> None:
    finding = software.executable(Machine("auto", NOWHERE, None, "There is no network."))
    assert finding.ok is False
    assert finding.value == "There is no network."
    assert "pyode_bridge install" in finding.advice


@pytest.mark.parametrize(
    ("engine", "words"),
    [("embedded", "embedded, chosen by"), ("julia", "julia, chosen by"), ("auto", "auto: it is"), ("c", "unknown")],
)
def test_the_engine_is_explained(engine: str, words: str) -> None:
    assert words in settings.engine(machine(engine=engine)).value


def test_one_variable_alone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXE_VARIABLE, "/opt/julia/bin/julia")
    here = Machine.here()
    assert here.julia is None
    assert "without the other" in str(here.obstacle)


@pytest.mark.parametrize(
    ("variables", "ok"),
    [
        ({}, True),
        ({settings.SIGNALS: "no"}, False),
        ({settings.SIGNALS: "no", settings.THREADS: "1"}, True),
        ({"PYTHON_JULIACALL_INIT": "no"}, False),
    ],
)
def test_settings_that_would_kill_the_process_are_found(
    variables: dict[str, str], ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.settings(machine()).ok is ok


def test_every_check_answers_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHON_JULIAPKG_OFFLINE", "yes")
    findings = doctor.examine_machine(Machine("auto", NOWHERE, None, "none"))
    assert {finding.subject for finding in findings} >= {"Python", "torch", "engine", "Julia", "environment"}
    assert all(finding.advice for finding in findings if finding.ok is False)


def test_the_time_of_an_installation_is_remembered_with_its_environment(tmp_path: Path) -> None:
    julia = JuliaEnvironment("/opt/julia/bin/julia", str(tmp_path), (1, 10, 8), {}, ())
    installed = Machine("auto", NOWHERE, julia, None)
    assert timing.install_time(installed).ok is None
    times.remember(times.InstallTimes(812.3, 95.4), str(tmp_path))
    found = timing.install_time(installed)
    assert (found.ok, found.value) == (True, "812 s for Julia and its packages, 95 s to compile PyODEBridge")
    (tmp_path / times.FILE).write_text("[]")
    assert timing.install_time(installed).ok is None
    times.remember(times.InstallTimes(1.0, 2.0), str(tmp_path / "missing"))  # as in a folder that is read-only


def test_the_trial_solves_and_is_timed() -> None:
    found = trial.attempt("embedded")
    assert found["algorithm"] == "DP5"
    assert all(math.isfinite(float(found[name])) for name in ("start", "first", "second"))


def test_a_wrong_trial_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "ACCURACY", 1e-30)
    with pytest.raises(ArithmeticError, match="expected"):
        trial.attempt("embedded")
