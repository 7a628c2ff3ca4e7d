"""Operators that are taken apart give torch's numbers, and the products of their Jacobians."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx

from pyode_bridge.compiled.capture.decompositions import orderings
from pyode_bridge.compiled.capture.tracing import trace
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.jacobians import direction, pulled_back
from tests.compiled.capture.taken_apart import OPERATORS, flat, state
from tests.problems import DOUBLE

TIME = torch.tensor(0.75, dtype=DOUBLE)


def run(function: Callable[[Tensor, Tensor], Tensor], *at: Tensor) -> list[Tensor]:
    """What the graph, traced at the first point, computes at each."""
    with torch.no_grad():
        graph = trace(function, (TIME, at[0]))
        return [fx.GraphModule(graph.tensors, graph.graph)(TIME, y) for y in at]


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", OPERATORS)
def test_values_and_products_are_torchs(name: str) -> None:
    function, points = flat(name), [state(seed) for seed in range(4)]  # where another order of elements is met

    def product(t: Tensor, y: Tensor) -> Tensor:
        return pulled_back(lambda y: function(t, y), y, direction(len(function(t, y)), y), ())[0]

    for own in (function, product):
        found, true = run(own, *points), [own(TIME, y) for y in points]
        torch.testing.assert_close(found, true, rtol=1e-8, atol=1e-9)


def test_special_functions_at_their_ends() -> None:
    ends = torch.tensor([0.0, -0.0, -1.0, -2.0, 1e-300, 1e3, torch.inf, torch.nan], dtype=DOUBLE)
    for function in (torch.lgamma, torch.special.i0e, torch.special.i1e):
        torch.testing.assert_close(
            run(lambda t, y, f=function: f(y), ends)[0], function(ends), rtol=1e-10, atol=1e-12, equal_nan=True
        )
    inside = torch.tensor([-1.0, 1.0, 0.0, 1.5, 1e-20, torch.nan], dtype=DOUBLE)
    torch.testing.assert_close(run(lambda t, y: torch.erfinv(y), inside)[0], torch.erfinv(inside), equal_nan=True)
    quantiles = torch.tensor([0.0, 1.0, 0.5, 1e-300, -0.1, torch.nan], dtype=DOUBLE)
    expected = torch.special.ndtri(quantiles)
    torch.testing.assert_close(run(lambda t, y: torch.special.ndtri(y), quantiles)[0], expected, equal_nan=True)


def test_equal_elements_keep_their_order_and_nan_is_the_largest() -> None:
    y = torch.tensor([2.0, 1.0, torch.nan, 1.0, -torch.inf, torch.nan, 2.0], dtype=DOUBLE)
    for descending in (False, True):
        found = orderings.sort(y, descending=descending)
        true = torch.sort(y, stable=True, descending=descending)
        torch.testing.assert_close(found[1], true.indices)
        torch.testing.assert_close(found[0], true.values, equal_nan=True)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda t, y: torch.sort(y)[0], f"sorts 200 elements, of at most {orderings.LONGEST}"),
        (lambda t, y: torch.linalg.inv(y.view(10, 20) @ y.view(20, 10) + 0 * t)[0], ""),
    ],
    ids=["long", "small"],
)
def test_what_would_take_too_many_operations_is_refused(function: Callable[..., Tensor], words: str) -> None:
    y = torch.randn(200, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    if not words:
        trace(function, (TIME, y))
        return
    with pytest.raises(UnsupportedDynamicsError, match=words):
        trace(function, (TIME, y))
