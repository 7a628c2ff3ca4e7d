"""Every operation that has a translation gives torch's numbers, by number and by loops, in both precisions."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from pyode_bridge.compiled.operations import LOWERINGS
from pyode_bridge.compiled.operations.creation import EMPTY
from pyode_bridge.compiled.tracing import Graph
from tests.compiled.cases import CASES
from tests.compiled.operands import as_function, state
from tests.compiled.running import TIME, Function, Translated, compiled, traced, translated

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}
OPERATIONS = sorted(CASES, key=str)


def of_operation(operation: Any, dtype: torch.dtype) -> tuple[Function, Tensor]:
    calls = CASES[operation] if dtype == torch.float64 else CASES[operation][:2]  # each takes a while to compile
    return as_function(operation, calls), state(calls, dtype, seed=OPERATIONS.index(operation))


@functools.cache
def traced_operation(operation: Any, dtype: torch.dtype) -> Graph:
    return traced(*of_operation(operation, dtype))


@functools.cache
def everything(builder: str, dtype: torch.dtype) -> tuple[dict[Any, Translated | Exception], dict[str, int]]:
    """All operations translated, or why not, and the addresses of all functions, which are compiled at once."""
    found: dict[Any, Translated | Exception] = {}
    for place, operation in enumerate(OPERATIONS):
        try:
            graph = traced_operation(operation, dtype)
            found[operation] = translated(f"f{place}", graph, of_operation(operation, dtype)[1], builder)
        except Exception as error:
            found[operation] = error
    return found, compiled([piece for piece in found.values() if isinstance(piece, Translated)])


def test_every_operation_of_the_table_has_a_case():
    assert set(CASES) == set(LOWERINGS) - set(EMPTY)


def test_no_operation_of_the_table_is_taken_apart_before():
    composite = [operation for operation in LOWERINGS if is_composite(operation.name())]
    assert composite == []


def is_composite(name: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")


@pytest.mark.julia
@pytest.mark.parametrize(
    ("builder", "dtype"),
    [("by number", torch.float64), ("by loops", torch.float64), ("by loops", torch.float32)],
    ids=str,
)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_gives_what_torch_gives(operation, builder, dtype):
    pieces, addresses = everything(builder, dtype)
    piece = pieces[operation]
    if isinstance(piece, Exception):
        raise piece
    assert operation in {node.target for node in traced_operation(operation, dtype).graph.nodes}
    function, y = of_operation(operation, dtype)
    expected = function(torch.tensor(TIME, dtype=dtype), y)
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(piece.run(addresses[piece.name]), expected, rtol=tolerance, atol=tolerance)
