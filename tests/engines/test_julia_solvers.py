"""Julia's solvers by name: closed forms, the published ROBER reference, and names that are wrong."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from examples.support.problems.stiff import PROBLEMS as STIFF_PROBLEMS
from tests.conftest import julia_finds
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic

pytestmark = pytest.mark.julia

SOLVERS = ["Tsit5", "Vern7", "Rodas5P", "KenCarp4", "QNDF", "FBDF", "AutoTsit5(Rosenbrock23())"]
(ROBERTSON,) = (problem for problem in STIFF_PROBLEMS if problem.name == "ROBER")
STIFF = ["Rodas5P", "KenCarp4", "QNDF", "FBDF", "AutoTsit5(Rosenbrock23())"]


@pytest.mark.parametrize("problem", [Linear(SPIRAL), Logistic(), Driven()], ids=["linear", "logistic", "driven"])
@pytest.mark.parametrize("method", SOLVERS)
def test_closed_forms(method: str, problem: torch.nn.Module) -> None:
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 7, dtype=DOUBLE)
    solution = pb.solve(problem, y0, t, method=method, engine="julia", rtol=1e-9, atol=1e-9)
    assert solution.algorithm == method
    assert solution.engine == "julia"
    torch.testing.assert_close(solution.y, problem.exact(y0, t), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", STIFF)
def test_robertson_reaches_the_published_reference(method: str) -> None:
    y0 = torch.tensor(ROBERTSON.y0, dtype=DOUBLE)
    t = torch.tensor([0.0, ROBERTSON.t_end], dtype=DOUBLE)
    atol = torch.tensor([1e-12, 1e-18, 1e-10], dtype=DOUBLE)
    with torch.no_grad():
        solution = pb.solve(ROBERTSON.f, y0, t, method=method, engine="julia", rtol=1e-8, atol=atol)
    assert isinstance(solution.y, Tensor)
    expected = torch.tensor(ROBERTSON.y_end, dtype=DOUBLE)
    torch.testing.assert_close(solution.y[-1], expected, rtol=1e-3, atol=0)
    assert solution.stats.njac is not None
    assert solution.stats.njac > 0


@pytest.mark.parametrize("method", ["Rodas5P", "Tsit5", "QNDF"])
def test_a_jacobian_of_torch_is_used_by_implicit_solvers_only(method: str) -> None:
    solution = pb.solve(
        Driven(), torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE), method=method, engine="julia"
    )
    assert (solution.stats.njac > 0) == (method != "Tsit5")


def test_arguments_reach_the_solver() -> None:
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    y = pb.odeint(Logistic(), torch.ones(1, dtype=DOUBLE), t, method="KenCarp4(linsolve=LUFactorization())")
    torch.testing.assert_close(y, Logistic().exact(torch.ones(1, dtype=DOUBLE), t), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["Feagin12", "KenCarp5", "RDPK3Sp510"])
def test_values_between_steps_are_as_accurate_as_steps(method: str) -> None:
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.linspace(0.0, 2.0, 30, dtype=DOUBLE)
    y = pb.odeint(Driven(), y0, t, method=method, engine="julia", rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(y, Driven().exact(y0, t), rtol=0, atol=5e-5)


@pytest.mark.parametrize("method", ["VCABM", "JVODE"])
def test_a_first_step_that_would_mislead_warns(method: str) -> None:
    y0, t = torch.tensor([0.5], dtype=DOUBLE), torch.tensor([0.0, 0.24], dtype=DOUBLE)
    exact = Logistic().exact(y0, t)
    solver = {"method": method, "engine": "julia", "rtol": 1e-8, "atol": 1e-8}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(pb.odeint(Logistic(), y0, t, **solver), exact, rtol=0, atol=1e-6)
    with pytest.warns(RuntimeWarning, match="give no dt"):
        y = pb.odeint(Logistic(), y0, t, **solver, options={"dt": 0.05})
    assert (y - exact).abs().max() > 1e-5, "no more is wrong with it"


@pytest.mark.timeout(300, method="thread")
@pytest.mark.parametrize("method", ["KuttaPRK2p5", "ExtrapolationMidpointDeuflhard(threading=true)"])
def test_a_solver_that_would_call_from_several_threads_calls_from_one(method: str) -> None:
    y0, t = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    y = pb.odeint(Driven(), y0, t, method=method, engine="julia", options={"dt": 1 / 64})
    torch.testing.assert_close(y, Driven().exact(y0, t), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("Tsit55", "Did you mean.*Tsit5"),
        ("rodas5p", "Did you mean.*Rodas5P"),
        ("dopri6", "Did you mean dopri8, dopri5"),
        ("Nonsense", "no name that the installed"),
    ],
)
def test_unknown_solvers_get_suggestions(method: str, message: str) -> None:
    with pytest.raises(pb.UnknownSolverError, match=message):
        pb.odeint(Logistic(), torch.ones(1), torch.tensor([0.0, 1.0]), method=method, engine="julia")


@pytest.mark.parametrize("text", ["Tsit5; exit()", "begin Tsit5() end", "1 + 1", "run(`ls`)", "Tsit5(", "x -> x", "5"])
def test_anything_but_a_solver_expression_is_refused_and_not_evaluated(text: str) -> None:
    with pytest.raises((pb.UnsupportedError, pb.UnknownSolverError)):
        pb.odeint(Logistic(), torch.ones(1), torch.tensor([0.0, 1.0]), method=text, engine="julia")


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(pb.UnsupportedError, match="nosuch"):
        pb.odeint(Logistic(), torch.ones(1), torch.tensor([0.0, 1.0]), method="Tsit5(nosuch=1)", engine="julia")


def test_dual_numbers_are_refused_with_a_way_out() -> None:
    with pytest.raises(pb.UnsupportedError, match=r"AutoForwardDiff.*autodiff=AutoFiniteDiff\(\)"):
        pb.odeint(
            Driven(),
            torch.ones(1, dtype=DOUBLE),
            torch.tensor([0.0, 1.0], dtype=DOUBLE),
            method="Rodas5P(autodiff=AutoForwardDiff())",
            engine="julia",
        )


def test_the_catalogue_comes_from_julia() -> None:
    offered = {info.name: info for info in pb.solvers("julia")}
    assert len(offered) > 150
    assert {"Tsit5", "Vern7", "Rodas5P", "KenCarp4", "QNDF", "FBDF", "DP5", "RadauIIA5"} <= set(offered)
    assert offered["Rodas5P"].source == "OrdinaryDiffEqRosenbrock"


def test_an_algorithm_object_is_accepted() -> None:
    from juliacall import Main

    bridge = Main.PyODEBridge
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    solution = pb.solve(Logistic(), torch.ones(1, dtype=DOUBLE), t, method=bridge.Tsit5(), engine="julia")
    assert solution.algorithm == "Tsit5"


def test_an_algorithm_object_of_diffeqpy_is_accepted() -> None:
    if not julia_finds("DifferentialEquations"):
        pytest.skip("this Julia environment lacks DifferentialEquations, which diffeqpy starts")
    from diffeqpy import ode

    y0, t = torch.ones(1, dtype=DOUBLE, requires_grad=True), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    solution = pb.solve(Logistic(), y0, t, method=ode.Rodas5P(), engine="julia", rtol=1e-8, atol=1e-8)
    assert solution.algorithm == "Rodas5P"
    assert isinstance(solution.y, Tensor)
    torch.testing.assert_close(solution.y, Logistic().exact(y0, t), rtol=1e-6, atol=0)
    solution.y[-1].sum().backward()
    assert y0.grad is not None


@pytest.mark.parametrize("method", ["Rodas5P", "AutoTsit5(Rosenbrock23())"])
def test_rosenbrock_methods_take_one_relative_tolerance(method: str) -> None:
    y0, t = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    with pytest.raises(pb.UnsupportedError, match="takes one rtol"):
        pb.odeint(Logistic(), y0, t, method=method, engine="julia", rtol=torch.tensor([1e-3, 1e-6]))


@pytest.mark.parametrize("tolerance", ["rtol", "atol"])
def test_fully_implicit_methods_take_one_tolerance(tolerance: str) -> None:
    y0, t = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    given = {tolerance: torch.tensor([1e-3, 1e-6])}
    with pytest.raises(pb.UnsupportedError, match=f"RadauIIA5 takes one {tolerance}"):
        pb.odeint(Logistic(), y0, t, method="RadauIIA5", engine="julia", **given)


def test_events_refuse_a_relative_tolerance_for_each_component_alike() -> None:
    y0, t = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    event = pb.Event(lambda t, y: y[0] - 1.5)
    with pytest.raises(pb.UnsupportedError, match="Rodas5P takes one rtol"):
        pb.solve_events(Logistic(), y0, t, [event], method="Rodas5P", engine="julia", rtol=torch.tensor([1e-3, 1e-6]))
