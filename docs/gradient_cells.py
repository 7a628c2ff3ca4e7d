"""Which sensitivity algorithms differentiate which kinds of equation: each tried against a gradient in closed form.

`python docs/gradient_cells.py` tries all on the Julia engine and writes the table of sensitivities.md, which
`tests/derivatives/test_gradient_cells.py` holds to be true.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

import pyode_bridge as pb

PAGE = Path(__file__).with_name("sensitivities.md")
TABLE = re.compile(r"(<!-- made by: python docs/gradient_cells.py -->\n\n)((?:\|.*\n)+)")
YES, NO, SECOND = "yes", "no", "second derivatives"
SENSEALGS = [
    "InterpolatingAdjoint",
    "InterpolatingAdjoint(checkpointing=true)",
    "GaussAdjoint",
    "GaussKronrodAdjoint",
    "QuadratureAdjoint",
    "BacksolveAdjoint",
    "ForwardSensitivity",
    "ForwardDiffSensitivity",
    "DiscreteAdjoint",
    "DelayAdjoint",
]
ADVICE = ("choose", "name", "leave", "call", "give", "pass", "first ones are")
DOUBLE = torch.float64
END = torch.tensor([0.0, 1.0], dtype=DOUBLE)
ONE = torch.ones(1, dtype=DOUBLE)
TIGHT = {"rtol": 1e-9, "atol": 1e-9}
STEPS = {"options": {"dt": 1e-3, "adaptive": False}}
TIGHT_STEPS = {"rtol": 1e-5, "atol": 1e-5}


class Case(NamedTuple):
    """A kind of equation, with a usual solver: a number of the rate ``k``, and its derivative."""

    value: Callable[..., Tensor]
    derivative: Callable[[float], float]
    error: float = 1e-4


def decay(k: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: -k * y


def ordinary(method: str) -> Case:
    return Case(lambda k, **own: pb.odeint(decay(k), ONE, END, method=method, **TIGHT, **own)[-1].sum(), of_decay)


def of_decay(k: float) -> float:
    """Of ``exp(-k)``."""
    return -math.exp(-k)


def with_mass_matrix(k: Tensor, **own: Any) -> Tensor:
    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([-k * y[0], y[0] - y[1]])

    mass = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    y = pb.odeint(func, torch.ones(2, dtype=DOUBLE), END, mass_matrix=mass, method="Rodas5P", **TIGHT, **own)
    return y[-1, 0]


def oscillation(k: Tensor, **own: Any) -> Tensor:
    """``cos k``."""
    start = (ONE, torch.zeros(1, dtype=DOUBLE))
    q, _ = pb.odeint(pb.SecondOrder(lambda t, q, v: -(k**2) * q), start, END, method="KahanLi8", **STEPS, **own)
    return q[-1].sum()


def split(k: Tensor, **own: Any) -> Tensor:
    parts = pb.Split(lambda t, y: -k * y / 2, lambda t, y: -k * y / 2)
    return pb.odeint(parts, ONE, END, method="KenCarp4", **TIGHT, **own)[-1].sum()


def quasilinear(k: Tensor, **own: Any) -> Tensor:
    return pb.odeint(pb.Quasilinear(lambda t, y: -k.view(1, 1)), ONE, END, method="MagnusGL6", **STEPS, **own)[-1].sum()


def along_noise(method: str, **steps: Any) -> Case:
    """Of noise that is so small that the mean is as good as a path."""

    def value(k: Tensor, **own: Any) -> Tensor:
        return pb.sdeint(decay(k), lambda t, y: 1e-6 * y, ONE, END, method=method, seed=1, **steps, **own)[-1].sum()

    return Case(value, of_decay, 1e-2)


def delayed(method: str) -> Case:
    """``1 - k + k² (1 - lag)² / 2``, of one half for a lag."""

    def value(k: Tensor, **own: Any) -> Tensor:
        return pb.ddeint(lambda t, y, past: -k * past[0], ONE, END, lags=[0.5], method=method, **TIGHT, **own)[-1].sum()

    return Case(value, lambda k: -1 + k / 4)


def residual(method: str) -> Case:
    def value(k: Tensor, **own: Any) -> Tensor:
        def func(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
            return torch.stack([dy[0] + k * y[0], y[0] - y[1]])

        return pb.daeint(func, torch.ones(2, dtype=DOUBLE), END, method=method, **TIGHT, **own)[-1, 1]

    return Case(value, of_decay)


def fall(k: Tensor, **own: Any) -> Tensor:
    """When a ball that falls by ``k`` has fallen by one: ``sqrt(2 / k)``."""
    start = torch.tensor([1.0, 0.0], dtype=DOUBLE)
    event = pb.Event(lambda t, y: y[0], terminal=True, direction="falling")
    found = pb.solve_events(
        lambda t, y: torch.stack([y[1], -k]), start, 5 * END, [event], method="Tsit5", **TIGHT, **own
    )
    return found.events[0].t


CASES = {
    '`odeint`, `"Tsit5"`': ordinary("Tsit5"),
    '`odeint`, `"Rodas5P"`': ordinary("Rodas5P"),
    '`mass_matrix`, `"Rodas5P"`': Case(with_mass_matrix, of_decay),
    '`SecondOrder`, `"KahanLi8"`': Case(oscillation, lambda k: -math.sin(k)),
    '`Split`, `"KenCarp4"`': Case(split, of_decay),
    '`Quasilinear`, `"MagnusGL6"`': Case(quasilinear, of_decay),
    '`sdeint`, `"EM"`, fixed steps': along_noise("EM", **STEPS),
    '`sdeint`, `"EulerHeun"`, fixed steps': along_noise("EulerHeun", **STEPS),
    '`sdeint`, `"SOSRI"`': along_noise("SOSRI"),
    '`sdeint`, `"LambaEM"`': along_noise("LambaEM", **TIGHT_STEPS),
    '`ddeint`, `"Tsit5"`': delayed("Tsit5"),
    '`ddeint`, `"Rodas5P"`': delayed("Rodas5P"),
    '`daeint`, `"DFBDF"`': residual("DFBDF"),
    '`daeint`, `"IDA"`': residual("IDA"),
    '`solve_events`, `"Tsit5"`': Case(fall, lambda k: -math.sqrt(2 / k) / (2 * k)),
}
COLUMNS = [*SENSEALGS, SECOND]


def tried(kind: str, column: str) -> str:
    """``YES`` where the gradient is right, and ``NO`` where it is refused with a way out.

    Raises AssertionError for what is neither.
    """
    case, k = CASES[kind], torch.tensor(0.8, dtype=DOUBLE, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pb.GradientWarning)
        try:
            found = second(case, k) if column == SECOND else first(case, k, column)
        except pb.UnsupportedError as refusal:
            if "which this Julia environment lacks" in str(refusal):
                raise
            if not any(advice in str(refusal) for advice in ADVICE):
                raise AssertionError(f"{kind}, {column}: no way out of {refusal}") from refusal
            return NO
    expected = derivative_of(case, k.item()) if column == SECOND else case.derivative(k.item())
    if not math.isclose(found, expected, rel_tol=case.error):
        raise AssertionError(f"{kind}, {column}: {found}, expected {expected}")
    return YES


def first(case: Case, k: Tensor, sensealg: str) -> float:
    (grad,) = torch.autograd.grad(case.value(k, engine="julia", sensealg=sensealg), k)
    return grad.item()


def second(case: Case, k: Tensor) -> float:
    (grad,) = torch.autograd.grad(case.value(k, engine="julia"), k, create_graph=True)
    (again,) = torch.autograd.grad(grad, k)
    return again.item()


def derivative_of(case: Case, k: float) -> float:
    """Of what is known in closed form, by differences."""
    step = 1e-5
    return (case.derivative(k + step) - case.derivative(k - step)) / (2 * step)


def written(page: str) -> dict[tuple[str, str], str]:
    """What a page says of each kind and column."""
    found = TABLE.search(page)
    assert found is not None, "the page has no table"
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[2].splitlines()]
    columns = [name.strip("`") for name in header[1:]]
    return {(row[0], column): cell for row in rows for column, cell in zip(columns, row[1:], strict=True)}


def table(cells: dict[tuple[str, str], str]) -> str:
    names = [f"`{name}`" if name in SENSEALGS else name for name in COLUMNS]
    lines = (
        ["", *names],
        ["---"] * (len(names) + 1),
        *([kind, *(cells[kind, name] for name in COLUMNS)] for kind in CASES),
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    every = [(kind, column) for kind in CASES for column in COLUMNS]
    cells, wrong = {}, []
    for cell in tqdm(every):
        try:
            cells[cell] = tried(*cell)
        except (AssertionError, pb.BridgeError) as error:
            wrong.append(f"{cell}: {error}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda match: match[1] + table(cells), page), encoding="utf-8")
    print(f"Written to {PAGE}")


if __name__ == "__main__":
    main()
