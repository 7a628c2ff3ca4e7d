"""Every operation that has a translation gives torch's numbers, by number and by loops, in both precisions."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from pyode_bridge.compiled.capture.tracing import Graph
from pyode_bridge.compiled.codegen.scalar_emitter import TooManyScalarsError
from pyode_bridge.compiled.lowerings import REGISTRY, factorisations
from pyode_bridge.compiled.lowerings.arithmetic import BINARY, COMPARISONS
from pyode_bridge.compiled.lowerings.creation import EMPTY
from pyode_bridge.compiled.lowerings.unary import ONE_ARGUMENT
from tests.compiled.lowerings.cases import CASES
from tests.compiled.lowerings.operands import as_function, state
from tests.compiled.running import EMITTERS, TIME, Function, Translated, compiled, traced, translated

aten = torch.ops.aten

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}
OPERATIONS = sorted(CASES, key=str)
KERNELS = {operation for operation, lowering in REGISTRY.items() if lowering.__module__ == factorisations.__name__}


def of_operation(operation: Any, dtype: torch.dtype) -> tuple[Function, Tensor]:
    calls = CASES[operation] if dtype == torch.float64 else CASES[operation][:2]  # each takes a while to compile
    return as_function(operation, calls), state(calls, dtype, seed=OPERATIONS.index(operation))


@functools.cache
def traced_operation(operation: Any, dtype: torch.dtype) -> Graph:
    return traced(*of_operation(operation, dtype))


@functools.cache
def everything(emitter: str, dtype: torch.dtype) -> tuple[dict[Any, Translated | Exception], dict[str, int]]:
    """All operations translated, or why not, and the addresses of all functions, which are compiled at once."""
    found: dict[Any, Translated | Exception] = {}
    for place, operation in enumerate(OPERATIONS):
        try:
            graph = traced_operation(operation, dtype)
            found[operation] = translated(f"f{place}", graph, of_operation(operation, dtype)[1], emitter)
        except Exception as error:
            found[operation] = error
    return found, compiled([piece for piece in found.values() if isinstance(piece, Translated)])


def test_every_operation_of_the_table_has_a_case():
    of_complex_parameters = {aten.view_as_real.default}  # which no state is: see the tests of complex equations
    assert set(CASES) == set(REGISTRY) - set(EMPTY) - of_complex_parameters


def test_no_operation_of_the_table_is_taken_apart_before():
    composite = [operation for operation in REGISTRY if is_composite(operation.name())]
    assert composite == []


def is_composite(name: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")


@pytest.mark.parametrize("emitter", EMITTERS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_can_be_written(operation, emitter):
    graph, (_, y) = traced_operation(operation, torch.float64), of_operation(operation, torch.float64)
    try:
        assert "function f(" in translated("f", graph, y, emitter).text
    except TooManyScalarsError:
        assert operation in KERNELS


@pytest.mark.julia
@pytest.mark.parametrize(
    ("emitter", "dtype"),
    [("scalars", torch.float64), ("loops", torch.float64), ("loops", torch.float32)],
    ids=str,
)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_gives_what_torch_gives(operation, emitter, dtype):
    pieces, addresses = everything(emitter, dtype)
    piece = pieces[operation]
    if isinstance(piece, TooManyScalarsError) and operation in KERNELS:
        pytest.skip("it is a kernel, which takes memory")
    if isinstance(piece, Exception):
        raise piece
    assert operation in {node.target for node in traced_operation(operation, dtype).graph.nodes}
    function, y = of_operation(operation, dtype)
    expected = function(torch.tensor(TIME, dtype=dtype), y)
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(piece.run(addresses[piece.name]), expected, rtol=tolerance, atol=tolerance)


SPECIAL = [torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1.0, -1.0, 0.1, 0.5, -2.5, 3.0, 700.0, -700.0, 1e-300]
ALONE = [operation for operations in ONE_ARGUMENT.values() for operation in operations]
PAIRED = [operations[0] for table in (BINARY, COMPARISONS) for operations in table.values()] + [
    aten.div.Tensor, aten.pow.Tensor_Tensor, aten.floor_divide.default, aten.clamp_min.Tensor,
]  # fmt: skip


def of_special(operation: Any) -> Function:
    """One number from `SPECIAL`, or each with each."""
    if operation in ALONE:
        return lambda t, y: operation(y)
    return lambda t, y: operation(y[:, None], y).to(y.dtype).reshape(-1)


@functools.cache
def special() -> tuple[dict[Any, Translated], dict[str, int]]:
    y = torch.tensor(SPECIAL, dtype=torch.float64)
    found = {
        operation: translated(f"f{place}", traced(of_special(operation), y), y, "loops")
        for place, operation in enumerate(ALONE + PAIRED)
    }
    return found, compiled(list(found.values()))


@pytest.mark.julia
@pytest.mark.parametrize("operation", ALONE + PAIRED, ids=str)
def test_outside_of_its_domain_and_at_infinity_an_operation_is_what_torch_says(operation):
    pieces, addresses = special()
    piece = pieces[operation]
    expected = of_special(operation)(torch.tensor(TIME), piece.y)
    found = piece.run(addresses[piece.name])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.julia
@pytest.mark.parametrize("emitter", EMITTERS)
def test_empty_tensors_that_are_written_to(emitter):
    def function(t, y):
        like, new, plain = torch.empty_like(y), y.new_empty(3), torch.empty(3, dtype=y.dtype)
        strided = y.new_empty_strided((3,), (1,))
        for place, made in enumerate((like, new, plain, strided), 1):
            made[:] = place * y
            made[0] = t
        return torch.cat([like, new, plain, strided])

    y = torch.randn(3, dtype=torch.float64)
    piece = translated("f", traced(function, y), y, emitter)
    expected = function(torch.tensor(TIME, dtype=y.dtype), y)
    torch.testing.assert_close(piece.run(compiled([piece])["f"]), expected)
