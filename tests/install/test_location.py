"""Which Julia is used: environment variables, then the user's configuration, then juliapkg."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyode_bridge.install import location
from pyode_bridge.install.location import JuliaLocation, as_environment, locate, read_configuration, write_configuration


def test_juliapkg_decides_where_nothing_else_does() -> None:
    found = locate()
    assert (found.exe, found.project) == (None, None)
    assert "juliapkg" in found.rule


def test_the_configuration_is_remembered_and_environment_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_configuration("/a/julia", "/a/project")
    assert read_configuration() == ("/a/julia", "/a/project")
    assert locate() == JuliaLocation("/a/julia", "/a/project", f"the configuration file {file}")
    monkeypatch.setenv(location.EXE_VARIABLE, "/b/julia")
    monkeypatch.setenv(location.PROJECT_VARIABLE, "/b/project")
    assert (locate().exe, locate().project) == ("/b/julia", "/b/project")


def test_settings_of_juliapkg_put_the_configuration_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    write_configuration("/a/julia", "/a/project")
    monkeypatch.setenv("PYTHON_JULIAPKG_OFFLINE", "yes")
    assert locate().exe is None


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"exe": "/a/julia"}'])
def test_a_configuration_that_cannot_be_read_counts_as_none(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "julia.json"
    file.write_text(text)
    monkeypatch.setenv(location.CONFIG_VARIABLE, str(file))
    assert location.configuration_file() == file
    assert read_configuration() is None


def test_a_location_becomes_juliacalls_variables() -> None:
    assert as_environment(JuliaLocation("/a/julia", "/a/project", "")) == {
        "PYTHON_JULIACALL_EXE": "/a/julia",
        "PYTHON_JULIACALL_PROJECT": "/a/project",
    }
    assert as_environment(JuliaLocation(None, None, "")) == {}
