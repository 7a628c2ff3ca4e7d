"""Errors of paths: how far solvers for noise end from the solution for the very noise that they drew.

Geometric Brownian motion, ``dy = MU y dt + SIGMA y dW``, is solved by ``exp((MU - SIGMA²/2) t + SIGMA W(t))`` in Itô's
sense, and without ``SIGMA²/2`` in Stratonovich's. A second component ``dw = dW``, driven by the same process, tells
``W``: every solver adds it up without an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

import pyode_bridge as pb
from examples.support.measurements import first_line, repeated
from examples.support.work_precision import Point

NAME = "Brownian"
MU, SIGMA, T_END = 1.0, 0.6, 1.0
METHODS = ("EM", "RKMil", "SRIW1", "SOSRI", "WangLi3SMil_A", "EulerHeun")
QUICK_METHODS = ("EM",)
STEPS, QUICK_STEPS = tuple(2**k for k in range(3, 10)), (8, 32)
PATHS, QUICK_PATHS = 200, 20


def available(engine: str, *, quick: bool) -> list[str]:
    """Those of METHODS that are there for noise that components share."""
    known = {solver.name for solver in pb.solvers(engine, problem="SDE")}
    return [method for method in (QUICK_METHODS if quick else METHODS) if method in known]


def strong_errors(method: str, engine: str, *, quick: bool) -> Iterator[Point]:
    """For each number of steps the mean error over paths, relative to the mean solution, and the time of a path."""
    (solver,) = [solver for solver in pb.solvers(engine, problem="SDE") if solver.name == method]
    _measure(method, solver.calculus == "Ito", engine, STEPS[0], paths=1)  # not counted: it lets Julia compile
    for steps in QUICK_STEPS if quick else STEPS:
        yield _measure(method, solver.calculus == "Ito", engine, steps, QUICK_PATHS if quick else PATHS)


def _measure(method: str, ito: bool, engine: str, steps: int, paths: int) -> Point:
    settings = {"method": method, "engine": engine, "options": {"dt": T_END / steps, "adaptive": False}}

    def drift(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([MU * y[0], torch.zeros_like(y[1])])

    def diffusion(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([SIGMA * y[0], torch.ones_like(y[1])])

    y0, t = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, T_END], dtype=torch.float64)

    def one(seed: int) -> pb.Solution:
        return pb.solve_sde(drift, diffusion, y0, t, noise="scalar", seed=seed, **settings)

    try:
        _, seconds, _ = repeated(lambda: one(0), once=False)
        found = [one(seed) for seed in range(paths)]
    except pb.BridgeError as error:
        retcode = getattr(error, "retcode", type(error).__name__)
        return Point(NAME, method, float(steps), retcode, message=first_line(error))
    ends = torch.stack([solution.y[-1] for solution in found])
    rate = MU - SIGMA**2 / 2 if ito else MU
    exact = torch.exp(rate * T_END + SIGMA * ends[:, 1])
    error = ((ends[:, 0] - exact).abs().mean() / exact.mean()).item()
    return Point(NAME, method, float(steps), found[0].retcode, error, seconds)
