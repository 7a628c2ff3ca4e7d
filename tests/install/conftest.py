"""A home of its own for each test, and fake Julias."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from pyode_bridge.install.environment import PYTHONCALL_UUID, required_packages

FakeJulia = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTHON_JULIACALL_", "PYTHON_JULIAPKG_", "PYODE_BRIDGE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def fake_julia(tmp_path: Path) -> FakeJulia:
    """Makes an executable that answers ``--version`` with the text given."""

    def make(answer: str) -> Path:
        exe = tmp_path / "bin" / "julia"
        exe.parent.mkdir(exist_ok=True)
        exe.write_text(f"#!/bin/sh\necho '{answer}'\n")
        exe.chmod(0o755)
        return exe

    return make


@pytest.fixture
def ready_project(tmp_path: Path) -> Path:
    """A Julia environment whose Manifest lists everything that is needed."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "Project.toml").write_text("[deps]\n")
    packages = {name: entry["uuid"] for name, entry in required_packages().items()}
    lines = ['julia_version = "1.10.8"', 'manifest_format = "2.0"']
    for name, uuid in {**packages, "PythonCall": PYTHONCALL_UUID}.items():
        version = metadata.version("juliacall") if name == "PythonCall" else "1.0.0"
        lines += [f"[[deps.{name}]]", f"uuid = {json.dumps(uuid)}", f"version = {json.dumps(version)}"]
    (project / "Manifest.toml").write_text("\n".join(lines) + "\n")
    return project
