"""Steps that adapt: torchdiffeq's numbers, by its options; its blind spots are none here."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.engines.embedded.against import CLOSE, PAIR, Y0, Forced, Pair, T, both
from tests.problems import DOUBLE, Driven

TIGHT = {"rtol": 1e-5, "atol": 1e-6}
LOOSE = {"rtol": 1e-3, "atol": 1e-4}  # for a method of order 2, whose steps are shorter than 0.1 at this
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "first_step": {"first_step": 0.01},
    "min_step": {"min_step": 0.1},
    "max_step": {"max_step": 0.03},
    "step_t": {"step_t": torch.tensor([0.3, 0.9, 1.7], dtype=DOUBLE)},
    "jump_t": {"jump_t": torch.tensor([0.3, 0.9, 1.7], dtype=DOUBLE)},
    "safety": {"safety": 0.7, "ifactor": 3.0, "dfactor": 0.4},
    "norm": {"norm": lambda y: y.abs().max()},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("method", ["dopri5", "adaptive_heun", "fehlberg2"])
def test_values_are_torchdiffeqs(method: str, name: str, backwards: bool) -> None:
    t = T.flip(0) if backwards else T
    tolerances = LOOSE if method == "adaptive_heun" else TIGHT
    theirs, ours = both(Forced(), Y0, t, method=method, options=OPTIONS[name], **tolerances)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("name", ["none", "max_step", "jump_t"])
@pytest.mark.parametrize("method", ["bosh3", "dopri8"])
def test_values_between_poor_interpolants_are_those_of_steps(method: str, name: str) -> None:
    """Their steps end at the times: torchdiffeq's, told to do so."""
    func, options = Forced(), OPTIONS[name]
    with torch.no_grad():
        stops = {"step_t": T[1:]}
        theirs = torchdiffeq.odeint(func, Y0, T, method=method, options={**options, **stops}, **TIGHT)
        ours = pb.odeint(func, Y0, T, method=method, options=options, engine="embedded", **TIGHT)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("norm", [None, lambda parts: max(part.abs().max() for part in parts)])
