"""Every ODE solver of the running Julia solves small problems, or is listed with the reason why it does not."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines.julia.limits import LIMITED, OPTIONAL
from tests.engines.bounds import BOUND, BOUNDS, bound_of
from tests.problems import DOUBLE, Coupled

pytestmark = [pytest.mark.julia, pytest.mark.slow]

SPAN = torch.tensor([0.1, 1.1], dtype=DOUBLE)
TOLERANCE = 1e-6
FRONT_BOUND = 5e-3  # for the same behind a steep front
FIXED_STEPS = {"dt": 1 / 256}
MEETS_THE_FRONT = {"dtmax": 0.1}  # a high order may take a step so large that it does not see the front
OPTIONS = {"maxiters": 20_000}  # one that steps too small is stopped early

# Names of families, as the catalogue has them: each is a case of its own, which can be run alone.
FAMILIES = (
    *("BDF/NDF", "FIRK", "IMEX multistep", "Nystrom", "Rosenbrock", "SDIRK", "Verner", "automatic", "explicit RK"),
    *("exponential", "extrapolation", "linear (Magnus, Lie)", "low-storage RK", "multistep", "parallel DIRK"),
    *("stabilised", "strong-stability RK", "global error", "multirate"),
)


class Known(Protocol):
    """Dynamics with a solution in closed form."""

    def __call__(self, t: Tensor, y: Tensor) -> Tensor: ...

    def exact(self, t: Tensor) -> Tensor: ...


class Autonomous(Coupled):
    """The same equations with the time as a fifth component of the state."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.cat([super().forward(y[4], y[:4]), y.new_ones(1)])

    def exact(self, t: Tensor) -> Tensor:
        return torch.cat([super().exact(t), t.unsqueeze(-1)], dim=-1)


class Front:
    """``dy/dt = g(t) - y + dg/dt``, which rises steeply in the middle: adaptive solvers have to reject steps there.

    With ``g = 2 + sin t + tanh(50 (t - 0.6))``, the solution is ``g + c exp(-t)``.
    """

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        steep = torch.tanh(50 * (t - 0.6))
        return 2 + torch.sin(t) + steep - y + torch.cos(t) + 50 * (1 - steep**2)

    def exact(self, t: Tensor) -> Tensor:
        forced = 2 + torch.sin(t) + torch.tanh(50 * (t - 0.6))
        return torch.stack([forced, forced + torch.exp(-t)], dim=-1)


class Turning(pb.Quasilinear):
    """``dy/dt = A y`` with a matrix that turns."""

    def __init__(self) -> None:
        self.turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=DOUBLE)
        super().__init__(lambda t, y: self.turn)

    def exact(self, t: Tensor) -> Tensor:
        return torch.stack([torch.cos(t) - torch.sin(t), torch.sin(t) + torch.cos(t)], dim=-1)


class Relaxing(pb.Split):
    """``dy/dt = -3 y + (3 sin t + cos t)``, in these two parts, the first as a function or a matrix."""

    def __init__(self, *, by_matrix: bool) -> None:
        linear = -3 * torch.eye(2, dtype=DOUBLE) if by_matrix else lambda t, y: -3 * y
        super().__init__(linear, lambda t, y: (3 * torch.sin(t) + torch.cos(t)).expand(2))

    def exact(self, t: Tensor) -> Tensor:
        decay = torch.exp(-3 * t)
        return torch.stack([torch.sin(t) + decay, torch.sin(t) + 2 * decay], dim=-1)


@functools.cache
def ode_solvers() -> list[pb.SolverInfo]:
    return list(pb.solvers("julia", problem="ODE"))


def fault(method: str, dynamics: Known, options: Mapping[str, Any], bound: float = BOUND) -> str:
    """An empty string for a solution within the bound, else what is wrong."""
    try:
        with torch.no_grad():
            y = pb.odeint(
                dynamics,
                dynamics.exact(SPAN[0]),
                SPAN,
                method=method,
                engine="julia",
                rtol=TOLERANCE,
                atol=TOLERANCE,
                options={**OPTIONS, **options},
            )
    except pb.BridgeError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    assert isinstance(y, Tensor)
    error_reached = (y[-1] / dynamics.exact(SPAN[-1]) - 1).abs().max().item()
    return "" if error_reached < bound else f"relative error {error_reached:.1e}"


