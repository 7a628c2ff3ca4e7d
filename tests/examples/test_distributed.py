"""The distributed example agrees with one process, learns, and all its processes end together on Ctrl-C."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import history, results

pytest.importorskip("matplotlib")
LIMIT = 280  # seconds for one run, on a machine that others use too
GLOO = torch.distributed.is_available() and torch.distributed.is_gloo_available()
pytestmark = [pytest.mark.skipif(not GLOO, reason="torch has no gloo"), pytest.mark.timeout(2 * LIMIT)]
UNLEARNT = 1.0  # RMSE of motions whose amplitude is about 1.5, if the learnt ones were elsewhere on their orbits
METHODS = {"embedded": "dopri5", "julia": "Tsit5"}


def settings(engine: str) -> tuple[str, ...]:
    return "--engine", engine, "--method", METHODS[engine]


def run(output: Path, engine: str, *extra: str) -> subprocess.CompletedProcess[str]:
    return running.run("studies/distributed", output, *settings(engine), *extra, limit=LIMIT)


@pytest.mark.slow
def test_two_processes_agree_with_one_learn_and_continue_after_ctrl_c(engine: str, tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    done, extra = None, ()
    if engine == "embedded":  # once is enough: what follows Ctrl-C does not depend on the engine
        # The pipe that is read to its end is every process's: none is left behind.
        third = re.compile(r"\| [3-9]/40 \[")
        interrupt_when(third.search, "studies/distributed", tmp_path, *settings(engine))
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
