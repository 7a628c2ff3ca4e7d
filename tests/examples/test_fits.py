"""The examples that estimate parameters and controls find what is known to be true, on each engine."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import has_figures, results

pytest.importorskip("matplotlib")

LIMIT = 580  # seconds for one script, on a machine that others use too, where Julia compiles each solver
pytestmark = pytest.mark.timeout(LIMIT + 20)


def run(name: str, output: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    return running.run(name, output, *extra, limit=LIMIT)


@pytest.fixture
def float64() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.slow
def test_rate_constants_are_recovered_over_six_decades(engine: str, tmp_path: Path) -> None:
    ended = run("studies/fit_robertson/run", tmp_path, "--engine", engine)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "fit_robertson")
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    numbers = found["numbers"]
    assert numbers["decades"] == [-2, 4]
    (fit,) = numbers["fits"]
    assert fit["start_over_truth"] == [3.0, 3.0, 3.0]
    for constant, true, standard_error in zip(
        fit["constants"], (0.04, 3e7, 1e4), numbers["relative_standard_errors"], strict=True
    ):
        assert constant == pytest.approx(true, rel=0.01)
        assert constant == pytest.approx(true, rel=4 * standard_error), "as exact as the measurements allow"
    assert fit["gradients"] == {"embedded": "sensitivities", "julia": "adjoint"}[engine]
    if engine == "julia":
        assert numbers["adjoint_differs_from_sensitivities_by"] < 1e-4


@pytest.mark.julia
def test_a_delay_is_recovered(tmp_path: Path) -> None:
    ended = run("studies/fit_delay", tmp_path, "--quick")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "fit_delay.png").stat().st_size > 10_000
    numbers = results(tmp_path)["numbers"]
    assert {fit["began"] for fit in numbers["runs"]} == {11.9, 22.1}
    assert numbers["worst_relative_error"]["tau"] < 0.02


@pytest.mark.julia
def test_the_parameters_of_noise_are_recovered_within_their_errors(tmp_path: Path) -> None:
    ended = run("studies/fit_noise", tmp_path, "--quick")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "fit_noise.png").stat().st_size > 10_000
    numbers = results(tmp_path)["numbers"]
    assert numbers["within"]["3 standard errors"] == 1
    assert all(fit["errors"]["theta"] < 0.1 for fit in numbers["runs"])


@pytest.mark.slow
def test_an_unstable_adjoint_is_not_fitted_with(tmp_path: Path) -> None:
    """The embedded engine's adjoint solves the stiff reaction backwards."""
    ended = run("studies/fit_robertson/run", tmp_path, "--engine", "embedded", "--gradients", "adjoint")
    assert ended.returncode == 1
    assert re.search("adjoint.*Fit with --gradients sensitivities", ended.stderr, re.DOTALL), ended.stderr
    assert not (tmp_path / "results.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_gradients_of_the_reaction_agree_with_differences_of_its_solves(engine: str) -> None:
    from examples.studies.fit_robertson import model

    solver = {
        "embedded": {"method": "RadauIIA5", "engine": engine},
        "julia": {"method": "Rodas5P", "engine": engine, "sensealg": "GaussAdjoint"},
    }[engine]
    ways = [model.solved_with_sensitivities] + ([model.solved_with_adjoint] if engine == "julia" else [])
    t = torch.tensor([0.0, 1e-3, 1.0, 10.0])
    weights = torch.tensor([1.0, 3e4, 2.0])
    point = (model.RATES * torch.tensor([3.0, 1 / 3, 3.0])).log()

    def loss(log_rates: torch.Tensor, solved: Any, rtol: float) -> tuple[torch.Tensor, Any]:
        reaction = model.Robertson(log_rates.exp())
        y, _ = solved(reaction, t, rtol, solver)
        return (weights * y[1:]).square().sum(), reaction.log_rates

    step = 3e-3
    expected = []
    for shift in step * torch.eye(3):
        with torch.no_grad():
            above, below = (loss(point + sign * shift, model.solved_with_adjoint, 1e-8)[0] for sign in (1, -1))
        expected.append((above - below) / (2 * step))
    for solved in ways:
        value, log_rates = loss(point, solved, 1e-7)
        (found,) = torch.autograd.grad(value, log_rates)
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_missing_part_of_a_model_is_recovered(engine: str, tmp_path: Path) -> None:
    ended = run("studies/universal_ode/run", tmp_path, "--engine", engine)
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "universal_ode")
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    numbers = found["numbers"]
    assert numbers["missing_part"]["relative_error"] < 0.25, "one that learnt nothing is off by 1"
    assert numbers["rmse"]["universal ODE"]["within"] < 0.1


@pytest.mark.slow
def test_controls_come_near_the_optimum(engine: str, tmp_path: Path) -> None:
    ended = run("studies/optimal_control/run", tmp_path, "--engine", engine, "--cases", "1", "2")
    assert ended.returncode == 0, ended.stderr
    assert has_figures(tmp_path, "optimal_control")
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    free, bounded = found["numbers"]["cases"]
    assert bounded["optimum"] > free["optimum"]
    for case in (free, bounded):
        assert -1e-5 < case["gap"] < 0.02, "no control is better than the best"


def test_both_optima_agree_where_the_bound_does_not_matter() -> None:
    from examples.studies.optimal_control import optimum as example

    start = torch.tensor([0.1, -0.05], dtype=torch.float64)
    free, bounded = example.riccati(start), example.pontryagin(start)
    assert abs(free.forces).max() < example.BOUND
    assert bounded.cost == pytest.approx(free.cost, rel=1e-6)
    assert bounded.states == pytest.approx(free.states, abs=1e-5)


def test_riccati_cost_is_that_of_its_path() -> None:
    from examples.studies.optimal_control import optimum as example

    best = example.riccati(example.START)
    rate = (
        example.POSITION * best.states[:, 0] ** 2
        + example.SPEED * best.states[:, 1] ** 2
        + example.FORCE * best.forces**2
    ) / 2
    step = example.END / (len(rate) - 1)
    simpson = step / 3 * (rate[0] + 4 * rate[1:-1:2].sum() + 2 * rate[2:-1:2].sum() + rate[-1])
    assert best.cost == pytest.approx(simpson, rel=1e-6)
    assert math.isclose(best.forces[-1], 0, abs_tol=1e-9), "a force at the very end would only cost"


@pytest.mark.slow
def test_resumed_control_continues_as_if_never_interrupted(tmp_path: Path) -> None:
    asked = ("--engine", "embedded", "--cases", "1")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run("studies/optimal_control/run", whole, *asked).returncode == 0
    interrupt_when(lambda seen: re.search(r"\| [1-3]/5 \[", seen), "studies/optimal_control/run", broken, *asked)
    assert not (broken / "results.json").exists()
    ended = run("studies/optimal_control/run", broken, *asked, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert results(broken)["numbers"]["error"] == pytest.approx(results(whole)["numbers"]["error"], rel=1e-9)
