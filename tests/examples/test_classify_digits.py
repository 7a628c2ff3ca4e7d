"""The classifiers' example runs to its end, learns, and continues where it was interrupted."""

from __future__ import annotations

import argparse
import re

import pytest

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import history, results

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

LIMIT = 240  # seconds for one run, on a machine that others use too
NAME = "studies/classify_digits/run"
CHANCE = 0.9  # error of a guess among ten digits
METHODS = {"embedded": "dopri5", "julia": "Tsit5"}


def run(output, *extra):
    return running.run(NAME, output, *extra, limit=LIMIT)


def test_quick_run_learns_and_writes_its_files(engine, tmp_path):
    ended = run(tmp_path, "--engine", engine, "--method", METHODS[engine])
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "classify_digits.png").stat().st_size > 10_000
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    models = found["numbers"]["models"]
    assert list(models) == ["MLP", "ResNet", "RK-Net", "ODE-Net"]
    for name, row in models.items():
        assert row["error"] < 2 / 3 * CHANCE, name
        assert re.search(rf"^{name} .*{row['parameters']:,}", ended.stdout, re.MULTILINE), "the printed table"
    memory = found["numbers"]["memory_mib"]
    for name in ("ResNet", "RK-Net"):
        (few, least), (many, most) = memory[name]
        assert most > 0.5 * least * many / few, f"{name}'s memory is proportional to its depth"
    (_, least), (_, most) = memory["ODE-Net"]
    assert most < 1.2 * least, "the adjoint's memory does not depend on the number of evaluations"
    backward = found["numbers"]["backward_by_sensealg"]
    assert "BacksolveAdjoint" in backward
    assert len(backward) > 1
    assert all(row["nfe"] > 0 and row["nfe_backward"] > 0 for rows in backward.values() for row in rows)
    if engine == "julia":
        by_itself, told = backward["InterpolatingAdjoint"][-1], backward["InterpolatingAdjoint, first step told"][-1]
        assert told["nfe_backward"] < by_itself["nfe_backward"], "it need not grow its steps from nearly nothing"
    for loose, tight in backward.values():
        assert tight["gradient_error"] < max(0.2, loose["gradient_error"]), "a tighter tolerance, a better gradient"
    errors = [row["error"] for row in found["numbers"]["trained_ode_net"]]
    assert errors == sorted(errors, reverse=True), "a tighter tolerance gives a smaller error"


# The ODE-Net alone, so that the first progress bar is the one to interrupt.
SHORT = ("--engine", "embedded", "--iterations", "12", "--models")


@pytest.mark.slow
def test_resumed_run_continues_as_if_never_interrupted(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(whole, *SHORT).returncode == 0
    interrupt_when(lambda seen: re.search(r"\| [3-9]/12 \[", seen), NAME, broken, *SHORT)
    assert not (broken / "results.json").exists()
    assert 3 <= len(history(broken / "ode-net-0")) < 12
    ended = run(broken, *SHORT, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert history(broken / "ode-net-0") == history(whole / "ode-net-0")
    assert results(broken)["numbers"]["error"] == pytest.approx(results(whole)["numbers"]["error"], rel=1e-9)


def test_resume_without_a_checkpoint_says_so(tmp_path):
    assert "there is no checkpoint" in running.refusal(NAME, tmp_path, "--resume")


def test_patience_ends_a_training_early_with_its_best_state(tmp_path):
    from examples.studies.classify_digits import run as classify_digits
    from examples.support import image_data

    solver = {"method": "dopri5", "engine": "embedded", "sensealg": None}
    settings = {"dataset": "digits", "quick": True, "seed": 0, "resume": False, "iterations": 5000, "patience": 2}
    split = image_data.digits(0)
    ended = classify_digits.train("MLP", split, argparse.Namespace(**settings, **solver, output=tmp_path))
    history, best = ended.training["history"], ended.training["best_iteration"]
    measured = [row["validation"] for row in history if "validation" in row]
    assert len(history) < 5000
    assert history[best - 1]["validation"] == min(measured)
    assert measured.index(min(measured)) == len(measured) - 3
    inner = image_data.without_validation(split, 0)
    assert classify_digits.test_loss(ended.model, inner) == pytest.approx(min(measured), rel=1e-6)
    assert ended.error < 0.1
