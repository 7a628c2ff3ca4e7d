"""What a Julia executable and environment hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyode_bridge.install.environment import examine, julia_version, manifest_file, read_manifest, version_text
from tests.install.conftest import FakeJulia

VERSION_1 = '[[Example]]\nuuid = "7876af07-990d-54b4-ab0e-23690620f79a"\nversion = "0.5.3"\n'
VERSION_2 = 'manifest_format = "2.0"\n\n' + VERSION_1.replace("[[Example]]", "[[deps.Example]]")


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
def test_the_version_is_what_the_executable_says(fake_julia: FakeJulia) -> None:
    version = julia_version(str(fake_julia("julia version 1.10.8")))
    assert version == (1, 10, 8)
    assert version_text(version) == "1.10.8"
    assert julia_version(str(fake_julia("Python 3.11.7"))) is None
    assert julia_version("/no/such/julia") is None
    assert version_text(None) == "unknown"


@pytest.mark.parametrize("text", [VERSION_1, VERSION_2], ids=["format 1", "format 2"])
def test_manifests_of_both_formats_are_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "Manifest.toml"
    file.write_text(text)
    assert read_manifest(file)["Example"].version == "0.5.3"


def test_the_manifest_of_the_running_julia_is_preferred(tmp_path: Path) -> None:
    for name in ("Manifest.toml", "Manifest-v1.10.toml", "Manifest-v1.11.toml"):
        (tmp_path / name).write_text(VERSION_2)
    found = [manifest_file(tmp_path, version) for version in ((1, 10, 8), (1, 12, 0), None)]
    assert [path.name for path in found if path] == ["Manifest-v1.10.toml", "Manifest.toml", "Manifest.toml"]
    assert manifest_file(tmp_path / "Project.toml", None) is None


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
def test_a_complete_environment_has_no_problems(fake_julia: FakeJulia, ready_project: Path) -> None:
    found = examine(str(fake_julia("julia version 1.10.8")), str(ready_project))
    assert found.problems == ()
    assert found.version == (1, 10, 8)


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / "Manifest.toml").unlink(), r"no Manifest\.toml.*Pkg\.instantiate\(\)"),
        (lambda p: (p / "Project.toml").unlink(), r"no Project\.toml"),
        (lambda p: (p / "Manifest.toml").write_text("[[["), "cannot be read"),
        (lambda p: (p / "Manifest.toml").write_text(VERSION_2), r"lacks \d+ of the packages.*Pkg\.add"),
        (
            lambda p: (p / "Manifest.toml").write_text(
                (p / "Manifest.toml").read_text().replace("[[deps.PythonCall]]", "[[deps.Other]]")
            ),
            "lacks PythonCall, but juliacall .* needs exactly",
        ),
    ],
    ids=["never resolved", "no environment", "broken", "packages missing", "no PythonCall"],
)
def test_what_is_wrong_is_said_with_the_remedy(
    spoil: object, message: str, fake_julia: FakeJulia, ready_project: Path
) -> None:
    import re

    spoil(ready_project)  # type: ignore[operator]
    problems = examine(str(fake_julia("julia version 1.10.8")), str(ready_project)).problems
    assert any(re.search(message, problem) for problem in problems), problems


def test_an_executable_that_does_not_run_is_a_problem(ready_project: Path) -> None:
    found = examine("/no/such/julia", str(ready_project))
    assert found.lacks == ()
    assert "not a Julia executable" in found.problems[0]
