"""Programs at random, on both engines and in each lane: they agree with torchdiffeq, or are refused with a reason.

A failure shows the program as a script; ``program(seed)`` makes it again.
"""

from __future__ import annotations

import collections
import traceback
from collections.abc import Iterable

import pytest

from pyode_bridge.errors import BridgeError, SolverError
from tests.hunt import running
from tests.hunt.features import FEATURES
from tests.hunt.forms import FORMS
from tests.hunt.grammar import STATES, Program, program

EMBEDDED = [("auto", 0)]
# In the last run the code is known from the first, and the numbers are others.
JULIA = [("auto", 0), ("callback", 0), ("auto", 10_000)]
SHOWN = 3  # of the programs that fail
REFUSED = 0.15  # of all, at most, by lanes that take any dynamics


def check(engine: str, runs: Iterable[tuple[str, int]], seeds: range) -> None:
    """Run the programs of some seeds; ``runs`` are lanes, and what is added to the seed of the numbers."""
    failed: list[str] = []
    refusals: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        tried = program(seed)
        for lane, more in runs:
            try:
                problem = _problem(tried, engine, lane, seed + more)
            except BridgeError as refusal:
                if lane != "compiled":
                    refusals[str(refusal)] += 1
                continue
            if problem is not None:
                failed.append(f"seed {seed} + {more}, lane {lane!r}: {problem}\n\n{tried.script(engine, lane)}")
                break
    assert not failed, f"{len(failed)} of {len(seeds)} programs failed:\n\n" + "\n\n".join(failed[:SHOWN])
    assert refusals.total() <= REFUSED * len(seeds) * len(list(runs)), refusals


def _problem(tried: Program, engine: str, lane: str, seed: int) -> str | None:
    """What is wrong with a run, or None; raises BridgeError where it is refused."""
    true = running.expected(tried, engine, seed)
    try:
        return running.difference(tried, true, running.found(tried, engine, lane, seed))
    except SolverError as error:  # what small steps of torchdiffeq solve is not refused
        return str(error)
    except BridgeError:
        raise
    except Exception:
        return traceback.format_exc()


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_some_programs(first: int) -> None:
    check("embedded", EMBEDDED, range(first, first + 50))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 10_000, 50))
def test_many_programs(first: int) -> None:
    check("embedded", EMBEDDED, range(first, first + 50))


@pytest.mark.julia
@pytest.mark.parametrize("first", range(0, 75, 15))
def test_programs_on_julia(first: int) -> None:
    check("julia", JULIA, range(first, first + 15))


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.parametrize("first", range(75, 3000, 15))
def test_many_programs_on_julia(first: int) -> None:
    check("julia", [*JULIA, ("compiled", 0)], range(first, first + 15))


def test_a_thousand_programs_do_everything() -> None:
    counts = collections.Counter(name for seed in range(1000) for name in program(seed).features)
    calls = {"odeint", "odeint_adjoint", "solve", "solve_ensemble", "explicit", "implicit", "fixed"}
    others = {"float32", "float64", "forwards", "backwards"}
    assert set(counts) == {*FEATURES, *FORMS, *STATES, *calls, *others}
    assert min(counts.values()) >= 10


def test_a_program_is_known_by_its_seed() -> None:
    assert all(program(seed) == program(seed) for seed in range(20))
    assert len({program(seed).body for seed in range(200)}) == 200


def test_the_comparison_sees_wrong_gradients() -> None:
    """A gradient that is missing, or off by a hundredth, is a difference."""
    tried = program(0)
    true = running.expected(tried, "embedded", 0)
    place = next(place for place, grad in enumerate(true.gradients) if grad is not None and grad.abs().max() > 0.1)
    for wrong in (None, true.gradients[place] * 1.05):  # type: ignore[operator]
        gradients = [*true.gradients]
        gradients[place] = wrong
        assert running.difference(tried, true, running.Found(true.values, gradients)) is not None
    assert running.difference(tried, true, true) is None
