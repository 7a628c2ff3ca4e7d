"""What stands in several files agrees: bounds, identities, versions."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import tomlkit
import yaml

import pyode_bridge
from pyode_bridge.install.environment import requirements_file

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"juliacall": "pyjuliacall", "juliapkg": "pyjuliapkg", "torch": "pytorch"}


def read(name: str) -> dict[str, Any]:
    return tomlkit.parse((ROOT / name).read_text()).unwrap()


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_juliapkg_asks_for_what_the_julia_package_is_made_for() -> None:
    script = runpy.run_path(str(ROOT / "julia" / "make_juliapkg.py"))
    assert requirements_file().read_text(encoding="utf-8") == script["text"](), "run python julia/make_juliapkg.py"


def test_every_package_that_julia_needs_has_bounds() -> None:
    project = read("julia/Project.toml")
    assert set(project["compat"]) == {*project["deps"], *project["weakdeps"], "julia"}


def test_the_checkouts_environment_holds_the_julia_package() -> None:
    package, root = read("julia/Project.toml"), read("Project.toml")
    assert root["deps"] == {package["name"]: package["uuid"]}
    assert root["sources"][package["name"]]["path"] == "julia"


def test_versions_agree() -> None:
    repeated = {
        "julia/Project.toml": read("julia/Project.toml")["version"],
        "CITATION.cff": read_yaml("CITATION.cff")["version"],
        "recipe/recipe.yaml": read_yaml("recipe/recipe.yaml")["context"]["version"],
    }
    assert repeated == dict.fromkeys(repeated, pyode_bridge.__version__)


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    project, recipe = read("pyproject.toml")["project"], read_yaml("recipe/recipe.yaml")
    python, *rest = recipe["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert project["requires-python"] == f">={recipe['context']['python_min']}"
    needed = dict(map(name_and_bounds, project["dependencies"]))
    assert {CONDA_NAMES.get(name, name): bounds for name, bounds in needed.items()} == dict(map(name_and_bounds, rest))


def test_the_dockerfile_is_that_of_the_page() -> None:
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"```dockerfile\n{recipe}```" in (ROOT / "docs" / "julia.md").read_text(encoding="utf-8")


def name_and_bounds(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([\w.-]+) ?(\S+)", requirement).groups()
    return name, ",".join(sorted(bounds.split(",")))
