"""What one of the README's commands leaves behind in a checkout does not stop another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("docs", "examples", "pyode_bridge", "tests")
LEFTOVERS = ("build", "dist", "results", "site", "examples/results")  # folders that git ignores


@pytest.mark.parametrize("leftovers", [(), LEFTOVERS], ids=["fresh", "used"])
def test_the_order_of_imports_does_not_depend_on_what_runs_leave_behind(
    tmp_path: Path, leftovers: tuple[str, ...]
) -> None:
    pytest.importorskip("ruff", reason="ruff, which sorts the imports, is not installed")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=lambda _, names: _not_code(names))
    for folder in leftovers:
        (tmp_path / folder).mkdir()
    command = [sys.executable, "-m", "ruff", "check", "--select", "I", "--no-cache", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def _not_code(names: list[str]) -> list[str]:
    """Files that hold no Python, and leftovers of this checkout."""
    return [name for name in names if (Path(name).suffix and Path(name).suffix != ".py") or name in LEFTOVERS]
