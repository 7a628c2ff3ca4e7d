"""The list of solvers shows as a table, and is a list."""

from __future__ import annotations

import pytest

import pyode_bridge as pb
from pyode_bridge.cli import main
from tests.views.test_markup import cells

SOLVER = pb.SolverInfo("Good<1>", "a package", "explicit RK", 5, True, False, "ODE", "the best & only", "it stalls")
OTHER = pb.SolverInfo("Plain", "a package", "BDF/NDF", None, False, True, "DAE", "steps backward")


def test_it_is_a_list_of_solvers() -> None:
    table = pb.solvers("embedded")
    assert isinstance(table, list)
    assert all(isinstance(solver, pb.SolverInfo) for solver in table)
    assert [solver.name for solver in table][:2] == ["DP5", "Tsit5"]


def test_it_is_printed_by_family_with_traits_and_limits() -> None:
    assert repr(pb.SolverTable([SOLVER, OTHER])).splitlines() == [
        "explicit RK",
        "  Good<1>  order 5, adaptive         the best & only",
        "           ! it stalls",
        "",
        "BDF/NDF",
        "  Plain    order -, fixed, implicit  steps backward",
        "",
        "2 solvers",
    ]
    assert repr(pb.SolverTable([OTHER])).endswith("\n1 solver")
    assert repr(pb.SolverTable()) == "0 solvers"


def test_notebooks_show_a_row_for_each() -> None:
    assert cells(pb.SolverTable([SOLVER, OTHER])._repr_html_()) == [
        ["solver", "family", "order", "steps", "for", "source", "about"],
        ["Good<1>", "explicit RK", "5", "adaptive, explicit", "ODE", "a package", "the best & only Limit: it stalls"],
        ["Plain", "BDF/NDF", "-", "fixed, implicit", "DAE", "a package", "steps backward"],
    ]


def test_the_command_line_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solvers", "--engine", "embedded"]) == 0
    assert capsys.readouterr().out == f"{pb.solvers('embedded')}\n"


def test_those_for_stiff_problems_are_found() -> None:
    stiff = {solver.name for solver in pb.solvers("embedded", stiff=True)}
    assert {"QNDF", "RadauIIA5", "lsoda"} <= stiff
    assert not stiff & {"DP5", "Tsit5", "RK4"}
    assert stiff | {solver.name for solver in pb.solvers("embedded", stiff=False)} == {
        solver.name for solver in pb.solvers("embedded")
    }


@pytest.mark.julia
def test_explicit_solvers_that_are_stable_count_as_those_for_stiff_problems() -> None:
    stiff = {solver.name: solver for solver in pb.solvers("julia", stiff=True)}
    assert not stiff["ROCK4"].implicit
    assert not stiff["ETDRK4"].implicit
    assert {"Rodas5P", "FBDF", "KenCarp4", "RadauIIA5", "DFBDF"} <= set(stiff)
    assert not set(stiff) & {"Tsit5", "Vern7", "KahanLi8", "SSPRK43", "EM"}