def faults(solver: pb.SolverInfo) -> list[str]:
    """What is wrong with a solver as it stands."""
    bound = bound_of(solver)
    found = [fault(solver.name, Coupled(), {} if solver.adaptive else FIXED_STEPS, bound)]
    if solver.adaptive:
        found.append(fault(solver.name, Front(), MEETS_THE_FRONT, max(bound, FRONT_BOUND)))
    return [wrong for wrong in found if wrong]


WAYS_OUT: dict[str, Callable[[str], str]] = {
    "fixed steps": lambda name: fault(name, Coupled(), {**FIXED_STEPS, "adaptive": False}),
    "autonomous dynamics": lambda name: fault(name, Autonomous(), FIXED_STEPS),
    "Quasilinear": lambda name: fault(name, Turning(), FIXED_STEPS),
    "Split": lambda name: fault(name, Relaxing(by_matrix=False), FIXED_STEPS, BOUNDS[1]),
    "Split and m=4": lambda name: fault(f"{name}(m=4)", Relaxing(by_matrix=False), {}),
    "Split, m=4 and fixed steps": lambda name: fault(
        f"{name}(m=4)", Relaxing(by_matrix=False), {**FIXED_STEPS, "adaptive": False}
    ),
    "Split(matrix, f)": lambda name: fault(name, Relaxing(by_matrix=True), FIXED_STEPS, BOUNDS[1]),
    "krylov=true": lambda name: fault(f"{name}(krylov=true)", Autonomous(), FIXED_STEPS, BOUNDS[1]),
}


def complaints(solver: pb.SolverInfo) -> list[str]:
    """What is wrong with a solver, or with what is said of it."""
    found = faults(solver)
    if not solver.limit:
        return found
    if not found:
        return ["is listed as limited, but works"]
    limit = LIMITED[solver.name]
    wrong = WAYS_OUT[limit.works_with](solver.name) if limit.works_with else ""
    return [f"does not work with {limit.works_with} either: {wrong}"] if wrong else []


@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_solver_works_or_is_listed(family: str) -> None:
    wrong: dict[str, list[str]] = {}
    for solver in ode_solvers():
        if solver.family != family:
            continue
        start = time.perf_counter()
        if found := complaints(solver):
            wrong[solver.name] = found
        verdict = "; ".join(found) or ("limited, as listed" if solver.limit else "works")
        print(f"{solver.name:36} {time.perf_counter() - start:6.1f} s  {verdict}", flush=True)
    assert not wrong


@pytest.mark.timeout(3600)
def test_every_partitioned_solver_works() -> None:
    """On ``q'' = -q``: ``cos t`` and ``-sin t``."""
    start, wrong = (torch.cos(SPAN[0]).view(1), -torch.sin(SPAN[0]).view(1)), {}
    for solver in pb.solvers("julia", problem="partitioned"):
        options = {} if solver.adaptive else FIXED_STEPS
        spring = pb.SecondOrder(lambda t, q, v: -q)
        try:
            q, v = pb.odeint(
                spring, start, SPAN, method=solver.name, engine="julia", rtol=1e-6, atol=1e-6, options=options
            )
            error = max((q[-1] - torch.cos(SPAN[-1])).abs().item(), (v[-1] + torch.sin(SPAN[-1])).abs().item())
            found = "" if error < bound_of(solver) else f"error {error:.1e}"
        except pb.BridgeError as complaint:
            found = str(complaint).splitlines()[0]
        print(f"{solver.name:36} {found or 'works'}", flush=True)
        if bool(found) != bool(solver.limit):
            wrong[solver.name] = found or "is listed as limited, but works"
    assert not wrong


def test_every_family_is_a_case_and_every_listed_solver_exists() -> None:
    assert {solver.family for solver in ode_solvers()} <= set(FAMILIES)
    solvers = pb.solvers("julia")
    absent = OPTIONAL.keys() - {solver.source for solver in solvers}
    of_absent = {name for package in absent for name in OPTIONAL[package]}
    assert set(LIMITED) - of_absent <= {solver.name for solver in solvers}
