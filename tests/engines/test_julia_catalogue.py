"""The catalogue of the running Julia: what it says of solvers, and that one of each family solves."""

from __future__ import annotations

import pytest
import torch

import pyode_bridge as pb
from tests.problems import DOUBLE, Driven

pytestmark = pytest.mark.julia

Y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
T = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE)


def error_of(solver: pb.SolverInfo) -> float:
    """Largest error on a problem that changes with time, by small steps where the solver has fixed ones."""
    options = {} if solver.adaptive else {"dt": 1 / 256}
    with torch.no_grad():
        y = pb.odeint(Driven(), Y0, T, method=solver.name, engine="julia", rtol=1e-6, atol=1e-6, options=options)
    assert isinstance(y, torch.Tensor)
    return (y - Driven().exact(Y0, T)).abs().max().item()


def test_traits_are_julias() -> None:
    solvers = {solver.name: solver for solver in pb.solvers("julia")}
    assert (solvers["Tsit5"].order, solvers["Tsit5"].adaptive, solvers["Tsit5"].implicit) == (5, True, False)
    assert (solvers["Rodas5P"].order, solvers["Rodas5P"].adaptive, solvers["Rodas5P"].implicit) == (5, True, True)
    assert (solvers["Euler"].order, solvers["Euler"].adaptive) == (1, False)
    assert solvers["KahanLi8"].problem == "partitioned"
    assert solvers["DFBDF"].problem == "DAE"
    families = {solver.family for solver in solvers.values()}
    assert {"explicit RK", "Verner", "Rosenbrock", "SDIRK", "FIRK", "BDF/NDF", "stabilised", "symplectic"} <= families


def test_summaries_are_prose_of_the_docstrings() -> None:
    summaries = {solver.name: solver.summary for solver in pb.solvers("julia")}
    assert "Tsitouras" in summaries["Tsit5"]
    assert not any("#" in summary for summary in summaries.values())
    assert not any("\n" in summary or "(;" in summary.split(" ")[0] for summary in summaries.values())


def test_a_limit_is_told_in_the_catalogue_and_at_the_solve() -> None:
    (solver,) = [solver for solver in pb.solvers("julia", family="low-storage RK") if solver.name == "CKLLSRK43_2"]
    assert "rejected step" in solver.limit
    with pytest.warns(RuntimeWarning, match="CKLLSRK43_2.*wrong values.*'adaptive': False"):
        pb.odeint(Driven(), Y0, T, method="CKLLSRK43_2", engine="julia")


def test_the_catalogue_is_filtered() -> None:
    found = pb.solvers("julia", family="Rosenbrock", min_order=5, adaptive=True)
    assert "Rodas5P" in [solver.name for solver in found]
    assert all(solver.family == "Rosenbrock" and (solver.order or 0) >= 5 for solver in found)
    with pytest.raises(pb.InputError, match="Did you mean Rosenbrock"):
        pb.solvers("julia", family="Rosenbrok")


@pytest.mark.parametrize("name", ["Ralston", "CarpenterKennedy2N54", "SSPRK43", "ROCK4", "VCABM", "TRBDF2", "ABDF2"])
def test_a_solver_of_each_further_family_solves(name: str) -> None:
    (solver,) = [solver for solver in pb.solvers("julia") if solver.name == name]
    assert error_of(solver) < 1e-3
