"""torchdiffeq's options and callbacks of steps that adapt, as Julia's solvers take them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Driven

pytestmark = pytest.mark.julia

T = torch.tensor([0.0, 0.4, 1.1, 2.0], dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
SOLVERS = ["dopri5", "dopri8", "Rodas5P", "FBDF", "AutoTsit5(Rodas5P())"]


def solve(func: Any, y0: Any = Y0, t: Tensor = T, **settings: Any) -> Any:
    return pb.solve(func, y0, t, engine="julia", **{"method": "dopri5", "rtol": 1e-6, "atol": 1e-8, **settings})


@pytest.mark.parametrize("method", ["dopri8", "fehlberg2"])
def test_tableaus_with_an_error_estimate_keep_their_tolerances(method: str) -> None:
    func = Driven()
    solution = solve(func, method=method)
    assert solution.algorithm == method
    torch.testing.assert_close(solution.y, func.exact(Y0, T), rtol=1e-4, atol=1e-4)
    solution.y.sum().backward()
    other = Driven()
    other.exact(Y0, T).sum().backward()
    torch.testing.assert_close(func.rate.grad, other.rate.grad, rtol=1e-4, atol=1e-4)


def test_a_function_is_a_norm_as_julias_own() -> None:
    y0 = torch.cat([Y0, torch.zeros(98, dtype=DOUBLE)])
    own, named, rms = (
        solve(lambda t, y: torch.sin(y), y0, options={"norm": norm}) for norm in (lambda y: y.abs().max(), "max", "rms")
    )
    assert (own.stats.nfe, own.stats.accepted) == (named.stats.nfe, named.stats.accepted)
    assert own.stats.accepted > rms.stats.accepted


def test_of_a_tuple_the_largest_norm_counts() -> None:
    def func(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return -y[0] * torch.cos(9 * t), 0 * y[1] + 1e-3

    def flat(t: Tensor, y: Tensor) -> Tensor:
        return torch.cat(func(t, (y[:2], y[2:])))

    y0 = Y0, torch.ones(500, dtype=DOUBLE)
    mixed, alone = solve(func, y0), solve(flat, torch.cat(y0))
    own = solve(func, y0, options={"norm": lambda y: max(part.square().mean().sqrt() for part in y)})
    assert mixed.stats.accepted == own.stats.accepted > alone.stats.accepted


@pytest.mark.parametrize("method", SOLVERS)
def test_factors_reach_the_controller(method: str) -> None:
    cautious, plain = (solve(Driven(), method=method, options=options) for options in ({"safety": 0.3}, {}))
    assert cautious.stats.accepted > plain.stats.accepted
    slowly = {"ifactor": 1.05, "first_step": 1e-3}
    if method == "FBDF":
        with pytest.raises(pb.UnsupportedError, match="FBDF has a BDFController, which takes no qmax"):
            solve(Driven(), method=method, options=slowly)
    else:
        assert solve(Driven(), method=method, options=slowly).stats.accepted > 30


@pytest.mark.parametrize("backwards", [False, True])
def test_steps_end_on_times_and_begin_anew_at_jumps(backwards: bool) -> None:
    def jump(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1.0, 3.0, -1.0) * torch.ones_like(y)

    t = torch.tensor([2.0, 0.0] if backwards else [0.0, 2.0], dtype=DOUBLE)
    stopped, jumped = (
        solve(jump, torch.zeros(1, dtype=DOUBLE), t, options={name: torch.tensor([1.0])}, dense=True)
        for name in ("step_t", "jump_t")
    )
    assert 1.0 in stopped.steps
    assert jumped.y[-1].item() == pytest.approx(-2.0 if backwards else 2.0, abs=1e-12)
    assert jumped.stats.rejected == 0


@pytest.mark.parametrize("sensealg", ["InterpolatingAdjoint", "BacksolveAdjoint(checkpointing=true)", "GaussAdjoint"])
def test_backward_steps_end_on_their_times_too(sensealg: str) -> None:
    func, y0 = Ended(), Y0.clone().requires_grad_()
    solve(func, y0, sensealg=sensealg, adjoint_options={"step_t": [0.3, 1.7]}).y.sum().backward()
    assert {0.3, 1.7} <= {round(end, 9) for end in func.ends}


def test_so_short_a_step_is_accepted() -> None:
    def swinging(t: Tensor, y: Tensor) -> Tensor:
        return 30 * torch.cos(30 * t) * y

    solution = solve(swinging, options={"min_step": 0.3}, dense=True)
    assert solution.steps.diff()[:-1].min() >= 0.29
    with pytest.raises(pb.SolverError):
        solve(swinging, options={"dtmin": 0.3})


class Telling(Driven):
    """Hears of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, float, float, Any]] = []

    def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.told.append(("step", float(t), float(dt), y))

    def callback_accept_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.told.append(("accept", float(t), float(dt), y))

    def callback_reject_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.told.append(("reject", float(t), float(dt), y))

    def callback_step_adjoint(self, t: Tensor, y: tuple[Tensor, ...], dt: Tensor) -> None:
        self.told.append(("back", float(t), float(dt), y))


