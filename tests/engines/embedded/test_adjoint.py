"""The paper's adjoint: torchdiffeq's numbers, by its options, its norms and its callbacks.

Of dynamics that depend on time, torchdiffeq's backward solve controls the error of one component more, the adjoint of
time, whether anybody wants it or not; so its steps are compared of dynamics that do not.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.engines.embedded.against import PAIR, Y0, Forced, Free, Pair, T, both_gradients
from tests.problems import DOUBLE

CLOSE = {"rtol": 1e-10, "atol": 1e-11}
STEPS = {"step_size": 0.05}
STOPS = torch.tensor([0.3, 1.6], dtype=DOUBLE)


def largest(tensors: Any) -> Tensor:
    return max(tensor.abs().max() for tensor in tensors)


SETTINGS: dict[str, dict[str, Any]] = {
    "rk4": {"method": "rk4", "options": STEPS},
    "rk4 from time to time": {"method": "rk4"},
    "euler": {"method": "euler", "options": STEPS},
    "heun3 perturbed": {"method": "heun3", "options": {**STEPS, "perturb": True}},
    "implicit_adams": {"method": "implicit_adams", "options": STEPS},
    "dopri5": {"method": "dopri5"},
    "fehlberg2": {"method": "fehlberg2"},
    "other steps backwards": {"method": "dopri5", "adjoint_method": "rk4", "adjoint_options": STEPS},
    "other tolerances": {"method": "dopri5", "adjoint_rtol": 1e-3, "adjoint_atol": 1e-4},
    "control": {"method": "dopri5", "adjoint_options": {"safety": 0.7, "ifactor": 3.0, "first_step": 0.01}},
    "seminorm": {"method": "dopri5", "adjoint_options": {"norm": "seminorm"}},
    "a function": {"method": "dopri5", "adjoint_options": {"norm": largest}},
    "grid": {
        "method": "rk4",
        "options": {"grid_constructor": lambda f, y, t: torch.cat([t[:1], t.mean()[None], t[1:]])},
    },
}


def taken(settings: dict[str, Any]) -> dict[str, Any]:
    return {"rtol": 1e-6, "atol": 1e-8, **settings}


def settings_are_fixed(name: str) -> bool:
    settings = SETTINGS[name]
    return settings.get("adjoint_method", settings["method"]) not in ("dopri5", "fehlberg2")


@pytest.mark.filterwarnings("ignore:.*solves the state again", "ignore:Functional iteration")
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_are_torchdiffeqs(name: str, backwards: bool) -> None:
    t = T.flip(0) if backwards else T
    if name == "grid":
        t = t[[0, 3]]
    func = Forced() if settings_are_fixed(name) else Free()
    for expected, found in zip(*both_gradients(func, Y0, t, **taken(SETTINGS[name])), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("option", ["step_t", "jump_t"])
def test_steps_end_on_the_users_times_backwards_too(option: str, backwards: bool) -> None:
    """Where time runs back, torchdiffeq takes them for the negative times."""
    t, found = T.flip(0) if backwards else T, []
    theirs = -STOPS if backwards else STOPS
    for odeint, stops in ((torchdiffeq.odeint_adjoint, theirs), (pb.odeint_adjoint, STOPS)):
        extra = {} if odeint is torchdiffeq.odeint_adjoint else {"engine": "embedded"}
        func, y0 = Free(), Y0.clone().requires_grad_()
        y = odeint(func, y0, t, **taken({"method": "dopri5", "adjoint_options": {option: stops}}), **extra)
        found.append(torch.autograd.grad((y**2).cos().sum(), (y0, *func.parameters())))
    for expected, grad in zip(*found, strict=True):
        torch.testing.assert_close(grad, expected, **CLOSE)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "dopri5"},
        {"method": "dopri5", "adjoint_options": {"norm": "seminorm"}},
        {"method": "dopri5", "options": {"norm": largest}},
        {"method": "dopri5", "options": {"norm": largest}, "adjoint_options": {"norm": "seminorm"}},
        {"method": "dopri5", "adjoint_options": {"norm": largest}},
        {"method": "midpoint", "options": STEPS},
    ],
)
def test_gradients_of_tuples_are_torchdiffeqs(settings: dict[str, Any]) -> None:
    for expected, found in zip(*both_gradients(Pair(), PAIR, T, **taken(settings)), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


def test_a_norm_of_the_state_measures_it_backwards_too() -> None:
    settings = taken({"method": "dopri5", "options": {"norm": lambda y: y.abs().max()}})
    for expected, found in zip(*both_gradients(Free(), Y0, T, **settings), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.filterwarnings("ignore:.*solves the state again")
@pytest.mark.parametrize(("method", "options"), [("dopri5", {}), ("euler", {"step_size": 0.3})])
def test_callbacks_hear_of_the_steps_backwards(method: str, options: dict[str, Any]) -> None:
    class Telling(Free):
        told: list[tuple[float, float, Tensor]]

        def callback_step_adjoint(self, t: Tensor, y: tuple[Tensor, ...], dt: Tensor) -> None:
            self.told.append((float(t), float(dt), torch.cat([part.reshape(-1) for part in y])))

    heard = []
    for odeint, extra in ((torchdiffeq.odeint_adjoint, {}), (pb.odeint_adjoint, {"engine": "embedded"})):
        func, y0 = Telling(), Y0.clone().requires_grad_()
        func.told = []
        odeint(func, y0, T, method=method, options=options, rtol=1e-6, atol=1e-8, **extra).sum().backward()
        heard.append(func.told)
    theirs, ours = heard
    assert len(ours) == len(theirs) > 3
    for (t, h, y), (other_t, other_h, other_y) in zip(ours, theirs, strict=True):
        assert t == pytest.approx(other_t, abs=1e-7)  # an error's rounding errors are in the next step
        assert h == pytest.approx(other_h, rel=1e-5)
        torch.testing.assert_close(y, other_y, rtol=1e-6, atol=1e-6)


def test_settings_of_a_backward_solve_make_one() -> None:
    y0 = Y0.clone().requires_grad_()
    plain, asked = (
        pb.solve(Forced(), y0, T, method="rk4", engine="embedded", **given)
        for given in ({}, {"adjoint_options": {"step_size": 0.01}})
    )
    assert plain.sensealg == "TorchAdjoint"
    assert asked.sensealg.startswith("BacksolveAdjoint")


def test_the_least_step_ends_the_backward_solve_too() -> None:
    y0 = Y0.clone().requires_grad_()
    y = pb.odeint_adjoint(Forced(), y0, T, method="dopri5", adjoint_options={"dtmin": 0.3}, engine="embedded")
    with pytest.raises(pb.SolverError, match=r"adjoint.*DtLessThanMin|DtLessThanMin") as caught:
        y.sum().backward()
    assert 0.0 <= caught.value.t <= 2.0
