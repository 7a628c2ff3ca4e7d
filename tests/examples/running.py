"""Running an example as a user does, and reading what it wrote."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
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


def refusal(name: str, output: Path, *extra: str) -> str:
    """What an example says that ends before it has begun: it runs in this process, which has torch at hand."""
    argv, dtype = command(name, output, *extra)[1:], torch.get_default_dtype()
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "path", list(sys.path)),
        pytest.raises(SystemExit) as ended,
    ):
        runpy.run_path(argv[0], run_name="__main__")
    torch.set_default_dtype(dtype)  # some set another first
    assert isinstance(ended.value.code, str), "Python shows it, and ends with 1"
    return ended.value.code


def results(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    return found


def history(folder: Path) -> list[dict[str, float]]:
    """What each iteration of a training returned, from its checkpoint."""
    rows: list[dict[str, float]] = torch.load(folder / "checkpoint.pt", weights_only=True)["history"]
    return rows


def has_figures(output: Path, *names: str) -> bool:
    return all((output / f"{name}.{kind}").stat().st_size > 10_000 for name in names for kind in ("png", "svg"))
