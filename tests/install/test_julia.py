"""Installing Julia: why it cannot be done, said at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install import julia
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE
from pyode_bridge.install.times import InstallTimes, remembered
from tests.install.conftest import FakeJulia


@pytest.fixture
def _no_julia(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(julia, "resolved", lambda: None)
    monkeypatch.setattr(julia, "_julia_at_hand", lambda: None)


@pytest.mark.usefixtures("_no_julia")
def test_an_unreachable_download_is_named() -> None:
    reason = julia._unreachable("http://localhost:1/versions.json")
    assert reason is not None
    assert "http://localhost:1/versions.json" in reason
    assert julia._unreachable(Path(__file__).as_uri()) is None


@pytest.mark.usefixtures("_no_julia")
def test_offline_mode_forbids_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    from juliapkg.state import STATE

    monkeypatch.setitem(STATE, "offline", True)
    assert "PYTHON_JULIAPKG_OFFLINE" in str(julia.can_install())


@pytest.mark.usefixtures("_no_julia")
def test_a_wrong_override_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from juliapkg.state import STATE

    monkeypatch.setitem(STATE, "override_executable", "/no/such/julia")
    assert "PYTHON_JULIAPKG_EXE=/no/such/julia" in str(julia.can_install())


@pytest.mark.usefixtures("_no_julia")
def test_installing_without_a_way_names_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(julia, "can_install", lambda: "There is no network.")
    with pytest.raises(
        EngineUnavailableError, match=r"There is no network\..*use --julia.*PYODE_BRIDGE_ENGINE=embedded"
    ):
        julia.install(lambda _: None)


def test_one_variable_without_the_other_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXE_VARIABLE, "/opt/julia/bin/julia")
    with pytest.raises(EngineUnavailableError, match="both of"):
        julia.install(lambda _: None)


def test_optional_packages_are_checked_and_left_to_the_owner_of_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineUnavailableError, match=r"Sundals is not.*Did you mean Sundials"):
        julia.install(lambda _: None, ["Sundals"])
    monkeypatch.setenv(EXE_VARIABLE, "/opt/julia/bin/julia")
    monkeypatch.setenv(PROJECT_VARIABLE, str(tmp_path))
    with pytest.raises(EngineUnavailableError, match=r'Pkg\.add\(\["Sundials"\]\)'):
        julia.install(lambda _: None, ["Sundials"])
    with pytest.raises(EngineUnavailableError, match=r'Pkg\.add\(\["StochasticDiffEq", "DiffEqNoiseProcess"\]\)'):
        julia.install(lambda _: None, ["StochasticDiffEq"])


def test_an_installation_leaves_its_times_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(julia, "_resolve", lambda say: 700.0)
    monkeypatch.setattr(julia, "_precompile", lambda say: 90.0)
    monkeypatch.setattr(julia, "resolved", lambda: ("julia", str(tmp_path)))
    julia.install(lambda text: None)
    assert remembered(str(tmp_path)) == InstallTimes(700.0, 90.0)
    monkeypatch.setattr(julia, "_resolve", lambda say: None)
    monkeypatch.setattr(julia, "_precompile", lambda say: 5.0)
    julia.install(lambda text: None)
    assert remembered(str(tmp_path)) == InstallTimes(700.0, 90.0), "it was there already"


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
def test_an_unfit_environment_is_checked_not_installed(
    fake_julia: FakeJulia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXE_VARIABLE, str(fake_julia("julia version 1.10.8")))
    monkeypatch.setenv(PROJECT_VARIABLE, str(tmp_path))
    said: list[str] = []
    with pytest.raises(EngineUnavailableError, match=r"no Project\.toml"):
        julia.install(said.append)
    assert "Nothing has to be installed" in said[0]
