"""What stands in several files agrees: bounds, identities, versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomlkit

import pyode_bridge
from pyode_bridge.install.environment import requirements_file

ROOT = Path(__file__).parents[2]
STANDARD_LIBRARIES = {"LinearAlgebra", "Logging", "SparseArrays", "TOML"}


def read(name: str) -> dict[str, Any]:
    return tomlkit.parse((ROOT / name).read_text()).unwrap()


def test_juliapkg_asks_for_what_the_julia_package_is_made_for() -> None:
    project, asked = read("julia/Project.toml"), json.loads(requirements_file().read_text())
    bounds = project["compat"]
    expected = {
        name: {"uuid": uuid, "version": bounds[name]}
        for name, uuid in project["deps"].items()
        if name not in STANDARD_LIBRARIES
    }
    assert asked["packages"] == expected
    assert asked["julia"] == bounds["julia"]


def test_the_checkouts_environment_holds_the_julia_package() -> None:
    package, root = read("julia/Project.toml"), read("Project.toml")
    assert root["deps"] == {package["name"]: package["uuid"]}
    assert root["sources"][package["name"]]["path"] == "julia"


def test_versions_agree() -> None:
    versions = {read("julia/Project.toml")["version"], read("pyproject.toml")["project"]["version"]}
    assert versions == {pyode_bridge.__version__}
