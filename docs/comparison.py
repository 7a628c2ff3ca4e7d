"""What sets the package apart, as tables for pages: words from here, every figure from a record in examples/figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Rows = dict[str, dict[str, Any]]

FIGURES = Path(__file__).parents[1] / "examples" / "figures"
WITHIN = 100  # tolerances: what counts as an accurate gradient
TARGETS = (1e-4, 1e-8)  # relative errors at the end of a solve
GRADIENT_TARGETS = (1e-4,)
CASES = {
    "Lotka-Volterra": "predators and prey, not stiff",
    "ROBER": "a stiff reaction",
    "spiral, training": "spiral neural ODE, a training step",
    "MLP 64, batch 1, training": "network of 64 units, one sample, a training step",
    "MLP 512, batch 512, training": "network of 512 units, batch of 512, a training step",
    "Lotka-Volterra, ensemble of 10,000": "10,000 solves at once",
}
COLUMNS = {
    "pyode_bridge": ("compiled",),
    "hand-written Julia": ("handwritten",),
    "torchdiffeq": ("torchdiffeq", "torchdiffeq adjoint"),  # the faster of the two
    "torchode": ("torchode",),
    "diffrax": ("diffrax",),
    "SciPy": ("SciPy", "SciPy LSODA"),
}
LIBRARIES = ("pyode_bridge", "torchdiffeq", "diffrax")


def apart() -> Rows:
    """The package beside torchdiffeq and diffrax."""
    return {
        "solvers by name": _solvers(),
        "equations": _row("ODE, second-order, split, DAE, SDE, DDE", "ODE", "ODE, split, SDE, CDE"),
        **{f"{words}: ms": _times(case, LIBRARIES) for case, words in CASES.items()},
        "gradients checked against other codes": _row(_accurate_gradients(), None, None),
        "states on": _row("CPU", "CPU, GPU", "CPU, GPU, TPU"),
        "needs": _row("PyTorch, Julia", "PyTorch", "JAX"),
    }


def speed() -> Rows:
    """Milliseconds of every case that a library other than this has solved too."""
    cases = dict.fromkeys(row["case"] for row in numbers("benchmarks")["rows"] if "to t =" not in row["case"])
    return {case: _times(case, tuple(COLUMNS)) for case in cases}


def choices() -> Rows:
    """For each problem of `compare_solvers` the solver that was fastest below an error: ours, and another library's."""
    return _fastest("work_precision", TARGETS)


def gradients() -> Rows:
    """The same for gradients."""
    return _fastest("gradients", GRADIENT_TARGETS)


def _fastest(measured: str, targets: Sequence[float]) -> Rows:
    runs = [run for run in numbers("compare_solvers")[measured] if run["error"] is not None]

    def first(problem: str, target: float, theirs: bool) -> str | None:
        fitting = [run for run in runs if run["problem"] == problem and run["error"] < target]
        best = min((run for run in fitting if _is_theirs(run) == theirs), key=lambda run: run["seconds"], default=None)
        return None if best is None else f"{best['method']}, {_digits(1e3 * best['seconds'])} ms"

    return {
        problem: {
            f"{whose} below {target:g}": first(problem, target, theirs)
            for target in targets
            for theirs, whose in ((False, "fastest"), (True, "other library"))
        }
        for problem in dict.fromkeys(run["problem"] for run in runs)
    }


def _is_theirs(run: dict[str, Any]) -> bool:
    """Other libraries' solvers are named after them, in two words."""
    return " " in run["method"]


def _row(*cells: Any) -> dict[str, Any]:
    return dict(zip(LIBRARIES, cells, strict=True))


def _solvers() -> dict[str, Any]:
    catalogue = numbers("catalogue")
    ours = "{solvers}, of which {with a known limit} with a stated limit".format(**catalogue["in all"])
    return {**catalogue["libraries"], "pyode_bridge": ours}


def _times(case: str, columns: tuple[str, ...]) -> dict[str, str | None]:
    """Medians in milliseconds, of the fastest where a column has several contestants."""
    seconds = {
        row["contestant"]: row["seconds"]
        for row in numbers("benchmarks")["rows"]
        if row["case"] == case and row["seconds"] is not None
    }
    fastest = {name: min((seconds[one] for one in COLUMNS[name] if one in seconds), default=None) for name in columns}
    return {name: None if found is None else _digits(1e3 * found) for name, found in fastest.items()}


def _digits(number: float) -> str:
    """Two of them, with no power of ten."""
    return f"{float(f'{number:.1e}'):,g}"


def _accurate_gradients() -> str:
    runs = numbers("gradient_accuracy")["runs"]
    accurate = sum(run["error"] is not None and run["error"] <= WITHIN for run in runs)
    return f"{accurate} of {len(runs)} within {WITHIN} tolerances"


def numbers(record: str) -> Any:
    return json.loads((FIGURES / f"{record}.json").read_text(encoding="utf-8"))["numbers"]


TABLES: dict[str, Callable[[], Rows]] = {"apart": apart, "speed": speed, "choices": choices, "gradients": gradients}