@pytest.mark.parametrize("method", ["dopri5", "fehlberg2"])
def test_values_of_tuples_are_torchdiffeqs(method: str, norm: Any) -> None:
    options = {} if norm is None else {"norm": norm}
    theirs, ours = both(Pair(), PAIR, T, method=method, options=options, **TIGHT)
    for expected, found in zip(theirs, ours, strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


def test_the_largest_error_counts_by_the_norm_max() -> None:
    steps = {}
    for norm in ("rms", "max"):
        y0 = torch.cat([Y0, torch.zeros(98, dtype=DOUBLE)])
        solution = pb.solve(lambda t, y: torch.sin(y), y0, T, engine="embedded", options={"norm": norm})
        steps[norm] = solution.stats.accepted
    assert steps["max"] > steps["rms"]


def test_tsit5_has_its_order_at_and_between_its_steps() -> None:
    func, errors = Driven(), []
    t = torch.tensor([0.0, 0.93, 2.0], dtype=DOUBLE)
    for h in (0.1, 0.05):
        options = {"first_step": h, "min_step": h, "max_step": h}
        with torch.no_grad():
            y = pb.odeint(func, Y0, t, method="tsit5", options=options, engine="embedded")
            errors.append((y - func.exact(Y0, t)).abs().amax(-1)[1:])
    between, at = (errors[0] / errors[1]).log2().tolist()
    assert between > 3.7
    assert at == pytest.approx(5, abs=0.6)


def test_tsit5_keeps_its_tolerances() -> None:
    func = Driven()
    with torch.no_grad():
        y = pb.odeint(func, Y0, T, method="Tsit5", rtol=1e-9, atol=1e-9, engine="embedded")
    torch.testing.assert_close(y, func.exact(Y0, T).detach(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("option", ["step_t", "jump_t"])
def test_a_time_that_a_step_happens_to_meet_hides_no_later_one(option: str) -> None:
    """torchdiffeq 0.2.5 looks no further once a step has ended on one by itself."""

    def jump(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1.0, 1.0, -1.0) * torch.ones_like(y)

    t = torch.tensor([0.0, 2.0], dtype=DOUBLE)
    solution = pb.solve(
        jump,
        torch.zeros(1, dtype=DOUBLE),
        t,
        method="dopri5",
        options={option: [0.25, 1.0], "first_step": 0.25},
        engine="embedded",
        dense=True,
    )
    assert {0.25, 1.0} <= set(solution.steps.tolist())
    assert abs(solution.y[-1].item()) < (1e-12 if option == "jump_t" else 1e-4)


@pytest.mark.parametrize("backwards", [False, True])
def test_behind_a_jump_the_dynamics_are_evaluated_anew(backwards: bool) -> None:
    def jump(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1.0, 3.0, -1.0) * torch.ones_like(y)

    t = torch.tensor([2.0, 0.0] if backwards else [0.0, 2.0], dtype=DOUBLE)
    stopped, jumped = (
        pb.solve(jump, torch.zeros(1, dtype=DOUBLE), t, method="dopri5", options={name: [1.0]}, engine="embedded")
        for name in ("step_t", "jump_t")
    )
    assert jumped.y[-1].item() == pytest.approx(-2.0 if backwards else 2.0, abs=1e-12)
    assert jumped.stats.rejected == 0
    assert jumped.stats.nfe < stopped.stats.nfe


@pytest.mark.parametrize(("force", "ends"), [(True, False), (False, True)])
def test_the_least_step_ends_the_solve_unless_it_is_forced(force: bool, ends: bool) -> None:
    options = {"dtmin": 0.5, "force_dtmin": force}
    solve = lambda: pb.solve(  # noqa: E731
        lambda t, y: 30 * torch.cos(30 * t) * y, Y0, T, method="dopri5", options=options, engine="embedded", dense=True
    )
    if ends:
        with pytest.raises(pb.SolverError) as caught:
            solve()
        assert caught.value.retcode == "DtLessThanMin"
    else:
        assert solve().steps.diff()[:-1].min() >= 0.5


class Telling(Forced):
    """Hears of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, float, float, Tensor]] = []

    def _tell(self, what: str, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.told.append((what, float(t), float(dt), y.clone()))

    def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self._tell("step", t, y, dt)

    def callback_accept_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self._tell("accept", t, y, dt)

    def callback_reject_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self._tell("reject", t, y, dt)


@pytest.mark.parametrize("backwards", [False, True])
def test_callbacks_hear_what_torchdiffeqs_do(backwards: bool) -> None:
    t = T.flip(0) if backwards else T
    heard = []
    for odeint, extra in ((torchdiffeq.odeint, {}), (pb.odeint, {"engine": "embedded"})):
        func = Telling()
        with torch.no_grad():
            odeint(func, Y0, t, method="dopri5", options={"first_step": 1.5}, **TIGHT, **extra)
        heard.append(func.told)
    theirs, ours = heard
    assert [what for what, *_ in ours] == [what for what, *_ in theirs]
    assert "reject" in {what for what, *_ in ours}
    for (_, t0, h, y), (_, other_t0, other_h, other_y) in zip(ours, theirs, strict=True):
        assert t0 == pytest.approx(other_t0, abs=1e-12)
        assert h == pytest.approx(other_h, rel=1e-9)
        torch.testing.assert_close(y, other_y, **CLOSE)


def test_stages_at_the_end_of_a_step_are_asked_for_within_it() -> None:
    times: list[float] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        times.append(float(t))
        return -y

    options = {"first_step": 0.5, "min_step": 0.5, "max_step": 0.5}
    pb.odeint(f, Y0, T[[0, 3]], method="dopri5", options=options, engine="embedded")
    assert math.nextafter(0.5, 0.0) in times
    assert 0.5 not in times
