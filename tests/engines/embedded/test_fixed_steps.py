"""Steps along a grid: torchdiffeq's numbers, by its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.engines.embedded.against import CLOSE, PAIR, Y0, Forced, Pair, T, both
from tests.problems import DOUBLE, Driven

EXPLICIT = ["euler", "midpoint", "heun2", "heun3", "rk4"]
ADAMS = ["explicit_adams", "implicit_adams", "fixed_adams"]


def uneven(func: Any, y0: Any, t: Tensor) -> Tensor:
    return t[0] + (t[-1] - t[0]) * torch.linspace(0, 1, 30, dtype=t.dtype) ** 1.3


OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "step_size": {"step_size": 0.07},
    "cubic": {"step_size": 0.07, "interp": "cubic"},
    "grid_constructor": {"grid_constructor": uneven},
    "perturb": {"step_size": 0.1, "perturb": True},
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("method", EXPLICIT + ADAMS)
def test_values_are_torchdiffeqs(method: str, name: str, backwards: bool) -> None:
    t = T.flip(0) if backwards else T
    theirs, ours = both(Forced(), Y0, t, method=method, options=OPTIONS[name], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("method", ADAMS)
@pytest.mark.parametrize("options", [{"max_order": 5}, {"max_order": 9, "max_iters": 8}])
def test_the_adams_family_takes_its_options(method: str, options: dict[str, Any]) -> None:
    options = {"step_size": 0.05, **options}
    theirs, ours = both(Forced(), Y0, T, method=method, options=options, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("method", ["heun3", "implicit_adams"])
def test_values_of_tuples_are_torchdiffeqs(method: str) -> None:
    theirs, ours = both(Pair(), PAIR, T, method=method, options={"step_size": 0.1})
    for expected, found in zip(theirs, ours, strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("method", [*EXPLICIT, *ADAMS])
@pytest.mark.parametrize("interp", ["linear", "cubic"])
def test_gradients_of_the_steps_are_torchdiffeqs(method: str, interp: str) -> None:
    found = []
    for odeint, extra in ((torchdiffeq.odeint, {}), (pb.odeint, {"engine": "embedded"})):
        func, y0 = Forced(), Y0.clone().requires_grad_()
        y = odeint(func, y0, T, method=method, options={"step_size": 0.15, "interp": interp}, **extra)
        found.append(torch.autograd.grad((y**2).cos().sum(), (y0, *func.parameters())))
    for expected, grad in zip(*found, strict=True):
        torch.testing.assert_close(grad, expected, **CLOSE)


def test_julias_rk4_is_kuttas_and_torchdiffeqs_the_three_eighths_rule() -> None:
    y0, t, h = torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 0.5], dtype=DOUBLE), 0.5

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.cos(3 * t) * y**2

    def stage(t: float, y: Tensor) -> Tensor:
        return f(torch.tensor(t, dtype=DOUBLE), y)

    k1 = stage(0.0, y0)
    k2 = stage(h / 2, y0 + h / 2 * k1)
    k3 = stage(h / 2, y0 + h / 2 * k2)
    kutta = y0 + h / 6 * (k1 + 2 * k2 + 2 * k3 + stage(h, y0 + h * k3))
    found = pb.odeint(f, y0, t, method="RK4", options={"adaptive": False, "dt": h}, engine="embedded")
    torch.testing.assert_close(found[-1], kutta, **CLOSE)
    assert (pb.odeint(f, y0, t, method="rk4", engine="embedded")[-1] - kutta).abs() > 1e-6


def test_callbacks_hear_of_each_step() -> None:
    class Telling(Forced):
        told: list[tuple[float, float]]

        def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
            self.told.append((float(t), float(dt)))

    heard = []
    for odeint, extra in ((torchdiffeq.odeint, {}), (pb.odeint, {"engine": "embedded"})):
        func = Telling()
        func.told = []
        odeint(func, Y0, T, method="midpoint", options={"step_size": 0.3}, **extra)
        heard.append(func.told)
    theirs, ours = heard
    assert len(ours) == 7
    for one, other in zip(theirs, ours, strict=True):
        assert one == pytest.approx(other, abs=1e-12)


def test_values_between_steps_of_julias_names_are_hermites() -> None:
    func, t = Driven(), torch.tensor([0.0, 0.37, 1.0], dtype=DOUBLE)
    options = {"dt": 0.1, "adaptive": False}
    with torch.no_grad():
        y = pb.odeint(func, Y0, t, method="RK4", options=options, engine="embedded")
    torch.testing.assert_close(y, func.exact(Y0, t).detach(), rtol=1e-3, atol=1e-4)
