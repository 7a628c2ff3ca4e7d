"""Which of several answers to "which Julia?" wins, down to the odd configuration files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyode_bridge.install.location import (
    CONFIG_VARIABLE,
    EXE_VARIABLE,
    PROJECT_VARIABLE,
    configuration_file,
    locate,
    read_configuration,
    write_configuration,
)


@pytest.mark.parametrize(("name", "found"), [(EXE_VARIABLE, ("/b", None)), (PROJECT_VARIABLE, (None, "/b"))])
def test_one_variable_alone_wins_too_and_is_not_completed_from_the_configuration(
    name: str, found: tuple[str | None, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_configuration("/a/julia", "/a/project")
    monkeypatch.setenv(name, "/b")
    assert (locate().exe, locate().project) == found
    assert EXE_VARIABLE in locate().rule


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    write_configuration("/a/julia", "/a/project")
    monkeypatch.setenv(EXE_VARIABLE, "")
    monkeypatch.setenv(PROJECT_VARIABLE, "")
    assert locate().exe == "/a/julia"


def test_juliacalls_variables_win_over_juliapkgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_JULIAPKG_PROJECT", "/c")
    monkeypatch.setenv(EXE_VARIABLE, "/b/julia")
    monkeypatch.setenv(PROJECT_VARIABLE, "/b/project")
    assert (locate().exe, locate().project) == ("/b/julia", "/b/project")


@pytest.mark.parametrize("name", ["PYTHON_JULIAPKG_EXE", "PYTHON_JULIAPKG_PROJECT", "PYTHON_JULIAPKG_OFFLINE"])
def test_every_setting_of_juliapkg_puts_the_configuration_aside(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_configuration("/a/julia", "/a/project")
    monkeypatch.setenv(name, "no")
    assert (locate().exe, locate().project) == (None, None)
    assert "juliapkg" in locate().rule


def test_the_configuration_lies_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = configuration_file()
    file = tmp_path / "some" / "where.json"
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert write_configuration("/a/julia", "/a/project") == file
    assert json.loads(file.read_text()) == {"exe": "/a/julia", "project": "/a/project"}
    assert not usual.exists()
    assert str(file) in locate().rule
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    assert configuration_file() == usual


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps configurations in APPDATA")
def test_the_configuration_lies_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert configuration_file() == tmp_path / "config" / "pyode_bridge" / "julia.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert configuration_file() == tmp_path / "home" / ".config" / "pyode_bridge" / "julia.json"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"3", b'"text"', b"null", b'{"exe": "/a/julia"}', None], ids=repr)
def test_an_unreadable_configuration_leaves_the_choice_to_juliapkg(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "julia.json"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert read_configuration() is None
    assert (locate().exe, locate().project) == (None, None)


@pytest.mark.parametrize("values", [{"exe": None, "project": None}, {"exe": ["a"], "project": 3}], ids=repr)
def test_a_configuration_whose_values_are_no_paths_counts_as_none(
    values: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "julia.json"
    file.write_text(json.dumps(values))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert read_configuration() is None
