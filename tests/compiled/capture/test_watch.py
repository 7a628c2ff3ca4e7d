"""Guards of a function that was met before are those that a walk would find, whatever was changed meanwhile."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pyode_bridge.compiled.capture import guards
from pyode_bridge.compiled.capture.guards import Guards, guards_of

scale = 2.0
library = types.ModuleType("library")
library.factor = 3.0  # type: ignore[attr-defined]


class Decay(nn.Module):
    power = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        self.rate, self.rates, self.named = 1.0, [1.0, 2.0], {"slow": 1.0, "fast": 2.0}
        self.register_buffer("start", torch.ones(2))

    def forward(self, t: Tensor, y: Tensor, by: float = 1.0, *, twice: bool = False) -> Tensor:
        return self.shown(self.net(y)) * self.rate * scale * library.factor * self.rates[0] * self.named["slow"]

    def shown(self, y: Tensor) -> Tensor:
        return y * self.start


class Other(Decay):
    def shown(self, y: Tensor) -> Tensor:
        return y


def fresh(func: Any) -> Guards:
    return guards._walked(func)[0]


def assert_as_walked(func: Any) -> None:
    found, expected = guards_of(func), fresh(func)
    assert found.key == expected.key
    assert list(map(id, found.tensors)) == list(map(id, expected.tensors))
    assert found.exhaustive == expected.exhaustive


def rename(model: Any) -> None:
    model.named["quick"] = model.named.pop("slow")


def another_parameter(model: Any) -> None:
    model.net[0].weight = nn.Parameter(torch.ones(2, 2))


def another_shape(model: Any) -> None:
    model.net[0].weight.data = torch.ones(3, 2)


def another_layer(model: Any) -> None:
    model.net[1] = nn.Sigmoid()


def another_type(model: Any) -> None:
    model.double()


def deleted(model: Any) -> None:
    del model.rate


CHANGES: dict[str, Callable[[Any], object]] = {
    "an attribute": lambda model: setattr(model, "rate", 3.0),
    "an attribute more": lambda model: setattr(model, "extra", 3.0),
    "an attribute less": deleted,
    "an item of a list": lambda model: model.rates.__setitem__(0, 5.0),
    "an item more": lambda model: model.rates.append(5.0),
    "an item of a dictionary": lambda model: model.named.__setitem__("slow", 5.0),
    "a key": rename,
    "a parameter": another_parameter,
    "the shape of a parameter": another_shape,
    "the dtype": another_type,
    "a layer": another_layer,
    "the mode": lambda model: model.eval(),
    "a hook": lambda model: model.net.register_forward_hook(lambda *_: None),
    "a buffer": lambda model: setattr(model, "start", torch.zeros(2)),
    "the class": lambda model: setattr(model, "__class__", Other),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_module_is_walked_again(change: str) -> None:
    model = Decay()
    for _ in range(3):
        assert_as_walked(model)
    before = guards_of(model)
    assert guards_of(model) is before, "nothing has changed"
    CHANGES[change](model)
    assert_as_walked(model)
    after = guards_of(model)
    assert after.key != before.key or list(map(id, after.tensors)) != list(map(id, before.tensors))
    assert_as_walked(model)


def test_values_of_parameters_do_not_matter() -> None:
    model = Decay()
    guards_of(model), guards_of(model)
    before = guards_of(model)
    with torch.no_grad():
        model.net[0].weight.add_(1.0)
    assert guards_of(model) is before


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (Decay, "power", 2.0),
        (Decay, "shown", lambda self, y: -y),
        (library, "factor", 4.0),
        ("globals", "scale", 5.0),
        (Decay.forward, "__defaults__", (2.0,)),
        (Decay.forward, "__kwdefaults__", {"twice": True}),
        (Decay.forward, "__code__", Decay.shown.__code__),
    ],
)
def test_what_a_module_uses_of_elsewhere(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, value: Any) -> None:
    model = Decay()
    for _ in range(3):
        before = guards_of(model)
    if where == "globals":
        monkeypatch.setitem(globals(), name, value)
    else:
        monkeypatch.setattr(where, name, value)
    assert guards_of(model).key != before.key
    assert_as_walked(model)


def closing_over(held: Any) -> tuple[Callable[..., Any], Callable[[Any], None]]:
    def func(t: Tensor, y: Tensor) -> Any:
        return y * held

    def hold(value: Any) -> None:
        nonlocal held
        held = value

    return func, hold


@pytest.mark.parametrize("value", [3.0, torch.ones(2), [1.0], None])
def test_what_a_closure_holds(value: Any) -> None:
    func, hold = closing_over(2.0)
    for _ in range(3):
        before = guards_of(func)
    hold(value)
    assert guards_of(func).key != before.key
    assert_as_walked(func)


def test_contents_of_arrays_masks_and_sets() -> None:
    for held, change in (
        (np.ones(2), lambda array: array.fill(3.0)),
        (torch.tensor([True, False]), lambda mask: mask.logical_not_()),
        ({1.0}, lambda numbers: numbers.add(2.0)),
    ):
        func, _ = closing_over(held)
        for _ in range(3):
            before = guards_of(func)
        change(held)  # type: ignore[operator]
        assert guards_of(func).key != before.key
        assert_as_walked(func)


def test_nothing_lives_longer() -> None:
    model = Decay()
    for _ in range(3):
        guards_of(model)
    gone = [weakref.ref(model), weakref.ref(model.net[0].weight)]
    del model
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_function_that_reaches_itself_does_not_live_longer_either() -> None:
    model = Decay()
    model.rates.append(model)  # type: ignore[arg-type]
    for _ in range(3):
        assert_as_walked(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_autograd_computed_is_not_kept() -> None:
    weight = torch.ones(2, requires_grad=True)
    func, hold = closing_over(weight * 2)
    for _ in range(3):
        guards_of(func)
    gone = weakref.ref(func.__closure__[0].cell_contents)  # type: ignore[index]
    hold(None)
    assert gone() is None
