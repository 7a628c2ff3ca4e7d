"""The tutorials run to their end, find what is known to be true, and draw it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.running import ROOT, environment

pytest.importorskip("matplotlib")
LIMIT = 580  # seconds for one script, on a machine that others use too, where Julia compiles each solver
pytestmark = pytest.mark.timeout(LIMIT + 20)
FOLDER = ROOT / "examples" / "tutorials"
NUMBER = r"(-?\d\S*?)"

# By name: what is looked for in the lines printed, and how large one number may be, or the relative difference of two.
EITHER_ENGINE = {
    "first_solve": [(rf"largest error {NUMBER}$", 1e-6), (rf"{NUMBER}, exact {NUMBER}$", 1e-5)],
    "results": [(rf"{NUMBER}, exact {NUMBER}$", 1e-5)],
    "fit_rates": [(rf"found {NUMBER}, true {NUMBER}$", 1e-3)],
    "neural_ode": [(rf"of radius 2: {NUMBER}$", 0.3)],
    "ode_net": [(rf"^1 coordinates .* errors {NUMBER}$", 0.01)],
    "flow": [(rf"integrates to 1 within {NUMBER}$", 1e-3)],
    "latent_ode": [(rf"in the half after it {NUMBER}$", 0.1)],  # of swings of 0.4 at noise of 0.05
    "gauss_newton": [
        (rf"found {NUMBER}, true {NUMBER}$", 0.03),
        (rf"sum of squares from \d+ to {NUMBER}, of 82", 120.0),
    ],
    "events": [(rf"{NUMBER}(?: s)?, exact {NUMBER}$", 1e-6)],
    "ensemble": [(rf"largest error of the values {NUMBER}$", 1e-6), (rf"of the sensitivities {NUMBER}$", 1e-5)],
}
JULIA = {
    "second_order": [(rf"KahanLi6 .* by {NUMBER} in the last", 1e-3)],
    "mass_matrix": [
        (rf"is kept within {NUMBER}$", 1e-8),
        (rf"found +{NUMBER}, .*\n.*published {NUMBER}, ", 1e-4),
        (rf"with the matrix +{NUMBER}, .*\n.*three rates +{NUMBER}, ", 1e-4),
    ],
    "dae": [(rf"stays 1 within {NUMBER}$", 1e-6), (rf"{NUMBER}, exact (?:3 g = )?{NUMBER}$", 1e-5)],
    "steady_state": [(rf"largest .* {NUMBER}$", 1e-6)],
    "stochastic": [(rf"{NUMBER}, exact (?:for these paths )?{NUMBER}(?:,|$)", 0.05)],
    "delay": [(rf"largest error .*: {NUMBER}$", 1e-5), (rf"takes {NUMBER}; .* lags, {NUMBER}$", 0.1)],
    "julia_dynamics": [
        (rf"is kept within {NUMBER}$", 1e-5),
        (rf"rates: {NUMBER},.*\n.*\n.*rates: {NUMBER},", 1e-5),
    ],
    "jac_sparsity": [(rf"largest error {NUMBER}; sparse, 1,798 of", 1e-2)],
}
LONG = {"ensemble", "neural_ode", "ode_net", "flow", "latent_ode", "gauss_newton"}  # without Julia
CASES = [
    *(
        pytest.param(name, "embedded", id=f"{name}-embedded", marks=[pytest.mark.slow] if name in LONG else [])
        for name in EITHER_ENGINE
    ),
    *(pytest.param(name, "julia", id=f"{name}-julia", marks=pytest.mark.julia) for name in EITHER_ENGINE),
    *(pytest.param(name, "julia", id=name, marks=pytest.mark.julia) for name in JULIA),
]


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_a_tutorial_finds_what_is_known(name: str, engine: str, tmp_path: Path) -> None:
    variables = {**environment(), "PYODE_BRIDGE_ENGINE": engine, "MPLBACKEND": "Agg"}
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    ended = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "results" / "tutorials" / f"{name}.png").stat().st_size > 10_000
    for pattern, bound in {**EITHER_ENGINE, **JULIA}[name]:
        found = re.findall(pattern, ended.stdout, re.MULTILINE)
        assert found, f"{pattern} in {ended.stdout}"
        for numbers in found:
            assert distance(*((numbers,) if isinstance(numbers, str) else numbers)) < bound, ended.stdout


def distance(value: str, truth: str | None = None) -> float:
    return abs(float(value)) if truth is None else abs(float(value) / float(truth) - 1)


def test_every_tutorial_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EITHER_ENGINE) | set(JULIA)


def test_the_first_takes_twenty_lines() -> None:
    assert len((FOLDER / "first_solve.py").read_text().splitlines()) <= 20


def test_the_index_has_every_script() -> None:
    index = (ROOT / "examples" / "README.md").read_text()
    examples = ROOT / "examples"
    scripts = [path for folder in ("tutorials", "studies", "benchmarks") for path in (examples / folder).glob("*.py")]
    for script in [*scripts, *examples.glob("studies/*/run.py")]:
        assert index.count(f"]({script.relative_to(examples).as_posix()})") == 1, script
