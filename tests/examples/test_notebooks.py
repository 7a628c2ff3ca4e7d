"""The notebooks run to their end and find what is known to be true; what the site shows comes from their code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pandas")
import nbformat

from tests.examples.running import ROOT, environment

FOLDER = ROOT / "examples" / "notebooks"
NUMBER = r"(-?\d[\d.e+-]*\d|\d)"
pytestmark = pytest.mark.timeout(600)  # Julia compiles each solver, on a machine that others use too

# By name: what is looked for in the lines printed, and between which bounds the numbers lie that are found there.
KNOWN: dict[str, list[tuple[str, list[tuple[float, float]]]]] = {
    "first_steps": [(rf"growth {NUMBER}, true 1; hunting {NUMBER}, true 0.5", [(0.95, 1.05), (0.47, 0.53)])],
    "stiff_kinetics": [
        (rf"Tsit5 +{NUMBER} steps", [(1_500, 3_000)]),  # by stability: its interval times the largest eigenvalue
        (rf"RadauIIA5 +{NUMBER} steps", [(10, 200)]),
        (rf"stays 1 within {NUMBER}", [(0, 1e-9)]),
        (rf"at the end {NUMBER}, published", [(2.0e-8, 2.16e-8)]),
    ],
    "latent_ode": [(rf"between measurements {NUMBER}, beyond them {NUMBER};", [(0, 0.15), (0, 0.2)])],
}


@pytest.fixture
def notebooks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    import run_notebooks

    return run_notebooks


CASES = [
    *(pytest.param(name, "embedded", marks=() if name == "first_steps" else pytest.mark.slow) for name in KNOWN),
    *(pytest.param(name, "julia", marks=[pytest.mark.julia, pytest.mark.slow]) for name in KNOWN),
]


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_a_notebook_runs_and_finds_what_is_known(name: str, engine: str, notebooks: Any) -> None:
    check(notebooks.executed(FOLDER / f"{name}.ipynb", engine), name)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_kept_comes_from_the_code_and_from_julia(name: str, notebooks: Any) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    remedy = f"run `python docs/run_notebooks.py {name}`"
    assert notebook.metadata["ran"] == {"engine": "julia", "code": notebooks.digest(notebook)}, remedy
    assert len(notebook.cells) <= 13
    check(notebook, name)


def check(notebook: Any, name: str) -> None:
    """Figures and texts are there, no warnings and errors, and numbers as they should be."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    errors = [output.text for output in outputs if output.get("name") == "stderr"]
    assert all(text.startswith("pyode_bridge: starting Julia") for text in errors), errors
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    for pattern, bounds in KNOWN[name]:
        found = re.search(pattern, printed)
        assert found, f"{pattern} in {printed}"
        for number, (low, high) in zip(found.groups(), bounds, strict=True):
            assert low <= float(number) <= high, f"{found[0]}, expected from {low} to {high}"


def test_every_notebook_is_run_here_and_is_in_the_index_and_the_navigation() -> None:
    index, navigation = (ROOT / "examples" / "README.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(KNOWN)
    for name in KNOWN:
        assert index.count(f"](notebooks/{name}.ipynb)") == 1
        assert navigation.count(f"examples/notebooks/{name}.md") == 1


def test_links_of_notebooks_lead_to_files() -> None:
    for path in FOLDER.glob("*.ipynb"):
        for target in re.findall(r"\]\(([^)#\s]+)", Path(path).read_text()):
            assert (FOLDER / target).exists(), target
