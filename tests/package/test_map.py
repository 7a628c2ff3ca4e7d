"""The map of the house, for who comes to change it: what it names is there, and each room is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON, JULIA = ROOT / "pyode_bridge", ROOT / "julia" / "src"
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "docs/design.md")}
PATH = re.compile(r"`([\w./-]+(?:/|\.(?:py|jl|md|sh)))`")


def paths(text: str) -> list[str]:
    return sorted({path for path in PATH.findall(text) if not path.startswith("examples/figures")})


@pytest.mark.parametrize("path", paths("".join(PAGES.values())))
def test_what_the_map_names_is_there(path: str) -> None:
    assert any((place / path).exists() for place in (ROOT, PYTHON, JULIA))


@pytest.mark.parametrize("folder", [PYTHON, PYTHON / "compiled", JULIA], ids=["Python", "the compiled lane", "Julia"])
def test_each_room_is_on_the_map(folder: Path) -> None:
    above = "compiled/" if folder.name == "compiled" else ""
    rooms = {f"{above}{room}/" for room in rooms_of(folder)}
    assert rooms
    assert rooms <= set(paths(PAGES["docs/design.md"]))


def test_the_tests_mirror_the_rooms() -> None:
    assert set(rooms_of(PYTHON)) <= set(rooms_of(ROOT / "tests"))


def rooms_of(folder: Path) -> list[str]:
    return [room.name for room in folder.iterdir() if room.is_dir() and room.name != "__pycache__"]
