"""Operators that are taken apart give torch's numbers in Julia too, number by number and by loops."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.scalar_emitter import TooManyScalarsError
from pyode_bridge.problem.jacobians import direction, pulled_back
from tests.compiled.capture.taken_apart import OPERATORS, flat, state
from tests.compiled.running import EMITTERS, TIME, Function, Translated, compiled, traced, translated
from tests.problems import DOUBLE

PIECES = ["value", "product"]


def function_of(name: str, piece: str) -> Function:
    own = flat(name)
    if piece == "value":
        return own

    def product(t: Tensor, y: Tensor) -> Tensor:
        return pulled_back(lambda y: own(t, y), y, direction(len(own(t, y)), y), ())[0]

    return product


@functools.cache
def everything(emitter: str) -> tuple[dict[tuple[str, str], Translated | Exception], dict[str, int]]:
    """All of them translated, or why not, and the addresses of all functions, which are compiled at once."""
    found: dict[tuple[str, str], Translated | Exception] = {}
    for number, key in enumerate((name, piece) for name in OPERATORS for piece in PIECES):
        try:
            found[key] = translated(f"f{number}", traced(function_of(*key), state()), state(), emitter)
        except Exception as error:
            found[key] = error
    return found, compiled([piece for piece in found.values() if isinstance(piece, Translated)])


@pytest.mark.julia
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("emitter", EMITTERS)
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_what_torch_gives(name: str, piece: str, emitter: str) -> None:
    pieces, addresses = everything(emitter)
    made = pieces[name, piece]
    if isinstance(made, TooManyScalarsError):
        pytest.skip("it is written by loops alone")
    if isinstance(made, Exception):
        raise made
    expected = function_of(name, piece)(torch.tensor(TIME, dtype=DOUBLE), made.y)
    torch.testing.assert_close(made.run(addresses[made.name]), expected, rtol=1e-8, atol=1e-9)
