"""Functions that change their arguments in place, and results that are changed in place: as if they were copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Logistic

T = torch.linspace(0.0, 1.0, 5, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
TIGHT = {"rtol": 1e-9, "atol": 1e-9}

METHODS = {
    "adaptive": ({"method": "dopri5", **TIGHT}, 1e-7),
    "fixed": ({"method": "rk4", "options": {"dt": 0.01}}, 1e-7),
    "implicit": ({"method": "RadauIIA5", **TIGHT}, 1e-6),
}


def decayed(y0: Tensor, rate: Tensor) -> Tensor:
    return y0 * torch.exp(-rate * T)[:, None]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("lane", ["auto", "callback"])
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_a_state_that_is_changed_in_place(engine: str, lane: str, name: str, backwards: bool) -> None:
    settings, bound = METHODS[name]
    rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    y0 = Y0.clone().requires_grad_()
    t = T.flip(0) if backwards else T

    def func(t: Tensor, y: Tensor) -> Tensor:
        t.mul_(2)
        return y.mul_(-rate)

    y = pb.odeint(func, y0, t, engine=engine, lane=lane, **settings)
    exact = y0 * torch.exp(-rate * (t - t[0]))[:, None]
    torch.testing.assert_close(y, exact, rtol=bound, atol=bound)
    weights = torch.randn(5, 2, dtype=DOUBLE)
    found = torch.autograd.grad((weights * y).sum(), (y0, rate))
    true = torch.autograd.grad((weights * exact).sum(), (y0, rate))
    for mine, theirs in zip(found, true, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=10 * bound, atol=10 * bound)


@pytest.mark.parametrize("container", [tuple, dict], ids=["tuple", "dict"])
def test_structured_states_are_independent(engine: str, container: type) -> None:
    """``q' = v`` and ``v' = -q``; what autograd saves of one does not mind a change of the other."""
    start = torch.tensor([0.3, 0.7], dtype=DOUBLE, requires_grad=True)

    def slopes(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        velocity = v.clone()
        return velocity, v.zero_().sub_(q.square() / q)

    if container is tuple:
        y = pb.odeint(lambda t, y: slopes(*y), (start[0], start[1]), T, engine=engine, **TIGHT)
        q = y[0][-1]
    else:
        func = lambda t, y: dict(zip("qv", slopes(y["q"], y["v"]), strict=True))  # noqa: E731
        q = pb.odeint(func, {"q": start[0], "v": start[1]}, T, engine=engine, **TIGHT)["q"][-1]
    (grad,) = torch.autograd.grad(q, start)
    torch.testing.assert_close(grad, torch.stack([T[-1].cos(), T[-1].sin()]), rtol=1e-6, atol=1e-7)


def test_states_may_be_kept(engine: str) -> None:
    kept = []

    def func(t: Tensor, y: Tensor) -> Tensor:
        kept.append((y, y.clone()))
        return -y

    pb.odeint(func, Y0, T, engine=engine, lane="callback", **TIGHT)
    assert len(kept) > 10
    assert all(torch.equal(state, copy) for state, copy in kept)


def test_second_derivatives_of_a_state_that_is_changed_in_place(engine: str) -> None:
    rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    y = pb.odeint(lambda t, y: y.mul_(-rate), Y0, T, engine=engine, method="dopri5", **TIGHT)[-1].sum()
    (first,) = torch.autograd.grad(y, rate, create_graph=True)
    (second,) = torch.autograd.grad(first, rate)
    assert second.item() == pytest.approx(1.5 * torch.exp(-rate).item(), rel=1e-6)


def test_transforms_of_a_state_that_is_changed_in_place(engine: str) -> None:
    def last(rate: Tensor) -> Tensor:
        return pb.odeint(lambda t, y: y.mul_(-1.0).mul(rate), Y0, T, engine=engine, method="dopri5", **TIGHT)[-1]

    rate = torch.tensor(1.3, dtype=DOUBLE)
    found = torch.func.jacrev(last)(rate)
    torch.testing.assert_close(found, -Y0 * torch.exp(-rate), rtol=1e-6, atol=1e-7)


def test_events_whose_functions_change_states_in_place(engine: str) -> None:
    """A ball that falls from 1 and bounces with half its speed."""
    height = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)

    def fall(t: Tensor, y: Tensor) -> Tensor:
        y[0] = y[1]
        y[1] = -9.81
        return y

    def bounce(t: Tensor, y: Tensor) -> Tensor:
        return y.mul_(torch.tensor([0.0, -0.5], dtype=DOUBLE))

    floor = pb.Event(lambda t, y: y.mul_(2.0)[0], bounce, direction="falling")
    y0 = torch.stack([height, torch.zeros_like(height)])
    solution = pb.solve_events(fall, y0, T[:4], [floor], engine=engine, method="dopri5", **TIGHT)
    when = (2 * height / 9.81).sqrt()
    speed = 9.81 * when
    record = solution.events[0]
    torch.testing.assert_close(record.t, when, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(record.y, torch.stack([torch.zeros_like(speed), -speed]), rtol=1e-7, atol=1e-7)
    left = T[3] - when
    exact = 0.5 * speed * left - 9.81 / 2 * left**2
    torch.testing.assert_close(solution.y[-1, 0], exact, rtol=1e-7, atol=1e-7)
    (found,), (true,) = (torch.autograd.grad(value, height, retain_graph=True) for value in (solution.y[-1, 0], exact))
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-6)


@pytest.mark.julia
def test_a_predicate_that_changes_its_state_in_place() -> None:
    options = {"isoutofdomain": lambda t, y: bool(y.mul_(-1.0)[0] > 0)}
    y = pb.odeint(lambda t, y: -y, Y0, T, engine="julia", method="Tsit5", options=options, **TIGHT)
    torch.testing.assert_close(y, decayed(Y0, torch.tensor(1.0, dtype=DOUBLE)), rtol=1e-7, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("func", "method"),
    [
        (lambda: pb.SecondOrder(lambda t, q, v: q.neg_().add_(0 * v.zero_())), "KahanLi8"),
        (lambda: pb.Split(lambda t, y: y.mul_(-0.3), lambda t, y: y.mul_(-0.7)), "KenCarp4"),
    ],
    ids=["second order", "split"],
)
def test_parts_that_change_their_states_in_place(func: Callable[[], Any], method: str) -> None:
    fixed = method == "KahanLi8"
    settings = {"options": {"dt": 0.01}} if fixed else TIGHT
    y0 = (Y0[:1], Y0[1:]) if fixed else Y0
    y = pb.odeint(func(), y0, T, engine="julia", method=method, **settings)
    if fixed:
        torch.testing.assert_close(y[0][:, 0], Y0[0] * T.cos() + Y0[1] * T.sin(), rtol=1e-8, atol=1e-8)
    else:
        torch.testing.assert_close(y, decayed(Y0, torch.tensor(1.0, dtype=DOUBLE)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "func",
    [
        pb.Split(lambda t, y: y.mul_(-0.3 * t.mul_(0).add_(1)), lambda t, y: y.mul_(-0.7 * t / t)),
        pb.Quasilinear(lambda t, y: torch.diag(y.div_(-y))),
    ],
    ids=["split", "quasilinear"],
)
def test_parts_that_a_common_solver_takes_together(engine: str, func: Any) -> None:
    y0 = Y0.clone().requires_grad_()
    y = pb.odeint(func, y0, 1 + T, engine=engine, method="dopri5", **TIGHT)
    exact = decayed(Y0, torch.tensor(1.0, dtype=DOUBLE))
    torch.testing.assert_close(y, exact, rtol=1e-7, atol=1e-7)
    (grad,) = torch.autograd.grad(y[-1].sum(), y0)
    torch.testing.assert_close(grad, exact[-1] / Y0, rtol=1e-6, atol=1e-7)


# Results


def change(y: Tensor) -> Tensor:
    y[1:] *= 2
    return y.square().sum()


@pytest.mark.parametrize("sensealg", ["auto", "BacksolveAdjoint"])
def test_a_result_may_be_changed_in_place(engine: str, sensealg: str) -> None:
    problem = Logistic()

    def gradients(solve: Callable[..., Any]) -> tuple[Tensor, ...]:
        y0 = Y0.clone().requires_grad_()
        return torch.autograd.grad(change(solve(problem, y0, T)), (y0, *problem.parameters()))

    found = gradients(lambda *args: pb.odeint(*args, engine=engine, sensealg=sensealg, **TIGHT))
    true = gradients(lambda *args: torchdiffeq.odeint(*args, method="dopri5", **TIGHT))
    for mine, theirs in zip(found, true, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def test_results_of_a_structured_state_may_be_changed_in_place(engine: str) -> None:
    """``x' = -x`` and ``z' = -2 z``."""
    x, z = (torch.tensor([value], dtype=DOUBLE, requires_grad=True) for value in (1.0, 0.5))
    xs, zs = pb.odeint(lambda t, y: (-y[0], -2 * y[1]), (x, z), T, engine=engine, method="dopri5", **TIGHT)
    squares = zs.square()  # keeps what is not changed
    xs[1:] *= 2
    (xs.sum() + squares.sum()).backward()
    assert x.grad.item() == pytest.approx(1 + 2 * torch.exp(-T[1:]).sum().item(), rel=1e-6)
    assert z.grad.item() == pytest.approx(torch.exp(-4 * T).sum().item(), rel=1e-6)


def test_a_result_under_a_transform_may_be_changed_in_place(engine: str) -> None:
    def loss(rate: Tensor) -> Tensor:
        return change(pb.odeint(lambda t, y: -rate * y, Y0, T, engine=engine, method="dopri5", **TIGHT))

    rate = torch.tensor(1.3, dtype=DOUBLE)
    true = torch.func.grad(lambda rate: change(decayed(Y0, rate)))(rate)
    torch.testing.assert_close(torch.func.grad(loss)(rate), true, rtol=1e-6, atol=1e-6)
