"""What is made of a solver's steps: values between them, and events."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.engines.embedded.against import Y0, T
from tests.problems import DOUBLE, Driven

FIXED = {"step_size": 0.01, "interp": "cubic"}
# By method, options with which errors stay below the bound, at and between the steps.
DENSE: dict[str, tuple[dict[str, Any], float]] = {
    "dopri5": ({}, 1e-6),
    "tsit5": ({}, 1e-6),
    "bosh3": ({}, 1e-6),
    "adaptive_heun": ({}, 1e-4),
    "dopri8": ({}, 1e-6),
    "fehlberg2": ({}, 1e-5),
    "rk4": (FIXED, 1e-6),
    "implicit_adams": (FIXED, 1e-5),
    "gl4": (FIXED, 1e-6),
    "euler": ({"step_size": 0.001}, 1e-2),
    "DP8": ({}, 1e-6),
    "RadauIIA5": ({}, 1e-5),
    "lsoda": ({}, 1e-5),
    **{f"scipy_solver/{solver}": ({"solver": solver}, 1e-5) for solver in ("RK45", "RK23", "DOP853", "BDF", "LSODA")},
}


def close(name: str) -> dict[str, Any]:
    options, bound = DENSE[name]
    return {"method": name.partition("/")[0], "options": options, "rtol": bound / 100, "atol": bound / 1000}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", DENSE)
def test_values_between_the_times(name: str, backwards: bool) -> None:
    problem, t = Driven(1.0), T.flip(0) if backwards else T
    times = torch.linspace(0.05, 1.95, 7, dtype=DOUBLE)
    times = times.flip(0) if backwards else times
    with torch.no_grad():
        solution = pb.solve(problem, Y0, t, engine="embedded", dense=True, **close(name))
        exact = problem.exact(Y0, torch.cat([t[:1], times]))[1:]
        slopes = torch.stack([problem(time, value) for time, value in zip(times, exact, strict=True)])
        bound = DENSE[name][1]
        torch.testing.assert_close(solution(times), exact, rtol=bound, atol=bound)
        torch.testing.assert_close(solution(times, derivative=1), slopes, rtol=3 * bound, atol=3 * bound)
        torch.testing.assert_close(solution(t), solution.y, rtol=1e-12, atol=1e-12)
    assert solution.steps.min() == 0.0
    assert solution.steps.max() == 2.0
    assert len(solution.steps) == solution.stats.accepted + 1


def test_higher_derivatives_are_refused_with_what_has_them() -> None:
    solution = pb.solve(Driven(), Y0, T, engine="embedded", method="dopri5", dense=True)
    with pytest.raises(pb.UnsupportedError, match=r"derivative=2.*Julia engine"):
        solution(0.3, derivative=2)


def test_a_dense_solution_of_sundials_is_refused() -> None:
    pytest.importorskip("sksundae")
    with pytest.raises(pb.UnsupportedError, match="dense with CVODE_BDF"):
        pb.solve(Driven(), Y0, T, engine="embedded", method="CVODE_BDF", dense=True)


@pytest.mark.parametrize("name", [*DENSE, "CVODE_BDF", "CVODE_Adams"])
def test_events_are_found_by_every_solver(name: str) -> None:
    if name.startswith("CVODE"):
        pytest.importorskip("sksundae")
        settings: dict[str, Any] = {"method": name, "rtol": 1e-8, "atol": 1e-9}
    else:
        settings = close(name)
    bound = 1e-2 if name == "euler" else 1e-5
    when, y = pb.odeint_event(
        lambda t, y: -y,
        torch.ones(1, dtype=DOUBLE),
        torch.tensor(0.0, dtype=DOUBLE),
        event_fn=lambda t, y: y[0] - 0.5,
        engine="embedded",
        **settings,
    )
    assert when.item() == pytest.approx(math.log(2), abs=bound)
    assert y[-1].item() == pytest.approx(0.5, abs=bound)


@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4", "implicit_adams"])
@pytest.mark.parametrize("interp", ["linear", "cubic"])
def test_events_of_fixed_steps_are_torchdiffeqs(method: str, interp: str) -> None:
    found, t = [], torch.tensor([0.0, 1.0], dtype=DOUBLE)
    for odeint, extra in ((torchdiffeq.odeint, {}), (pb.odeint, {"engine": "embedded"})):
        when, _ = odeint(
            lambda t, y: -y,
            torch.ones(1, dtype=DOUBLE),
            t,
            event_fn=lambda t, y: y - 0.5,
            method=method,
            options={"step_size": 0.1, "interp": interp},
            atol=1e-12,
            **extra,
        )
        found.append(when.item())
    assert found[1] == pytest.approx(found[0], abs=1e-9)


@pytest.mark.parametrize("method", ["rk4", "Euler"])
def test_events_of_fixed_steps_need_their_length(method: str) -> None:
    y0, start = torch.ones(1), torch.tensor(0.0)
    with pytest.raises(pb.UnsupportedError, match="step_size"):
        pb.odeint_event(lambda t, y: -y, y0, start, event_fn=lambda t, y: y - 0.5, method=method, engine="embedded")


def test_callbacks_hear_of_the_steps_to_an_event_once() -> None:
    class Decay(torch.nn.Module):
        told: list[float] = []  # noqa: RUF012

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -y

        def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
            self.told.append(float(t))

    func = Decay()
    options = {"step_size": 0.25}
    pb.odeint_event(
        func,
        torch.ones(1),
        torch.tensor(0.0),
        event_fn=lambda t, y: y - 0.5,
        method="rk4",
        options=options,
        engine="embedded",
    )
    assert func.told == [0.0, 0.25, 0.5]
