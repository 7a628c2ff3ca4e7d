"""The examples that measure run to their end on each engine, write their files, and keep what is done on Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import has_figures, results

pytest.importorskip("matplotlib")

LIMIT = 580  # seconds for one script, on a machine that others use too, where Julia compiles each solver
pytestmark = pytest.mark.timeout(LIMIT + 20)
SOLVERS = {"embedded": ["DP5", "RK4", "lsoda"], "julia": ["Tsit5", "rk4", "KenCarp4(linsolve=KrylovJL_GMRES())"]}
SENSEALGS = {"embedded": ["BacksolveAdjoint"], "julia": ["GaussAdjoint", "InterpolatingAdjoint(checkpointing=true)"]}


def run(name: str, output: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    return running.run(name, output, *extra, limit=LIMIT)


def test_solvers_are_compared(engine: str, tmp_path: Path) -> None:
    problems = ("--problem", "Kepler", "ROBER", "Brusselator", "--others")
    ended = run("studies/compare_solvers/run", tmp_path, "--engine", engine, *problems, "--methods", *SOLVERS[engine])
    assert ended.returncode == 0, ended.stderr
    kinds = ("nonstiff", "stiff", "energy", "brusselator", "gradients")
    assert has_figures(tmp_path, *(f"compare_solvers_{kind}" for kind in kinds))
    found = results(tmp_path)
    assert found["complete"]
    assert found["ran"]["engine"] == engine
    runs = found["numbers"]["work_precision"]
    assert {run["problem"] for run in runs} == {"Kepler", "ROBER", "Brusselator-16"}
    assert {run["method"] for run in runs} == set(SOLVERS[engine])

    explicit, fixed, implicit = (
        [run for run in runs if (run["problem"], run["method"]) == ("Kepler", method)] for method in SOLVERS[engine]
    )
    assert [run["control"] for run in explicit] == [1e-4, 1e-7]
    assert [run["control"] for run in fixed] == [200, 400]
    for loose, tight in (explicit, fixed, implicit):
        assert tight["error"] < loose["error"] / 5
        assert tight["nfe"] > loose["nfe"]
    assert fixed[0]["nfe"] in (800, 801), "four evaluations a step"

    failed = [run for run in runs if run["error"] is None]
    assert {run["problem"] for run in failed} == {"ROBER"}
    assert SOLVERS[engine][0] in {run["method"] for run in failed}, "no explicit solver reaches 1e11"
    assert f"{SOLVERS[engine][0]} stopped at t = " in ended.stdout
    with (tmp_path / "compare_solvers.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(runs)
    assert all(row["message"] for row in table if not row["error"])

    growing = found["numbers"]["growing_brusselator"]
    assert {run["size"] for run in growing} == {32, 64}
    assert all(run["error"] < 1e-4 for run in growing)
    assert all(0 < max(row["drift"]) < 1e-2 and len(row["drift"]) == 10 for row in found["numbers"]["energy_drift"])


def test_gradients_of_solvers_and_of_other_libraries_are_compared(engine: str, tmp_path: Path) -> None:
    method = {"embedded": "DP5", "julia": "Tsit5"}[engine]
    asked = ("--engine", engine, "--problem", "Lotka-Volterra", "--methods", method, "rk4", "--others", "torchdiffeq")
    ended = run("studies/compare_solvers/run", tmp_path, *asked)
    assert ended.returncode == 0, ended.stderr
    rows = results(tmp_path)["numbers"]["gradients"]
    methods = {row["method"] for row in rows}
    assert method in methods <= {method, "torchdiffeq dopri5", "torchdiffeq dopri5, adjoint"}
    for name in methods:
        loose, tight = (row for row in rows if row["method"] == name)
        assert (loose["control"], tight["control"]) == (1e-4, 1e-6)
        assert tight["error"] < loose["error"] / 5
        assert tight["error"] < 1e-3
        assert tight["seconds"] > 0


def test_other_libraries_solve_the_same_problems(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--problem", "Kepler", "ROBER", "--methods", "RadauIIA5")
    ended = run("studies/compare_solvers/run", tmp_path, *asked, "--others", "SciPy", "torchdiffeq")
    assert ended.returncode == 0, ended.stderr
    runs = [run for run in results(tmp_path)["numbers"]["work_precision"] if " " in run["method"]]
    kepler, rober = ({run["method"] for run in runs if run["problem"] == name} for name in ("Kepler", "ROBER"))
    assert {"SciPy RK45", "SciPy DOP853"} <= kepler <= {"torchdiffeq dopri5", "torchdiffeq dopri8", *kepler}
    assert rober == {"SciPy Radau", "SciPy BDF", "SciPy LSODA"}
    assert all(run["error"] < (0.1 if run["control"] == 1e-4 else 1e-3) for run in runs)
    assert all(run["nfe"] > 0 for run in runs)


def test_default_solvers_are_those_of_the_engine() -> None:
    from examples.studies.compare_solvers.methods import default_methods

    explicit, implicit = (default_methods(stiff, "embedded", quick=False) for stiff in (False, True))
    assert {"DP5", "BS3", "DP8", "RK4"} <= set(explicit)
    assert {"RadauIIA5", "QNDF", "lsoda"} <= set(implicit)
    assert not {"Euler", "RadauIIA5"} & set(explicit)


def test_unknown_solver_is_refused_before_anything_runs(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--methods", "Tsit7")
    assert re.search(r"--methods: .*Tsit7", running.refusal("studies/compare_solvers/run", tmp_path, *asked))
    assert not (tmp_path / "results.json").exists()


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--problem", "Pleiades", "Kepler", "--methods", "RK4", "BS3", "DP5", "--others")
    interrupt_when(lambda seen: re.search(r"\| [1-3]/6 \[", seen), "studies/compare_solvers/run", tmp_path, *asked)
    found = results(tmp_path)
    assert not found["complete"]
    assert 2 <= len(found["numbers"]["work_precision"]) < 12
    assert has_figures(tmp_path, "compare_solvers_nonstiff")


def test_an_explicit_solver_fails_where_the_example_says(engine: str, tmp_path: Path) -> None:
    ended = run("studies/stiff_failure", tmp_path, "--engine", engine)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "stiff_failure")
    explicit, implicit = results(tmp_path)["numbers"]["attempts"]
    assert explicit["retcode"] == "MaxIters"
    assert 0 < explicit["t"] < 0.1
    assert "stiff solver such as 'Rodas5P'" in explicit["message"]
    assert explicit["message"] in ended.stdout
    assert implicit["retcode"] == "Success"
    assert implicit["error"] < 1e-4


@pytest.mark.julia
def test_operations_are_counted_that_compile(tmp_path: Path) -> None:
    pytest.importorskip("expecttest")
    names = ("sin", "linalg.svdvals", "linalg.eigvals")
    ended = run("studies/operators", tmp_path, "--engine", "julia", "--operations", *names)
    assert ended.returncode == 0, ended.stderr
    numbers = results(tmp_path)["numbers"]
    assert numbers["counts"]["compiles"] == {"operations": 2, "share": "66.7%"}
    assert "aten.linalg_eig has no translation" in numbers["refused"]["linalg.eigvals"]


def test_solvers_are_counted_by_family(tmp_path: Path) -> None:
    ended = run("studies/catalogue", tmp_path, "--engine", "embedded")
    assert ended.returncode == 0, ended.stderr
    numbers = results(tmp_path)["numbers"]
    assert numbers["families"]["FIRK"] == {"solvers": 1, "adaptive": 1, "implicit": 1, "with a known limit": 0}
    in_all = sum(family["solvers"] for family in numbers["families"].values())
    assert in_all == numbers["in all"]["solvers"] == numbers["libraries"]["pyode_bridge"]
    assert f"torchdiffeq: {numbers['libraries']['torchdiffeq']}" in ended.stdout


def test_gradients_are_compared(engine: str, tmp_path: Path) -> None:
    another = {"embedded": "neural ODE", "julia": "ROBER"}[engine]  # the paper's adjoint cannot do ROBER
    problems = ("--problem", "linear", another)
    ended = run("studies/compare_sensealgs", tmp_path, "--engine", engine, *problems, "--sensealgs", *SENSEALGS[engine])
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "compare_sensealgs")
    found = results(tmp_path)["numbers"]
    assert all(reference["two_ways_differ_by"] < 1e-8 for reference in found["references"].values())
    for sensealg in SENSEALGS[engine]:
        loose, tight = (run for run in found["runs"] if (run["problem"], run["sensealg"]) == ("linear", sensealg))
        assert tight["error"] < 1e-4
        assert tight["error"] < loose["error"] / 10
        assert tight["nvjp"] > 0
    others = [run for run in found["runs"] if run["problem"] == another]
    assert len(others) == 2 * len(SENSEALGS[engine])
    # A slow machine leaves the tighter runs out.
    assert min(run["error"] for run in others if run["error"] is not None) < 1e-4


@pytest.mark.slow
def test_backsolve_fails_on_chaos_where_the_example_says(engine: str, tmp_path: Path) -> None:
    other = {"embedded": "TorchAdjoint", "julia": "GaussAdjoint"}[engine]
    ended = run("studies/chaotic_gradients", tmp_path, "--engine", engine, "--sensealgs", "BacksolveAdjoint", other)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "chaotic_gradients.png").stat().st_size > 10_000
    short, long, *others = results(tmp_path)["numbers"]["runs"]
    assert short["error"] < 1e-5
    assert not short["warned"]
    assert long["error"] > 1e-3
    assert "arrived at t = 0 with an error of" in long["warned"]
    assert all(one["error"] < 1e-4 and not one["warned"] for one in others)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak of memory as Linux gives it")
def test_memory_grows_with_the_steps_only_where_they_are_kept(tmp_path: Path) -> None:
    ended = run("studies/adjoint_memory", tmp_path, "--engine", "embedded")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "adjoint_memory.png").stat().st_size > 10_000
    runs = results(tmp_path)["numbers"]["runs"]
    assert all(one["error"] < 1e-6 for one in runs)
    added = {one["sensealg"]: one["added"] for one in runs if one["steps"] == 400}
    assert added["TorchAdjoint"] > 5 * added["BacksolveAdjoint"]
    assert added["torchdiffeq.odeint"] > 5 * added["torchdiffeq.odeint_adjoint"]


def test_unknown_gradient_task_is_refused() -> None:
    from examples.studies.compare_sensealgs import chosen_tasks

    with pytest.raises(SystemExit, match="there is no Pluto"):
        chosen_tasks(["linear", "Pluto"])


def test_cost_of_the_bridge_is_measured(engine: str, tmp_path: Path) -> None:
    ended = run("benchmarks/bridge_cost", tmp_path / "cost.json", "--engine", engine, "--sizes", "2")
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "cost.json").read_text())
    assert found["engine"] == engine
    assert set(found["seconds"]) == {"cold start", "first solve and gradient", "second solve and gradient"}
    assert [row.pop("size") for row in found["calls"]] == [2]
    assert all(0 < microseconds < 1e6 for row in found["calls"] for microseconds in row.values())
    for row in found["calls"]:
        assert f"{row['f in a solve']:.1f}" in ended.stdout


@pytest.mark.slow
@pytest.mark.julia
def test_cold_starts_are_measured(tmp_path: Path) -> None:
    ended = run("benchmarks/cold_start", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "cold_start")
    found = results(tmp_path)
    assert found["complete"]
    assert {"plain, no method named", "packages, Tsit5"} <= {row["task"] for row in found["numbers"]["rows"]}
    for row in found["numbers"]["rows"]:
        assert 0 < row["solve"] < row["gradient"] <= row["slowest"]


@pytest.mark.julia
@pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS")
def test_cost_of_isolation_is_measured(tmp_path: Path) -> None:
    ended = run("benchmarks/isolation_cost", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "isolation_cost")
    found = results(tmp_path)
    assert found["complete"]
    assert [row["task"] for row in found["numbers"]["rows"]] == ["solve", "training step", "solve of 100000 elements"]
    for row in found["numbers"]["rows"]:
        assert row["rounds"] >= 3
        assert 0 < row["none"] < 10_000
        assert 0 < row["process"] < 10_000


@pytest.mark.slow
def test_how_cost_grows_is_measured(engine: str, tmp_path: Path) -> None:
    pytest.importorskip("loky")
    ended = run("benchmarks/scaling", tmp_path, "--engine", engine)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "scaling")
    found = results(tmp_path)
    assert found["complete"]
    assert set(found["numbers"]["growth"]) == {"1", "10"}
    ways = found["numbers"]["ways"]
    assert "one thread" in ways
    assert any("loky" in way for way in ways)
    assert all(0 < way["solve"] < way["trajectories"] * 10 for way in ways.values())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads resident memory as Linux gives it")
def test_memory_and_time_are_noted_along_many_solves(engine: str, tmp_path: Path) -> None:
    ended = run("benchmarks/soak", tmp_path, "--engine", engine, "--solves", "40")
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "soak")
    found = results(tmp_path)
    assert found["complete"]
    assert (
        set(found["numbers"]["changes"])
        == {
            "julia": {"julia, compiled lane", "julia, callback lane", "embedded"},
            "embedded": {"embedded"},
        }[engine]
    )
    for one in found["numbers"]["samples"]:
        assert one["samples"][-1]["solves"] == 40
        assert all(sample["MB"] > 50 and sample["ms"] > 0 for sample in one["samples"])
