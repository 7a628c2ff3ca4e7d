"""Random bad inputs: each call solves or says in time what is wrong, and the next solve is right."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.faults.aftermath import assert_next_solve_is_right
from tests.faults.bad_inputs import PREDICATES, Call, calls

FEW, MANY = 300, 10_000
LONGEST = 300.0  # seconds of a call, in which Julia may compile


def survive(engine: str, count: int, *, derandomize: bool = False) -> Counter[str]:
    """How often ``count`` calls ended in what way; ``derandomize`` draws the same ones each time."""
    endings: Counter[str] = Counter()

    @settings(
        max_examples=count,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls())
    def survives(call: Call) -> None:
        begin = time.perf_counter()
        endings[call.run(engine)] += 1
        assert time.perf_counter() - begin < LONGEST
        if sum(endings.values()) % 50 == 0:
            assert_next_solve_is_right(engine)

    survives()
    assert_next_solve_is_right(engine)
    return endings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("y0", "a meta tensor"),
        ("y0", "a sparse tensor"),
        ("func", "returns a sparse tensor"),
        ("t", "a meta tensor"),
        ("t", "10**400"),
        ("rtol", "10**400"),
        ("options", "tstops: a meta tensor"),
        ("options", "norm: an array"),
        ("sensealg", "an array"),
        ("lane", "an array"),
        ("mass_matrix", "a sparse tensor"),
        ("jac_sparsity", "a meta matrix"),
    ],
)
def test_what_raised_something_else_once(engine: str, name: str, value: str) -> None:
    assert Call("odeint", ((name, value),)).run(engine) == "InputError"


@pytest.mark.parametrize(
    "spoilt",
    [
        (("adjoint_params", "-1"), ("executor", "-1")),
        (("params", "a sparse tensor"), ("executor", "-1")),
        (("params", "a meta tensor"),),
    ],
)
def test_what_an_ensemble_raised_something_else_for_once(engine: str, spoilt: tuple[tuple[str, str], ...]) -> None:
    assert Call("solve_ensemble", spoilt).run(engine) == "InputError"


@pytest.mark.julia
@pytest.mark.parametrize("option", PREDICATES)
def test_a_test_of_options_says_true_or_false(option: str) -> None:
    assert Call("odeint", (("options", f"{option}: a function"),)).run("julia") == "InputError"


@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")
def test_a_few_hundred_bad_inputs(engine: str) -> None:
    endings = survive(engine, FEW, derandomize=True)
    assert {"solved", "InputError", "UnsupportedError"} <= set(endings)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore")
def test_ten_thousand_bad_inputs(engine: str) -> None:
    print(engine, dict(survive(engine, MANY)))
