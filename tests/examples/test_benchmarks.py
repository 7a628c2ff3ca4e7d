"""The benchmarks run to their end and compare like with like; how fast anything is, they are asked elsewhere."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import has_figures, results

pytest.importorskip("matplotlib")

LIMIT = 280  # seconds for one run, on a machine that others use too
NAME = "benchmarks/run"

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are Linux's")


def rows(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = results(output)["numbers"]["rows"]
    return found


def test_contestants_solve_the_same_problems(tmp_path: Path) -> None:
    contestants = ("embedded", "torchdiffeq", "torchdiffeq adjoint", "SciPy")
    cases = ("Lotka-Volterra", "MLP")
    ended = running.run(
        NAME, tmp_path, "--engine", "embedded", "--cases", *cases, "--contestants", *contestants, limit=LIMIT
    )
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "benchmarks")
    done = {(row["case"], row["contestant"]): row for row in rows(tmp_path) if row["seconds"] is not None}
    network = "MLP 64, batch 1"
    assert {name for case, name in done if case == network} == {"embedded", "torchdiffeq", "SciPy"}
    assert {name for case, name in done if case == f"{network}, training"} == set(contestants) - {"SciPy"}
    assert ("Lotka-Volterra, ensemble of 100", "torchdiffeq") in done
    for (case, _), row in done.items():
        assert row["error"] < 1e-3, case
        assert row["seconds"] == statistics.median(row["samples"]) > 0
        assert 0 < row["load"] <= 1.05, "on one core"
    assert all(row["reason"] for row in rows(tmp_path) if row["seconds"] is None)
    assert "it has no gradients" in ended.stdout


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.timeout(920)
def test_lanes_beside_handwritten_julia(tmp_path: Path) -> None:
    contestants = ("compiled", "callback", "batched", "packs", "handwritten")
    asked = ("--engine", "julia", "--contestants", *contestants)
    ended = running.run(NAME, tmp_path, *asked, limit=900)
    assert ended.returncode == 0, ended.stderr
    found = rows(tmp_path)
    problems = ("Lotka-Volterra", "Lorenz", "ROBER", "HIRES", "Brusselator-16", "spiral", "MLP 64, batch 1")
    for case in problems:
        errors = {row["contestant"]: row["error"] for row in found if row["case"] == case and not row["reason"]}
        assert set(errors) == {"compiled", "callback", "handwritten"}, case
        assert max(errors.values()) < 1e-3, case
        assert max(errors.values()) < 10 * min(errors.values()), "the same solver and tolerances"
    ensemble = [row for row in found if "ensemble" in row["case"] and not row["reason"]]
    assert {row["contestant"] for row in ensemble} == {"compiled", "batched", "packs", "handwritten"}
    assert all(row["error"] < 1e-3 for row in ensemble)
    names = list(results(tmp_path)["numbers"]["targets"])
    for name in ("Lotka-Volterra", "Lorenz", "ROBER"):
        assert f"{name}: bridge, us a call" in names
    assert all(name in ended.stdout for name in results(tmp_path)["numbers"]["targets"])


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.timeout(920)
def test_training_beside_the_gradients_of_sciml(tmp_path: Path) -> None:
    contestants = ("compiled", "handwritten", "SciML with Zygote")
    asked = ("--engine", "julia", "--cases", "training", "--contestants", *contestants)
    ended = running.run(NAME, tmp_path, *asked, limit=900)
    assert ended.returncode == 0, ended.stderr
    for case in ("spiral, training", "spiral, mini-batch, training", "MLP 64, batch 1, training"):
        errors = {row["contestant"]: row["error"] for row in rows(tmp_path) if row["case"] == case and row["seconds"]}
        assert set(errors) == set(contestants), case
        assert max(errors.values()) < 3e-3, case
        assert max(errors.values()) < 3 * min(errors.values()), "the same adjoint and tolerances"


def test_steps_are_replayed_beside_others(tmp_path: Path) -> None:
    pytest.importorskip("gradsolve")
    contestants = ("gradsolve", "gradsolve replay")
    asked = ("--engine", "embedded", "--cases", "spiral", "MLP", "--contestants", *contestants)
    ended = running.run(NAME, tmp_path, *asked, limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    found = {(row["case"], row["contestant"]): row for row in rows(tmp_path) if row["seconds"] is not None}
    cases = {"spiral, training", "spiral, mini-batch, training", "MLP 64, batch 1, training"}
    assert set(found) == {(case, name) for case in cases for name in contestants}
    for case in cases:
        recorded, replayed = (found[case, name]["error"] for name in contestants)
        assert recorded < 3e-3, case
        assert replayed == pytest.approx(recorded, rel=1e-2), "the same steps"


def test_systems_in_diffsl_are_those_in_torch(tmp_path: Path) -> None:
    pytest.importorskip("pydiffsol")
    ended = running.run(NAME, tmp_path, "--engine", "embedded", "--contestants", "pydiffsol", limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    done = {row["case"]: row for row in rows(tmp_path) if row["seconds"] is not None}
    stiff, others = {"ROBER", "HIRES", "Brusselator-16"}, {"Lotka-Volterra", "Lorenz", "spiral", "MLP 64, batch 1"}
    assert set(done) == stiff | others
    for case, row in done.items():
        assert row["method"] == ("bdf" if case in stiff else "tsit45")
        assert row["error"] < 1e-3, case
    refused = {row["case"]: row["reason"] for row in rows(tmp_path) if row["seconds"] is None}
    assert "a sixth of a gradient" in refused["spiral, training"]
    assert "one trajectory" in refused["Lotka-Volterra, ensemble of 100"]


def test_what_is_too_large_to_write_out_is_refused() -> None:
    import torch

    from examples.benchmarks.speed.diffsl import mlp
    from examples.benchmarks.speed.entry import SkipError
    from examples.benchmarks.speed.networks import Network, case

    def code(width: int, batch: int) -> str:
        t = torch.tensor([0.0, 1.0], dtype=torch.float64)
        return mlp(case("MLP", "forward", Network(width, width, cubed=False), torch.zeros(batch, width), t))

    assert code(4, 1).count("(3, ") == 8, "the last rows of two matrices of 4 by 4"
    for width, batch, reason in ((4, 2, "sample by sample"), (512, 1, "minutes to compile")):
        with pytest.raises(SkipError, match=reason):
            code(width, batch)


@pytest.mark.julia
@pytest.mark.timeout(620)
def test_kinds_of_equations_are_those_by_hand(tmp_path: Path) -> None:
    ended = running.run("benchmarks/kinds/run", tmp_path, "--engine", "julia", limit=600)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "kinds")
    found = rows(tmp_path)
    some = {"Henon-Heiles", "driven spin", "Robertson's residual, DFBDF", "bouncing ball, 100 bounces"}
    assert {row["problem"] for row in found} == some
    for row in found:
        assert not row["reason"], row
        assert row["error"] < 1e-6
        assert min(row[name] for name in ("compiled", "callback", "handwritten")) > 0


@pytest.mark.julia
@pytest.mark.timeout(620)
def test_noise_is_timed_beside_others(tmp_path: Path) -> None:
    ended = running.run("benchmarks/noise", tmp_path, "--engine", "julia", limit=600)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "noise")
    ours = [row["case"] for row in rows(tmp_path) if row["contestant"] == "pyode_bridge"]
    paths = [f"geometric Brownian motion, {count}" for count in ("1 path", "100 paths")]
    assert ours == [*paths, "training step, Ito", "training step, Stratonovich"]


@pytest.mark.julia
@pytest.mark.timeout(620)
def test_large_stiff_systems_are_those_by_hand(tmp_path: Path) -> None:
    ended = running.run("benchmarks/large_stiff/run", tmp_path, "--engine", "julia", limit=600)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "large_stiff")
    found = rows(tmp_path)
    assert [row["unknowns"] for row in found] == [288, 512]
    for row in found:
        assert row["jacobian"].startswith(f"sparse, {6 * row['unknowns']:,} of ")
        assert row["apart"] < 1e-6
        assert row["gradient_apart"] < 1e-2
        assert min(row[name] for name in ("compiled", "handwritten", "backward", "scipy")) > 0


@pytest.mark.parametrize("name", ["kinds/run", "large_stiff/run", "noise"])
def test_what_julia_alone_can_do_is_not_asked_of_the_other_engine(name: str, tmp_path: Path) -> None:
    assert "engine is 'embedded'" in running.refusal(f"benchmarks/{name}", tmp_path, "--engine", "embedded")


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--contestants", "SciPy", "torchdiffeq")
    interrupt_when(lambda seen: re.search(r"\| [1-4]/17 \[", seen), NAME, tmp_path, *asked)
    assert not results(tmp_path)["complete"]
    assert rows(tmp_path)


def test_times_at_an_equal_error(tmp_path: Path) -> None:
    contestants = ("embedded", "torchdiffeq", "SciPy")
    asked = ("--engine", "embedded", "--equal-error", "--cases", "Lorenz", "--contestants", *contestants)
    ended = running.run(NAME, tmp_path, *asked, limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "equal_error")
    numbers = results(tmp_path)["numbers"]
    assert {row["case"] for row in numbers["at_error"]} == {"Lorenz"}, "ends of spans have no reference"
    for name in contestants:
        points = [point for point in numbers["points"] if point["method"] == name]
        assert [point["control"] for point in points] == pytest.approx([1e-4, 1e-5, 1e-6])
        assert all(point["load"] <= 1.05 and not point["message"] for point in points)
        (row,) = [row for row in numbers["at_error"] if row["contestant"] == name]
        assert row["seconds"] is None or 0 < row["seconds"] < 10


def test_a_time_between_two_is_read_off_a_line_through_the_logarithms() -> None:
    from examples.benchmarks.speed.cases import problem_cases
    from examples.benchmarks.speed.equal_error import Measured, at_error

    case = problem_cases(quick=True)[0]
    target = 10 * case.rtol

    def read(*errors_and_seconds: tuple[float, float]) -> Any:
        points = [
            Measured(case.name, "ours", 0.0, "Success", error * target, seconds)
            for error, seconds in errors_and_seconds
        ]
        return at_error(case, "ours", points)

    assert read((100.0, 1.0), (10.0, 2.0), (0.1, 8.0)).seconds == pytest.approx(4.0)
    assert not read((100.0, 1.0), (0.01, 4.0)).at_most
    assert (read((0.1, 1.0), (0.01, 3.0)).seconds, read((0.1, 1.0)).at_most) == (1.0, True)
    assert "stay above" in read((100.0, 1.0), (10.0, 2.0)).reason
    assert read().reason == "it was not run"


@linux
def test_memory_is_what_work_adds_at_its_peak() -> None:
    import numpy as np

    from examples.benchmarks.speed.memory import added

    def work() -> None:
        np.ones(8 * 2**20)

    assert added(work) / 2**20 == pytest.approx(64, abs=8)


@linux
def test_memory_of_training_steps(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--memory", "--cases", "MLP", "--contestants", "torchdiffeq")
    ended = running.run(NAME, tmp_path, *asked, limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    found = {row["case"]: row["memory"] for row in rows(tmp_path)}
    assert found["MLP 64, batch 1"] is None
    assert 0 <= found["MLP 64, batch 1, training"] < 64 * 2**20, "a few steps of a small network"


def test_more_cores_than_there_are_are_refused(tmp_path: Path) -> None:
    ended = running.run(NAME, tmp_path, "--engine", "embedded", "--cores", "9999", limit=LIMIT)
    assert ended.returncode == 1
    assert "--cores: 9999 were asked for, and this process may run on" in ended.stderr


def test_unknown_case_is_refused(tmp_path: Path) -> None:
    ended = running.run(NAME, tmp_path, "--engine", "embedded", "--cases", "Pluto", limit=LIMIT)
    assert ended.returncode == 1
    assert "--cases: none of Lotka-Volterra, Lorenz" in ended.stderr


def test_targets_follow_from_the_times() -> None:
    from examples.benchmarks.speed.targets import targets
    from examples.benchmarks.speed.threads import Threads

    def row(case: str, contestant: str, seconds: float) -> SimpleNamespace:
        return SimpleNamespace(case=case, contestant=contestant, seconds=seconds, method="Tsit5")

    ends = {"Lorenz to t = 5": 1e-4, "Lorenz to t = 1000": 2e-2}
    by_hand = [row(case, "handwritten", seconds) for case, seconds in ends.items()]
    compiled = [row(case, "compiled", 100e-6 + 1.25 * seconds) for case, seconds in ends.items()]
    training = [
        row("spiral, training", name, seconds)
        for name, seconds in (("compiled", 0.01), ("torchdiffeq", 0.5), ("torchdiffeq adjoint", 0.2))
    ]
    found = targets([*by_hand, *compiled, *training], Threads(2, 3.0, 1.5), quick=False)
    assert [target.measured for target in found] == pytest.approx([1.25, 100.0, 20.0, 2.0])
    assert [target.met for target in found] == [True, True, False, True]


def test_samples_are_taken_in_turns() -> None:
    from examples.benchmarks.speed.entry import Entry
    from examples.benchmarks.speed.rounds import Effort, in_turns

    taken: list[str] = []

    def entry(name: str, seconds: float) -> Entry:
        def clock(calls: int) -> float:
            taken.append(name * calls)
            return seconds

        return Entry("", lambda: None, clock)

    quick, slow = entry("q", 0.1), entry("s", 1.0)
    samples = in_turns({"quick": (quick, 2), "slow": (slow, 1)}, Effort(rounds=4, fewest=1, budget=1.5))
    untimed_and_sample = {"q": ["q", "qq"], "s": ["s", "s"]}
    assert taken == [call for name in "qssqqq" for call in untimed_and_sample[name]]
    assert {name: [sample.seconds for sample in found] for name, found in samples.items()} == {
        "quick": [0.1] * 4,
        "slow": [1.0] * 2,
    }


def test_a_sample_knows_how_many_cores_were_at_work() -> None:
    from examples.benchmarks.speed import cores

    def busy() -> float:
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        return 1.0

    def asleep() -> float:
        time.sleep(0.1)
        return 1.0

    assert cores.sampled(busy).load > 5 * cores.sampled(asleep).load
    assert cores.check(cores.available()) == ""
    assert f"of {cores.available()}" in cores.check(cores.available() + 1)
