"""Components have the names by which code takes them out of a state, and are chosen by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.views.components import chosen, components, leaves
from tests.problems import DOUBLE

ROWS = 4


def values(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape, dtype=DOUBLE)


STATES: dict[str, Any] = {
    "a vector": values(3),
    "a number": values(),
    "a matrix": values(2, 3),
    "a tuple": (values(2), values()),
    "a dict": {"position": values(2), "speed": values()},
    "a dict of numbers": {1: values(), 2: values(2)},
}


@pytest.mark.parametrize("y", STATES.values(), ids=STATES)
def test_a_name_is_the_code_that_takes_the_component_out(y: Any) -> None:
    known = dict(y) if isinstance(y, dict) and "position" in y else {}
    for row in range(ROWS):
        one = y[row] if isinstance(y, Tensor) else _row(y, row)
        scope = {"y": one, **{key: leaf[row] for key, leaf in known.items()}}
        for name, found in components(y, 1).items():
            assert found[row] == eval(name, scope).item(), name


def _row(y: Any, row: int) -> Any:
    return {key: leaf[row] for key, leaf in y.items()} if isinstance(y, dict) else tuple(leaf[row] for leaf in y)


def test_each_element_is_a_component() -> None:
    assert list(components(STATES["a matrix"], 1)) == ["y[0, 0]", "y[0, 1]", "y[0, 2]", "y[1, 0]", "y[1, 1]", "y[1, 2]"]
    assert list(components(STATES["a tuple"], 1)) == ["y[0][0]", "y[0][1]", "y[1]"]
    assert list(components(STATES["a dict"], 1)) == ["position[0]", "position[1]", "speed"]
    assert list(components(STATES["a number"], 1)) == ["y"]


FOUND = components(STATES["a dict"], 1)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, ["position[0]", "position[1]", "speed"]),
        (2, ["speed"]),
        (-3, ["position[0]"]),
        ("speed", ["speed"]),
        ("position", ["position[0]", "position[1]"]),
        (["speed", 0], ["speed", "position[0]"]),
    ],
)
def test_components_are_chosen_by_name_and_position(wanted: Any, names: list[str]) -> None:
    found = chosen(FOUND, wanted)
    assert list(found) == names
    assert all(found[name] is FOUND[name] for name in names)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("sped", r"no component 'sped'; the state has position\[0\], position\[1\], speed\. Did you mean speed\?"),
        (3, r"no component 3; the state has .*, by name or by position from 0"),
        (True, "no component True"),
        (1.5, "no component 1.5"),
        ([], "No component is asked for"),
    ],
)
def test_what_is_no_component_is_refused(wanted: Any, message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        chosen(FOUND, wanted if isinstance(wanted, (int, str, list)) else [wanted])


def test_arrays_are_copies_without_autograd() -> None:
    y = values(2).requires_grad_()
    found = leaves(y)["y"]
    found[:] = 0
    assert y.abs().min() > 0


def test_half_precision_is_told_in_single() -> None:
    assert leaves(torch.ones(2, dtype=torch.bfloat16))["y"].dtype == np.float32
    assert leaves(torch.ones(2, dtype=torch.float16))["y"].dtype == np.float16
