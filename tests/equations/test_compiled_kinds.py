"""Equations that are no ordinary ones run without Python too, and give the numbers that callbacks give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia
T = torch.linspace(0, 2, 5, dtype=DOUBLE)
RATE = torch.tensor(0.7, dtype=DOUBLE)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def partitioned(**lane: Any) -> pb.Solution:
    pendulum = pb.Partitioned(lambda t, q, p: p + 0.1 * t, lambda t, q, p: -RATE * torch.sin(q))
    start = vector(1.0, 0.5), vector(0.0, 0.2)
    return pb.solve(pendulum, start, T, engine="julia", method="KahanLi8", options={"dt": 0.05}, **lane)


def second_order(**lane: Any) -> pb.Solution:
    pendulum = pb.SecondOrder(lambda t, q, v: -RATE * torch.sin(q) - 0.1 * v)
    return pb.solve(pendulum, (vector(1.0), vector(0.0)), T, engine="julia", method="FineRKN5", **lane)


def backwards(**lane: Any) -> pb.Solution:
    pendulum = pb.SecondOrder(lambda t, q, v: -RATE * torch.sin(q) + t)
    start, options = (vector(1.0), vector(0.0)), {"dt": 0.05}
    return pb.solve(pendulum, start, T.flip(0), engine="julia", method="McAte5", options=options, **lane)


def implicit_explicit(**lane: Any) -> pb.Solution:
    split = pb.Split(lambda t, y: -vector(1.0, 100.0, 1000.0) * y, lambda t, y: torch.sin(y) + RATE * t)
    return pb.solve(split, torch.ones(3, dtype=DOUBLE), T, engine="julia", method="KenCarp4", **lane)


def exponential(**lane: Any) -> pb.Solution:
    split = pb.Split(-torch.diag(vector(1.0, 10.0)), lambda t, y: torch.sin(y) + RATE * t)
    start, options = torch.ones(2, dtype=DOUBLE), {"dt": 0.01}
    return pb.solve(split, start, T, engine="julia", method="ETDRK4", options=options, **lane)


def magnus(**lane: Any) -> pb.Solution:
    turn = pb.Quasilinear(lambda t, y: (RATE + t) * vector(0.0, 1.0, -1.0, 0.0).view(2, 2))
    start, options = vector(1.0, 0.0), {"dt": 0.05}
    return pb.solve(turn, start, T, engine="julia", method="MagnusGL6", options=options, **lane)


def noisy(**lane: Any) -> pb.Solution:
    start, options = torch.ones(2, dtype=DOUBLE), {"dt": 0.01}
    return pb.solve_sde(
        lambda t, y: 0.1 * y, lambda t, y: RATE * y, start, T, seed=1, method="EM", options=options, **lane
    )


def adaptive_noise(**lane: Any) -> pb.Solution:
    start = torch.ones(2, dtype=DOUBLE)
    return pb.solve_sde(lambda t, y: -y, lambda t, y: RATE * y.cos(), start, T, seed=2, method="SOSRI", **lane)


def mixed_noise(**lane: Any) -> pb.Solution:
    start, options = torch.ones(2, dtype=DOUBLE), {"dt": 0.01}
    diffusion = lambda t, y: torch.stack([RATE * y, 0.1 * y.sin(), t * y], dim=-1)  # noqa: E731
    return pb.solve_sde(
        lambda t, y: -y, diffusion, start, T, seed=3, noise="general", method="EM", options=options, **lane
    )


def implicit_noise(**lane: Any) -> pb.Solution:
    start, options = torch.ones(2, dtype=DOUBLE), {"dt": 0.01}
    return pb.solve_sde(
        lambda t, y: -50 * y.sin(),
        lambda t, y: RATE * y,
        start,
        T,
        seed=4,
        method="ImplicitEM",
        options=options,
        **lane,
    )


def delayed(**lane: Any) -> pb.Solution:
    func = lambda t, y, past: RATE * past[0] / (1 + past[1] ** 10) - 0.1 * y  # noqa: E731
    return pb.solve_dde(
        func, vector(1.2), T, lags=[0.3, 1.0], history=lambda t: 1.2 + RATE * t.sin()[None], **lane, method="Tsit5"
    )


def stiff_delayed(**lane: Any) -> pb.Solution:
    func = lambda t, y, past: {"a": -1000 * (y["a"] - past[0]["b"]), "b": -RATE * y["a"]}  # noqa: E731
    return pb.solve_dde(func, {"a": vector(1.0), "b": vector(1.0, 2.0)[:1]}, T, lags=[0.5], method="Rodas5P", **lane)


def residual(**lane: Any) -> pb.Solution:
    pendulum = lambda t, y, dy: torch.stack([dy[0] - RATE * y[1], y[0] ** 2 + y[1] ** 2 - 1])  # noqa: E731
    return pb.solve_dae(pendulum, vector(0.0, 1.0), T, method="DFBDF", **lane)


def residual_backwards(**lane: Any) -> pb.Solution:
    decay = lambda t, y, dy: torch.stack([dy[0] + RATE * y[0], y[1] - y[0].exp()])  # noqa: E731
    return pb.solve_dae(decay, vector(1.0, 2.0), T.flip(0), method="IDA", **lane)


KINDS = [
    partitioned,
    second_order,
    backwards,
    implicit_explicit,
    exponential,
    magnus,
    noisy,
    adaptive_noise,
    mixed_noise,
    implicit_noise,
    delayed,
    stiff_delayed,
    residual,
    residual_backwards,
]


def flat(sol: pb.Solution) -> Tensor:
    y = sol.y
    leaves = y.values() if isinstance(y, dict) else y if isinstance(y, tuple) else (y,)
    return torch.cat([leaf.reshape(len(sol.t), -1) for leaf in leaves], dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_compiled_and_agrees_with_callbacks(kind: Callable[..., pb.Solution]) -> None:
    compiled, called = kind(), kind(lane="callback")
    assert compiled.lane == "compiled", compiled.lane_reason
    assert called.lane == "callback"
    torch.testing.assert_close(flat(compiled), flat(called), rtol=1e-6, atol=1e-8)
    before = flat(called)[-1].clone()
    RATE.mul_(1.5)
    try:
        again = kind()
    finally:
        RATE.div_(1.5)
    assert again.stats.compile_seconds == 0, "tensors' values are read at each solve"
    assert not torch.allclose(flat(again)[-1], before, rtol=1e-3)


def test_gradients_of_paths_are_those_of_callbacks() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Linear(2, 2, dtype=DOUBLE)

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return 0.3 * torch.tanh(self.net(y))

    drift, diffusion, found = Mixing(), Mixing(), {}
    for lane in ("compiled", "callback"):
        y0 = vector(1.0, 0.5).requires_grad_()
        sol = pb.solve_sde(
            drift,
            diffusion,
            y0,
            T,
            seed=1,
            method="EulerHeun",
            options={"dt": 0.02},
            lane=lane,  # type: ignore[arg-type]
        )
        assert sol.lane == lane
        parameters = [*drift.parameters(), *diffusion.parameters()]
        found[lane] = [sol.y[-1].detach(), *torch.autograd.grad(sol.y[-1].square().sum(), [y0, *parameters])]
    torch.testing.assert_close(found["compiled"], found["callback"], rtol=1e-8, atol=1e-10)
    assert all(grad.abs().max() > 1e-4 for grad in found["compiled"][1:])


def test_the_state_before_the_start_is_that_of_this_solve() -> None:
    func = lambda t, y, past: -past[0]  # noqa: E731
    for y0 in (1.0, 3.0):  # y' = -y0 until the delay has passed
        y = pb.ddeint(func, vector(y0), vector(0.0, 0.5), lags=[1.0], method="Tsit5", lane="compiled")
        torch.testing.assert_close(y[-1], vector(y0 / 2))


def test_the_number_of_lags_is_part_of_what_is_compiled() -> None:
    func = lambda t, y, past: -sum(past)  # noqa: E731
    for lags in ([1.0], [1.0, 2.0], [1.0]):
        y = pb.ddeint(func, vector(1.0), vector(0.0, 0.5), lags=lags, method="Tsit5", lane="compiled")
        torch.testing.assert_close(y[-1], vector(1 - len(lags) / 2))


def test_a_part_that_takes_numbers_out_of_tensors_is_called_back() -> None:
    force = lambda t, q, p: -q if q.sum() > 0 else -2 * q  # noqa: E731
    func = pb.SecondOrder(force)
    sol = pb.solve(func, (vector(1.0), vector(0.0)), T, engine="julia", method="DPRKN6")
    assert sol.lane == "callback"
    assert "takes a Python value out of a tensor" in sol.lane_reason
    with pytest.raises(pb.UnsupportedError, match="takes a Python value out of a tensor"):
        pb.solve(func, (vector(1.0), vector(0.0)), T, engine="julia", method="DPRKN6", lane="compiled")


def test_dynamics_that_were_compiled_alone_are_compiled_beside_others() -> None:
    drift, start = lambda t, y: -RATE * y, vector(1.0, 2.0)
    for _ in range(2):
        pb.odeint(drift, start, T, engine="julia", method="Tsit5", lane="compiled")
    sol = pb.solve_sde(
        drift, lambda t, y: 0.0 * y, start, T, method="EM", options={"dt": 0.001}, seed=1, lane="compiled"
    )
    torch.testing.assert_close(sol.y[-1], start * torch.exp(-RATE * T[-1]), rtol=1e-2, atol=0.0)


def test_a_large_jacobian_of_a_part_is_called_back_alone() -> None:
    n = 1100
    func = pb.Split(lambda t, y: -torch.linspace(1, 50, n, dtype=DOUBLE) * y, lambda t, y: torch.sin(y))
    options = {"method": "KenCarp4", "engine": "julia", "rtol": 1e-3, "atol": 1e-4}
    y0, t = torch.ones(n, dtype=DOUBLE), vector(0.0, 0.02)
    sol = pb.solve(func, y0, t, lane="compiled", **options)  # type: ignore[arg-type]
    dense = pb.solve(lambda t, y: func(t, y), y0, t, method="Tsit5", engine="julia")
    assert sol.lane == "compiled"
    torch.testing.assert_close(sol.y, dense.y, rtol=1e-2, atol=1e-3)


def test_parts_of_equations_run_in_a_worker() -> None:
    sol = second_order(isolation="process")
    torch.testing.assert_close(flat(sol), flat(second_order()), rtol=1e-12, atol=1e-14)
    paths = noisy(isolation="process")
    torch.testing.assert_close(flat(paths), flat(noisy()), rtol=1e-12, atol=1e-14)
