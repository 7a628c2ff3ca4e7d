"""Solver expressions: what is allowed works, anything else is refused and nothing of it is evaluated."""

from __future__ import annotations

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pyode_bridge as pb
from tests.problems import DOUBLE, Logistic

pytestmark = pytest.mark.julia

T = torch.tensor([0.0, 1.0], dtype=DOUBLE)


def solve(method: str) -> pb.Solution:
    with torch.no_grad():
        return pb.solve(Logistic(), torch.ones(2, dtype=DOUBLE), T, method=method, engine="julia")


@pytest.mark.parametrize(
    "method",
    [
        "Rodas5P(autodiff=AutoFiniteDiff())",
        "KenCarp4(linsolve=KrylovJL_GMRES())",
        "AutoVern9(Rodas5P())",
        "Vern7(; lazy = false)",
        "  Tsit5( ) ",
        "Rodas5P(linsolve = LUFactorization())",
        "Rodas5P(linsolve = KrylovJL_GMRES(), concrete_jac = true)",
    ],
)
def test_nested_calls_with_arguments_are_solvers(method: str) -> None:
    exact = Logistic().exact(torch.ones(2, dtype=DOUBLE), T)
    torch.testing.assert_close(solve(method).y, exact.detach(), rtol=1e-5, atol=1e-5)


def test_a_solver_of_a_package_that_is_missing_is_offered_for_installation() -> None:
    from juliacall import Main

    if Main.seval('Base.find_package("Sundials") !== nothing'):
        pytest.skip("Sundials is installed")
    with pytest.raises(pb.UnsupportedError, match=r"CVODE_BDF is a solver of Sundials.*install Sundials"):
        solve("CVODE_BDF(linear_solver=:GMRES)")


@pytest.mark.parametrize(
    "text",
    [
        "Tsit5(); run(`ls`)",
        "Base.exit()",
        "exit()",
        "@eval exit()",
        "$(exit())",
        "Tsit5(x = :(exit()))",
        "getfield(Base, :exit)()",
        "ccall(:exit, Cvoid, (Cint,), 0)",
        "import Base",
        "let; exit(); end",
        "Tsit5() |> exit",
        'include("/etc/passwd")',
        "Tsit5(" * 50 + ")" * 50,
        "(" * 500,
        "Tsit5" * 200_000,
        "\u0422sit5",  # a Cyrillic letter that looks like T
        "Tsit5\u200b",  # with a space of no width
        "Tsit5\x00",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_injections_are_refused(text: str) -> None:
    with pytest.raises((pb.UnknownSolverError, pb.UnsupportedError, pb.InputError)) as caught:
        solve(text)
    assert len(str(caught.value)) < 3000


WORDS = st.sampled_from(
    ["Tsit5", "Rodas5P", "AutoTsit5", "exit", "run", "eval", "Base", "(", ")", ",", "=", ";", ":", ".", "`ls`", '"a"',
     "1", "-1.5", "true", "nothing", "linsolve", "autodiff", "AutoFiniteDiff", "@", "$", "\n", " ", "begin", "end"]
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.lists(WORDS, max_size=12).map("".join), st.text(max_size=40)))
def test_any_text_is_a_solver_or_refused(text: str) -> None:
    from pyode_bridge.engines import julia_engine
    from pyode_bridge.problem.methods import as_method

    # Anything but these, or an end of the process, fails the test.
    with contextlib.suppress(pb.UnknownSolverError, pb.UnsupportedError, pb.InputError):
        julia_engine().check(as_method(text), None)
