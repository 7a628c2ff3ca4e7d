"""The page for those who come from torchdiffeq says what the package's table says, of all that torchdiffeq has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torchdiffeq
from torchdiffeq._impl.odeint import SOLVERS

import pyode_bridge as pb
from pyode_bridge.problem.options import FIELDS
from pyode_bridge.problem.torchdiffeq import ARGUMENTS, METHODS, OPTIONS

DOCS = Path(__file__).parents[2] / "docs"
FUNCTIONS = ("odeint", "odeint_adjoint", "odeint_event", "odeint_dense")
PASSED_ON = ("func", "y0", "rtol", "atol", "norm")  # by torchdiffeq itself, to its solvers


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    import make_torchdiffeq

    return make_torchdiffeq


def test_the_committed_page_is_what_the_table_makes(maker: Any) -> None:
    text = maker.PAGE.read_text(encoding="utf-8")
    assert text == maker.with_tables(text), "run `python docs/make_torchdiffeq.py`"
    assert set(re.findall(r"<!-- names: (\w+) -->", text)) == set(maker.MAKERS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_taken_and_in_the_table(name: str) -> None:
    theirs = inspect.signature(getattr(torchdiffeq, name)).parameters
    ours = inspect.signature(getattr(pb, name)).parameters
    named = [p.name for p in theirs.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    assert set(named) <= set(ours)
    assert set(named) <= set(ARGUMENTS)
    in_order = [p.name for p in theirs.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in ours.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == in_order


def test_every_method_is_in_the_table() -> None:
    assert set(SOLVERS) <= set(METHODS)


@pytest.mark.parametrize("name", sorted(set(SOLVERS)))
def test_every_option_of_a_method_is_in_the_table_with_its_steps(name: str) -> None:
    steps = METHODS[name].steps
    taken: set[str] = set()
    for cls in SOLVERS[name].__mro__:
        if "__init__" in vars(cls):
            taken |= set(inspect.signature(cls.__init__).parameters)
    options = taken - {"self", "kwargs", "unused_kwargs", "implicit", "args", *PASSED_ON}
    assert options <= set(OPTIONS)
    assert {option for option in options if steps not in OPTIONS[option].steps} == set()


def test_what_options_become_exists() -> None:
    for option in OPTIONS.values():
        assert {option.option, *option.besides} - {None} <= set(FIELDS)
