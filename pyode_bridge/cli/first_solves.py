"""First solves of a session, ``python -m pyode_bridge.cli.first_solves FILE``: what an image is to have compiled.

They are of the kinds that most programs begin with: a network, a stiff system and a function that is called back, with
their gradients, where no solver is named and by well-known names. The names of Julia's packages of solvers that are
compiled are written to FILE, a line each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

import pyode_bridge
from pyode_bridge.engines.julia.session import start

METHODS = None, "Tsit5", "rk4", "Rodas5P"


def solve_with_gradient(dtype: torch.dtype, method: str | None) -> None:
    """Solve a small network's equation over time, and pull the gradient back to its parameters."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2)).to(dtype)
    y0, times = torch.ones(2, dtype=dtype), torch.linspace(0, 1, 5)
    pull_back(pyode_bridge.odeint(lambda _t, y: net(y), y0, times, method=method, engine="julia"))


def solve_stiff() -> None:
    """Robertson's kinetics where no solver is named, which are found to be stiff."""
    rates = torch.tensor([0.04, 3e7, 1e4], dtype=torch.float64, requires_grad=True)

    def kinetics(_t: Tensor, y: Tensor) -> Tensor:
        slow, fast, back = rates[0] * y[0], rates[1] * y[1] ** 2, rates[2] * y[1] * y[2]
        return torch.stack([back - slow, slow - back - fast, fast])

    y0 = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    pull_back(pyode_bridge.odeint(kinetics, y0, torch.logspace(-5, 3, 9), engine="julia"))


def solve_called_back() -> None:
    """A function whose operations depend on its values, so that Julia calls it back."""
    rate = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def decay(_t: Tensor, y: Tensor) -> Tensor:
        return -rate * y if y.sum() > 0 else rate * y

    y0 = torch.ones(2, dtype=torch.float64)
    pull_back(pyode_bridge.odeint(decay, y0, torch.linspace(0, 1, 5), engine="julia"))


def pull_back(values: object) -> None:
    """The gradient of the sum of a tensor."""
    assert isinstance(values, Tensor)
    values.sum().backward()  # type: ignore[no-untyped-call]


def main(file: Path) -> None:
    """Solve them all, and write the names."""
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        for method in METHODS:
            solve_with_gradient(dtype, method)
    solve_stiff()
    solve_called_back()
    file.write_text("\n".join(str(name) for name in start().compiled_packages()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
