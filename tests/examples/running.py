"""Running an example as a user does, and reading what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]


def command(name: str, output: Path, *extra: str) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--quick", "--output", str(output), *extra]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def run(name: str, output: Path, *extra: str, limit: float) -> subprocess.CompletedProcess[str]:
    """Run it for ``limit`` seconds at most."""
    return subprocess.run(
        command(name, output, *extra), env=environment(), capture_output=True, text=True, timeout=limit
    )


def results(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    return found


def history(folder: Path) -> list[dict[str, float]]:
    """What each iteration of a training returned, from its checkpoint."""
    rows: list[dict[str, float]] = torch.load(folder / "checkpoint.pt", weights_only=True)["history"]
    return rows


def has_figures(output: Path, *names: str) -> bool:
    return all((output / f"{name}.{kind}").stat().st_size > 10_000 for name in names for kind in ("png", "svg"))
