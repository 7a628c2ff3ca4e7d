"""The distributed example agrees with one process, learns, and all its processes end together on Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.examples.interruption import interrupt_when

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
LIMIT = 280  # seconds for one run, on a machine that others use too
GLOO = torch.distributed.is_available() and torch.distributed.is_gloo_available()
pytestmark = [pytest.mark.skipif(not GLOO, reason="torch has no gloo"), pytest.mark.timeout(2 * LIMIT)]
UNLEARNT = 1.0  # RMSE of motions whose amplitude is about 1.5, if the learnt ones were elsewhere on their orbits
METHODS = {"embedded": "dopri5", "julia": "Tsit5"}


def command(output: Path, engine: str, *extra: str) -> list[str]:
    script = str(ROOT / "examples" / "distributed.py")
    settings = ("--quick", "--engine", engine, "--method", METHODS[engine], "--output", str(output))
    return [sys.executable, script, *settings, *extra]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def run(output: Path, engine: str, *extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(output, engine, *extra), env=environment(), capture_output=True, text=True, timeout=LIMIT
    )


def results(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    return found


def history(output: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = torch.load(output / "checkpoint.pt", weights_only=True)["history"]
    return rows


def test_two_processes_agree_with_one_learn_and_continue_after_ctrl_c(engine: str, tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    done, extra = None, ()
    if engine == "embedded":  # once is enough: what follows Ctrl-C does not depend on the engine
        # The pipe that is read to its end is every process's: none is left behind.
        interrupt_when(lambda seen: re.search(r"\| [3-9]/40 \[", seen), command(tmp_path, engine), environment())
        assert not (tmp_path / "results.json").exists()
        rows = history(tmp_path)
        done, extra = len(rows), ("--resume",)
        assert 3 <= done < 40
    ended = run(tmp_path, engine, *extra)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "distributed.png").stat().st_size > 10_000
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    assert (found["training"]["resumed_from"], found["training"]["iteration"]) == (done, 40)
    assert history(tmp_path)[: len(rows)] == rows
    assert found["settings"]["processes"] == 2
    assert found["numbers"]["gradients_differ_by"]["tight"] < 1e-6
    assert found["numbers"]["gradients_differ_by"]["in training"] < 1e-2
    assert found["numbers"]["replicas_differ_by"] == 0
    assert found["numbers"]["error"] < UNLEARNT / 2
    assert "Averaged gradient against one process's: relative difference" in ended.stdout


@pytest.mark.slow
def test_resume_without_a_checkpoint_is_said_once(tmp_path: Path) -> None:
    ended = run(tmp_path, "embedded", "--resume")
    assert ended.returncode == 1
    assert ended.stderr.count("there is no checkpoint") == 1
