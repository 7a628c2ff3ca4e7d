"""The system image of an environment: when it serves, and when it is passed over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyode_bridge.engines.julia import session
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install import image
from pyode_bridge.install.image import (
    PACKAGES,
    PLAIN,
    START_VARIABLE,
    SYSIMAGE_VARIABLE,
    image_file,
    image_for,
    remember_image,
)
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE
from tests.install.conftest import FakeJulia

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
Change = Callable[[Path, Path], None]


@pytest.fixture
def julia(fake_julia: FakeJulia, ready_project: Path) -> tuple[str, str]:
    """An executable and an environment of which an image was made."""
    exe, project = str(fake_julia("julia version 1.11.9")), str(ready_project)
    image_file(project).write_bytes(b"an image")
    remember_image(exe, project)
    return exe, project


def test_an_image_is_current_while_nothing_changes(julia: tuple[str, str]) -> None:
    found = image_for(*julia)
    assert found is not None
    assert (found.file, found.changed) == (image_file(julia[1]), "")


def _update_a_package(_: Path, project: Path) -> None:
    manifest = project / "Manifest.toml"
    manifest.write_text(manifest.read_text().replace('"1.0.0"', '"1.0.1"', 1))


def _set_a_preference(_: Path, project: Path) -> None:
    (project / "LocalPreferences.toml").write_text("[Zygote]\nprecompile_workload = false\n")


def _install_another_julia(exe: Path, _: Path) -> None:
    exe.write_text("#!/bin/sh\necho 'julia version 1.12.6 '\n")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (_update_a_package, "the environment"),
        (_set_a_preference, "the environment"),
        (_install_another_julia, "Julia"),
    ],
)
def test_what_has_changed_since_is_named(julia: tuple[str, str], change: Change, part: str) -> None:
    change(Path(julia[0]), Path(julia[1]))
    found = image_for(*julia)
    assert found is not None
    assert found.changed == part


def test_so_is_a_change_of_the_package_itself(
    julia: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "src").mkdir(parents=True)
    (package / "Project.toml").write_text("")
    (package / "src" / "PyODEBridge.jl").write_text("module PyODEBridge end\n")
    monkeypatch.setattr(image, "package_directory", lambda: package)
    remember_image(*julia)
    assert image_for(*julia) == image.Image(image_file(julia[1]), "")
    (package / "src" / "more.jl").write_text("")
    assert image_for(*julia) == image.Image(image_file(julia[1]), "PyODEBridge")


def test_there_is_none_without_its_file_or_record_or_where_it_is_not_wanted(
    julia: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in (PACKAGES, PLAIN):
        monkeypatch.setenv(START_VARIABLE, start)
        assert image_for(*julia) is None
    monkeypatch.setenv(START_VARIABLE, "no")
    with pytest.raises(EngineUnavailableError, match=r"'image' \(the default\), 'packages' or 'plain'"):
        image_for(*julia)
    monkeypatch.delenv(START_VARIABLE)
    record = image_file(julia[1]).with_suffix(".json")
    kept = record.read_text()
    record.write_text("{")
    assert image_for(*julia) is None
    record.write_text(kept)
    image_file(julia[1]).unlink()
    assert image_for(*julia) is None


def test_a_session_starts_from_a_current_image_and_passes_over_another(
    julia: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(EXE_VARIABLE, julia[0])
    monkeypatch.setenv(PROJECT_VARIABLE, julia[1])
    monkeypatch.delenv(SYSIMAGE_VARIABLE, raising=False)
    session._use_image()
    assert os.environ.pop(SYSIMAGE_VARIABLE) == str(image_file(julia[1]))
    assert capsys.readouterr().err == ""
    _update_a_package(Path(julia[0]), Path(julia[1]))
    session._use_image()
    assert SYSIMAGE_VARIABLE not in os.environ
    assert "the environment changed since it was made" in capsys.readouterr().err


def test_an_image_that_the_user_names_stays(julia: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXE_VARIABLE, julia[0])
    monkeypatch.setenv(PROJECT_VARIABLE, julia[1])
    monkeypatch.setenv(SYSIMAGE_VARIABLE, "/mine.so")
    session._use_image()
    assert os.environ[SYSIMAGE_VARIABLE] == "/mine.so"