class Ended(Driven):
    """Hears of where backward steps begin."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def callback_step_adjoint(self, t: Tensor, y: tuple[Tensor, ...], dt: Tensor) -> None:
        self.ends.append(float(t))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("method", [*SOLVERS, None])
def test_callbacks_hear_of_every_step_that_is_tried(method: str | None, backwards: bool) -> None:
    func, t = Telling(), T.flip(0) if backwards else T
    quiet = solve(Driven(), t=t, method=method).y
    solution = solve(func, t=t, method=method, options={"first_step": 1.5})
    told = [what for what, *_ in func.told]
    assert told.count("step") == told.count("accept") + told.count("reject")
    assert told.count("accept") == solution.stats.accepted
    assert "reject" in told
    assert set(told[::2]) == {"step"}
    accepted = [(time, h) for what, time, h, _ in func.told if what == "accept"]
    starts = torch.tensor([time for time, _ in accepted])
    ends = starts + torch.tensor([-h if backwards else h for _, h in accepted])
    torch.testing.assert_close(starts[1:], ends[:-1])
    _, start, _, y = func.told[0]
    assert start == t[0].item()
    torch.testing.assert_close(y, Y0)
    torch.testing.assert_close(solution.y, quiet, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("sensealg", ["InterpolatingAdjoint", "BacksolveAdjoint", "GaussAdjoint", "DiscreteAdjoint"])
def test_callbacks_hear_of_backward_steps(sensealg: str) -> None:
    func, y0 = Telling(), Y0.clone().requires_grad_()
    solve(func, y0, sensealg=sensealg).y.sum().backward()
    back = [entry for entry in func.told if entry[0] == "back"]
    _, start, _, state = back[0]
    assert start == pytest.approx(2.0)
    assert len(state) == 3 + len(list(func.parameters()))
    assert back[-1][1] - back[-1][2] == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(state[2], torch.ones(2, dtype=DOUBLE))  # the loss's gradient at the end


@pytest.mark.parametrize("given", ["norm", "callback_step", "callback_accept_step"])
def test_what_they_raise_arrives(given: str) -> None:
    class MineError(Exception):
        pass

    def fail(*_: Any) -> float:
        raise MineError

    func = Driven()
    options = {"norm": fail} if given == "norm" else {}
    if given != "norm":
        setattr(func, given, fail)
    with pytest.raises(MineError):
        solve(func, options=options)
    with pytest.raises(pb.UnsupportedError, match=r"isolation='process'.*callbacks of steps"):
        solve(func, options=options, isolation="process")


@pytest.mark.parametrize("sensealg", ["InterpolatingAdjoint", "BacksolveAdjoint", "GaussAdjoint"])
def test_a_seminorm_leaves_out_what_a_function_may(sensealg: str) -> None:
    grads, work = [], []
    for norm in ("rms", "seminorm", lambda parts: max(part.abs().max() for part in parts[:3])):
        func, y0 = Driven(), Y0.clone().requires_grad_()
        solution = solve(func, y0, sensealg=sensealg, adjoint_options={"norm": norm})
        solution.y.sum().backward()
        grads.append(torch.cat([y0.grad, *(p.grad.reshape(-1) for p in func.parameters())]))
        work.append(solution.adjoint_stats.nvjp)
    assert work[1] <= work[0]
    for grad in grads[1:]:
        torch.testing.assert_close(grad, grads[0], rtol=1e-3, atol=1e-4)
