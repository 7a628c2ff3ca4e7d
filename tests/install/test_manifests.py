"""Executables that only look like Julia, and environments in all the shapes that Julia allows."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pytest

from pyode_bridge.install import environment
from pyode_bridge.install.environment import Package, examine, julia_version, manifest_file, read_manifest
from tests.install.conftest import FakeJulia

UUID = "7876af07-990d-54b4-ab0e-23690620f79a"
posix = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")


@posix
@pytest.mark.parametrize(
    ("script", "mode"),
    [
        ("#!/bin/sh\necho julia version 1.10.8; exit 3\n", 0o755),
        ("#!/bin/sh\necho 'This is julia version 1.10.8'\n", 0o755),
        ("#!/bin/sh\nprintf '\\377\\376'\n", 0o755),
        ("#!/no/such/interpreter\n", 0o755),
        ("#!/bin/sh\necho julia version 1.10.8\n", 0o644),
        ("", 0o755),
    ],
    ids=["fails", "says more", "no text", "no interpreter", "not executable", "empty"],
)
def test_what_does_not_answer_as_julia_has_no_version(script: str, mode: int, tmp_path: Path) -> None:
    exe = tmp_path / "julia"
    exe.write_text(script)
    exe.chmod(mode)
    assert julia_version(str(exe)) is None


def test_a_folder_and_an_empty_name_are_no_julia(tmp_path: Path) -> None:
    assert julia_version(str(tmp_path)) is None
    assert julia_version("") is None


@posix
def test_an_executable_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exe = tmp_path / "julia"
    exe.write_text("#!/bin/sh\nexec sleep 60\n")
    exe.chmod(0o755)
    monkeypatch.setattr(environment, "VERSION_TIMEOUT", 0.1)
    assert julia_version(str(exe)) is None


@posix
def test_a_release_candidate_and_a_name_on_the_path_are_understood(
    fake_julia: FakeJulia, monkeypatch: pytest.MonkeyPatch
) -> None:
    exe = fake_julia("julia version 1.12.0-rc1")
    monkeypatch.setenv("PATH", str(exe.parent))
    assert julia_version("julia") == (1, 12, 0)


def test_manifests_are_preferred_in_julias_order(tmp_path: Path) -> None:
    names = ["JuliaManifest-v1.10.toml", "Manifest-v1.10.toml", "JuliaManifest.toml", "Manifest.toml"]
    for name in reversed(names):
        (tmp_path / name).write_text("")
        assert manifest_file(tmp_path, (1, 10, 8)) == tmp_path / name
    assert manifest_file(tmp_path, (1, 11, 0)) == tmp_path / "JuliaManifest.toml"
    assert manifest_file(tmp_path, None) == tmp_path / "JuliaManifest.toml"


def test_a_julia_that_knows_no_versioned_manifests_reads_the_plain_one(tmp_path: Path) -> None:
    for name in ("Manifest-v1.10.toml", "Manifest.toml"):
        (tmp_path / name).write_text("")
    assert manifest_file(tmp_path, (1, 10, 7)) == tmp_path / "Manifest.toml"


def test_a_manifest_gives_names_uuids_and_versions(tmp_path: Path) -> None:
    file = tmp_path / "Manifest.toml"
    file.write_text(
        'julia_version = "1.10.8"\nmanifest_format = "2.0"\nproject_hash = "ab"\n\n'
        f'[[deps.Example]]\ndeps = ["Dates"]\nuuid = "{UUID}"\nversion = "0.5.3"\n\n'
        '[[deps.Dates]]\nuuid = "ade2ca70-3891-5945-98fb-dc099432e06a"\n'
    )
    assert read_manifest(file) == {
        "Example": Package(UUID, "0.5.3"),
        "Dates": Package("ade2ca70-3891-5945-98fb-dc099432e06a", ""),
    }


@posix
def test_julia_project_names_are_an_environment_too(fake_julia: FakeJulia, ready_project: Path) -> None:
    for name in ("Project.toml", "Manifest.toml"):
        (ready_project / name).rename(ready_project / f"Julia{name}")
    assert examine(str(fake_julia("julia version 1.10.8")), str(ready_project)).problems == ()


@posix
def test_a_project_may_be_named_by_its_file(fake_julia: FakeJulia, ready_project: Path) -> None:
    found = examine(str(fake_julia("julia version 1.10.8")), str(ready_project / "Project.toml"))
    assert found.project == str(ready_project)
    assert found.problems == ()


@posix
def test_the_versioned_manifest_is_the_one_examined(fake_julia: FakeJulia, ready_project: Path) -> None:
    (ready_project / "Manifest.toml").rename(ready_project / "Manifest-v1.10.toml")
    (ready_project / "Manifest.toml").write_text('manifest_format = "2.0"\n')
    exe = fake_julia("julia version 1.10.8")
    assert examine(str(exe), str(ready_project)).problems == ()
    exe.write_text("#!/bin/sh\necho julia version 1.11.2\n")
    assert "lacks" in examine(str(exe), str(ready_project)).problems[0]


@posix
def test_missing_packages_are_listed_in_one_command(fake_julia: FakeJulia, ready_project: Path) -> None:
    manifest = ready_project / "Manifest.toml"
    text = manifest.read_text()
    for name in ("SciMLBase", "OrdinaryDiffEqTsit5"):
        text = text.replace(f"[[deps.{name}]]", f"[[deps.No{name}]]")
    manifest.write_text(text)
    exe = fake_julia("julia version 1.10.8")
    (problem,) = examine(str(exe), str(ready_project)).problems
    assert "lacks 2 of the packages needed" in problem
    assert f"`{exe} --project={ready_project} -e 'using Pkg; Pkg.add([" in problem
    added = problem.partition("Pkg.add([")[2].partition("])")[0]
    assert set(added.split(", ")) == {'"SciMLBase"', '"OrdinaryDiffEqTsit5"'}


@posix
def test_a_package_of_the_same_name_with_another_uuid_is_not_it(fake_julia: FakeJulia, ready_project: Path) -> None:
    manifest = ready_project / "Manifest.toml"
    wanted = environment.required_packages()["SciMLBase"]["uuid"]
    manifest.write_text(manifest.read_text().replace(wanted, UUID))
    (problem,) = examine(str(fake_julia("julia version 1.10.8")), str(ready_project)).problems
    assert 'Pkg.add(["SciMLBase"])' in problem


@posix
def test_another_version_of_pythoncall_is_named_with_the_command_for_the_right_one(
    fake_julia: FakeJulia, ready_project: Path
) -> None:
    expected = metadata.version("juliacall")
    manifest = ready_project / "Manifest.toml"
    manifest.write_text(manifest.read_text().replace(f'version = "{expected}"', 'version = "0.1.2"'))
    exe = fake_julia("julia version 1.10.8")
    (problem,) = examine(str(exe), str(ready_project)).problems
    assert f"has PythonCall 0.1.2, but juliacall {expected} needs exactly PythonCall {expected}" in problem
    command = f"""using Pkg; Pkg.add(name="PythonCall", version="{expected}")"""
    assert f"`{exe} --project={ready_project} -e '{command}'`" in problem


def test_a_wrong_executable_and_a_lacking_environment_are_both_told(tmp_path: Path) -> None:
    found = examine("/no/such/julia", str(tmp_path / "nowhere"))
    assert found.version is None
    assert len(found.problems) == 2
    assert "/no/such/julia" in found.problems[0]
    assert "no Project.toml" in found.problems[1]
    assert found.lacks == found.problems[1:]


def test_a_manifest_that_is_no_text_is_told(ready_project: Path) -> None:
    (ready_project / "Manifest.toml").write_bytes(b"\xff\xfe")
    (lack,) = examine("/no/such/julia", str(ready_project)).lacks
    assert "cannot be read" in lack


@pytest.mark.parametrize(
    "text",
    [
        'manifest_format = "2.0"\ndeps = []\n',
        'Example = ["0.5.3"]\n',
        f'manifest_format = "2.0"\n[[deps.Example]]\nuuid = "{UUID}"\nuuid = "{UUID}"\n',
    ],
    ids=["deps a list", "an entry no table", "a key twice"],
)
def test_a_manifest_of_another_shape_is_a_problem_not_a_crash(text: str, ready_project: Path) -> None:
    (ready_project / "Manifest.toml").write_text(text)
    assert examine("/no/such/julia", str(ready_project)).lacks
