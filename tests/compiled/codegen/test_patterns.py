"""Patterns of Jacobians, found in graphs, hold every entry that the Jacobian has, and few others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyode_bridge.compiled.capture.tracing import trace
from pyode_bridge.compiled.codegen.patterns import pattern_of
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from tests.problems import DOUBLE

N = 12
WEIGHTS = torch.rand(N, N, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
BAND = torch.eye(N, dtype=DOUBLE).roll(1, 0) - torch.eye(N, dtype=DOUBLE)
KERNEL = torch.tensor([1.0, -2.0, 1.0], dtype=DOUBLE).view(1, 1, 3)

Function = Callable[[Tensor, Tensor], Tensor]
FUNCTIONS: dict[str, Function] = {
    "roll": lambda t, y: torch.roll(y, 1) - 2 * y + torch.roll(y, -1),
    "grid": lambda t, y: (torch.roll(y.view(3, 4), 1, 0) * y.view(3, 4) + torch.roll(y.view(3, 4), 1, 1)).reshape(-1),
    "padded": lambda t, y: torch.nn.functional.pad(y, (1, 1))[2:] * t - y**2,
    "convolution": lambda t, y: torch.nn.functional.conv1d(y.view(1, 1, -1), KERNEL, padding=1).view(-1),
    "joined": lambda t, y: torch.cat([y[6:] * y[:6], y[:6].sin()]),
    "sum": lambda t, y: y * y[:3].sum(),
    "rows": lambda t, y: (y.view(3, 4) - y.view(3, 4).mean(1, keepdim=True)).reshape(-1),
    "softmax": lambda t, y: torch.softmax(y.view(4, 3), dim=1).reshape(-1),
    "written in place": lambda t, y: torch.zeros_like(y).index_put((torch.tensor([1, 4]),), y[[2, 3]] ** 2),
    "added at": lambda t, y: torch.zeros_like(y).index_add(0, torch.tensor([0, 0, 5]), y[:3].exp()),
    "batched product": lambda t, y: torch.bmm(y.view(3, 2, 2), y.view(3, 2, 2)).reshape(-1),
    "known band": lambda t, y: torch.roll(torch.eye(N, dtype=DOUBLE), 1, 0) @ y,
    "chosen": lambda t, y: torch.where(y > torch.roll(y, 1), y, torch.roll(y, 2)),
    "nothing": lambda t, y: torch.ones_like(y) * t,
    "sign": lambda t, y: torch.sign(y) * torch.roll(y, 1),
}


def pattern(function: Function, *outside: Tensor) -> Tensor:
    y = torch.linspace(0.1, 1.0, N, dtype=DOUBLE)
    graph = trace(function, (torch.tensor(0.5, dtype=DOUBLE), y))
    rows, columns = pattern_of(graph, outside, N, DOUBLE)
    found = torch.zeros(N, N, dtype=torch.bool)
    found[rows, columns] = True
    assert len(rows) == found.sum(), "each entry once"
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_pattern_is_that_of_jacobians_at_several_points(name: str) -> None:
    random, true = torch.Generator().manual_seed(1), torch.zeros(N, N, dtype=torch.bool)
    for _ in range(20):
        y = torch.rand(N, dtype=DOUBLE, generator=random)
        true |= torch.func.jacrev(lambda y: FUNCTIONS[name](torch.tensor(0.7, dtype=DOUBLE), y))(y) != 0
    found = pattern(FUNCTIONS[name])
    assert (found | ~true).all(), "no entry is missing"
    if name != "sign":  # of which the derivative is zero, and taken for one that is not
        assert torch.equal(found, true)


def test_a_matrix_of_the_users_may_have_any_entry_at_the_next_solve() -> None:
    assert pattern(lambda t, y: BAND @ y, BAND).all()


def test_what_depends_on_too_much_is_said_to() -> None:
    size = 4000
    y, weights = torch.zeros(size), torch.zeros(size, size)
    graph = trace(lambda t, y: weights @ y, (torch.tensor(0.0), y))
    with pytest.raises(UnsupportedDynamicsError, match="too many components"):
        pattern_of(graph, (weights,), size, torch.float32)
