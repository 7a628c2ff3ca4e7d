"""End values of the problems that have neither a closed form nor a published solution; run it to compute them again.

The Gragg-Bulirsch-Stoer method of order 16 with fixed steps, in extended precision (numpy.longdouble), over right-hand
sides that are written here once more, shares no code with any solver that the examples compare. Half the step must
give the same values, and so must SciPy's DOP853 with a tolerance of 1e-13; what they differ by is stored beside them.
"""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[Any]
Rates = Callable[[Vector], Vector]

FILE = Path(__file__).with_name("references.json")
ORIGIN = "computed in extended precision and checked with a second code (references.py)"
SUBSTEPS = tuple(range(2, 18, 2))
SIZES = (16, 32, 64, 128, 256)  # of the Brusselator's grids


def stored(name: str) -> tuple[float, ...]:
    """The end values kept for a problem."""
    return tuple(_read()["problems"][name]["y_end"])


@functools.cache
def _read() -> dict[str, Any]:
    contents: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return contents


def bulirsch_stoer(f: Rates, y: Vector, t_end: float, steps: int) -> Vector:
    """Integrate ``dy/dt = f(y)``: modified midpoint rule, extrapolated to step zero (Hairer et al., section II.9)."""
    step = np.longdouble(t_end) / steps
    for _ in range(steps):
        rows: list[Vector] = []
        for j, substeps in enumerate(SUBSTEPS):
            row = [_midpoint(f, y, step / substeps, substeps)]
            for k in range(j):
                ratio = np.longdouble(substeps) / SUBSTEPS[j - k - 1]
                row.append(row[k] + (row[k] - rows[k]) / (ratio**2 - 1))
            rows = row
        y = rows[-1]
    return y


def _midpoint(f: Rates, y: Vector, h: np.longdouble, substeps: int) -> Vector:
    before, now = y, y + h * f(y)
    for _ in range(substeps - 1):
        before, now = now, before + 2 * h * f(now)
    return now


def lotka_volterra(y: Vector) -> Vector:
    product = y[0] * y[1]
    return np.array([np.longdouble(1.5) * y[0] - product, product - 3 * y[1]])


def lorenz(y: Vector) -> Vector:
    beta = np.longdouble(8) / 3
    return np.array([10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - beta * y[2]])


def brusselator(y: Vector) -> Vector:
    u, v = y[0::2], y[1::2]
    diffusion = np.longdouble((len(u) + 1) ** 2) / 50
    rates = np.empty_like(y)
    rates[0::2] = 1 + u * u * v - 4 * u + diffusion * np.diff(u, 2, prepend=1, append=1)
    rates[1::2] = 3 * u - u * u * v + diffusion * np.diff(v, 2, prepend=3, append=3)
    return rates


def brusselator_start(points: int) -> Vector:
    places = np.arange(1, points + 1, dtype=np.longdouble) / (points + 1)
    pi = 4 * np.arctan(np.longdouble(1))
    return np.stack([1 + np.sin(2 * pi * places), 3 * np.ones_like(places)], axis=-1).ravel()


def tasks() -> dict[str, tuple[Rates, Vector, float, int]]:
    """By name: right-hand side, first state, end, and steps, at which the method is stable and exact enough."""
    found = {
        "Lotka-Volterra": (lotka_volterra, np.ones(2, np.longdouble), 10.0, 400),
        "Lorenz": (lorenz, np.ones(3, np.longdouble), 5.0, 1000),
    }
    for points in SIZES:
        steps = max(400, int(0.5 * points**2))
        found[f"Brusselator-{points}"] = (brusselator, brusselator_start(points), 10.0, steps)
    return found


def main() -> None:
    import scipy
    from scipy.integrate import solve_ivp
    from tqdm import tqdm

    problems = {}
    for name, (f, y0, t_end, steps) in tqdm(tasks().items(), unit="problem"):
        y = bulirsch_stoer(f, y0, t_end, 2 * steps)
        coarse = bulirsch_stoer(f, y0, t_end, steps)
        second = solve_ivp(
            lambda _t, y, f=f: f(y), (0, t_end), y0.astype(float), method="DOP853", rtol=1e-13, atol=1e-14
        )
        problems[name] = {
            "t_end": t_end,
            "steps": 2 * steps,
            "difference_at_half_the_steps": float(np.max(np.abs((coarse - y) / y))),
            "difference_to_dop853": float(np.max(np.abs((second.y[:, -1] - y) / y))),
            "y_end": [float(value) for value in y],
        }
        tqdm.write(f"{name}: " + ", ".join(f"{k} {v}" for k, v in problems[name].items() if k != "y_end"))
    made = {
        "code": "references.py, Gragg-Bulirsch-Stoer of order 16 in numpy.longdouble",
        "precision": float(np.finfo(np.longdouble).eps),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    }
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(problem)}" for name, problem in problems.items())
    text = f'{{"made_with": {json.dumps(made)},\n"problems": {{\n{rows}\n}}}}\n'
    FILE.write_text(text, encoding="utf-8")
    print(f"Written to {FILE.resolve()}")


if __name__ == "__main__":
    main()
