"""The latent ODE examples run to their end on each engine, learn, and continue in the part that was interrupted."""

import re

import pytest

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import history, results

pytest.importorskip("matplotlib")
pytest.importorskip("statsmodels")

LIMIT = 280  # seconds for one script, on a machine that others use too
TASKS = {"fill", "one year ahead", "five years ahead"}


def run(name, output, *extra):
    ended = running.run(name, output, *extra, limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    return results(output), ended.stdout


def learnt(losses):
    """Whether the loss fell, from the mean of the first to that of the last five iterations."""
    values = [row["loss"] for row in losses]
    return sum(values[-5:]) < sum(values[:5])


@pytest.mark.slow
def test_spirals_learn_and_print_the_papers_figures_beside_their_own(tmp_path, engine):
    found, printed = run("studies/latent_ode_spirals/run", tmp_path, "--engine", engine)
    assert found["ran"]["engine"] == engine
    assert (tmp_path / "latent_ode_spirals.png").stat().st_size > 10_000
    for part in ("RNN_30_0", "RNN_with_time_gaps_100_0", "latent_ODE_30_0", "latent_ODE_100_0"):
        assert learnt(history(tmp_path / part)), part
    table = found["numbers"]["rmse"]
    for count in ("30", "100"):
        for name in ("latent ODE", "RNN", "RNN with time gaps"):
            assert f"{table[name][count]:.4f}" in printed
    assert re.search(r"latent ODE \(published\) +0\.1642 +0\.1346", printed)
    assert re.search(r"RNN \(published\) +0\.3937 +0\.1813", printed)


@pytest.mark.slow
def test_co2_learns_and_compares_with_its_baselines(tmp_path, engine):
    found, printed = run("studies/latent_ode_co2/run", tmp_path, "--engine", engine)
    assert found["ran"]["engine"] == engine
    assert (tmp_path / "latent_ode_co2.png").stat().st_size > 10_000
    for part in ("RNN_0", "RNN_with_time_gaps_0", "latent_ODE_0"):
        assert learnt(history(tmp_path / part)), part
    table = found["numbers"]["rmse_ppm"]
    assert set(table) == TASKS
    # A trend and seasons are known to describe the record to about a ppm; the wrong weeks would give several.
    assert table["fill"]["quadratic trend + seasons"] < 1.0
    assert table["one year ahead"]["quadratic trend + seasons"] < 1.5
    assert "59 were not measured" in printed


@pytest.mark.slow
def test_an_interrupted_part_continues_and_finished_ones_are_kept(tmp_path):
    few = ("--engine", "embedded", "--iterations", "8")
    whole, _ = run("studies/latent_ode_co2/run", tmp_path / "whole", *few)
    interrupt("studies/latent_ode_co2/run", tmp_path / "cut", *few)
    assert len(history(tmp_path / "cut" / "RNN_0")) == 8
    assert 2 <= len(history(tmp_path / "cut" / "RNN_with_time_gaps_0")) < 8
    resumed, _ = run("studies/latent_ode_co2/run", tmp_path / "cut", *few, "--resume")
    for part in ("RNN_with_time_gaps_0", "latent_ODE_0"):
        assert history(tmp_path / "cut" / part) == history(tmp_path / "whole" / part)
    for task in TASKS:
        assert resumed["numbers"]["rmse_ppm"][task] == pytest.approx(whole["numbers"]["rmse_ppm"][task], rel=1e-9)


def interrupt(name, output, *extra):
    """Press Ctrl-C when the second training has done some iterations."""
    second = re.compile(r"8/8 \[.*\| [2-6]/8 \[", re.DOTALL)
    interrupt_when(second.search, name, output, *extra)


def test_resume_without_a_checkpoint_says_so(tmp_path):
    assert "there is no checkpoint" in running.refusal("studies/latent_ode_co2/run", tmp_path, "--resume")
