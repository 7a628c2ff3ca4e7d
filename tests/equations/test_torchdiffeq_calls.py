"""Calls as users of torchdiffeq write them: one time, an event, a solution as a function, options for nobody."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Logistic

Y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
T = torch.tensor([0.0, 0.5, 2.0], dtype=DOUBLE)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def growth_of_parts(t: Tensor, y: Any) -> Any:
    return (y[0], 2 * y[1])


@pytest.mark.parametrize("method", [None, "rk4", "dopri8", "implicit_adams", "scipy_solver"])
def test_one_time_gives_the_initial_state(engine: str, method: str | None) -> None:
    y0 = Y0.clone().requires_grad_()
    solution = pb.solve(Logistic(), y0, T[1:2], method=method, engine=engine)
    assert torch.equal(solution.y, y0[None])
    assert solution.stats.nfe == 0
    assert solution.success
    solution.y.sum().backward()
    assert torch.equal(y0.grad, torch.ones_like(Y0))


def test_one_time_gives_the_initial_state_of_a_tuple(engine: str) -> None:
    a, b = pb.odeint(growth_of_parts, (Y0, Y0[:1]), [1.0], engine=engine)
    assert torch.equal(a, Y0[None])
    assert torch.equal(b, Y0[None, :1])


@pytest.mark.parametrize("function", [pb.odeint, pb.odeint_adjoint])
@pytest.mark.parametrize("towards", [1.0, -1.0])
def test_event_fn_ends_the_solve(engine: str, function: Any, towards: float) -> None:
    level = torch.tensor(math.exp(-1.5 * towards), dtype=DOUBLE, requires_grad=True)
    y0 = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, towards, 100 * towards], dtype=DOUBLE)
    when, y = function(decay, y0, t, event_fn=lambda t, y: y[0] - level, engine=engine)
    assert when.item() == pytest.approx(1.5 * towards, abs=1e-6)
    assert y.shape == (2, 1)
    assert y[-1].item() == pytest.approx(level.item(), abs=1e-6)
    (grad_y0, grad_level) = torch.autograd.grad(when, (y0, level))
    assert grad_y0.item() == pytest.approx(1.0, abs=1e-5)  # of log(y0 / level)
    assert grad_level.item() == pytest.approx(-1 / level.item(), rel=1e-5)


def test_event_fn_agrees_with_torchdiffeqs(engine: str) -> None:
    def fall(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return y[1], torch.full_like(y[1], -9.81)

    start = (torch.tensor([10.0], dtype=DOUBLE), torch.tensor([2.0], dtype=DOUBLE))
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    theirs, states = torchdiffeq.odeint(fall, start, t, event_fn=lambda t, y: y[0])
    ours, ends = pb.odeint(fall, start, t, event_fn=lambda t, y: y[0], engine=engine)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-7)
    for a, b in zip(states, ends, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("interface", [pb.odeint, pb.odeint_adjoint])
def test_odeint_event_takes_the_functions_of_here(engine: str, interface: Any) -> None:
    y0 = torch.ones(1, dtype=DOUBLE)
    when, _ = pb.odeint_event(
        decay, y0, torch.tensor(0.0), event_fn=lambda t, y: y - 0.5, odeint_interface=interface, engine=engine
    )
    assert when.item() == pytest.approx(math.log(2), abs=1e-5)


def test_a_solution_as_a_function_is_torchdiffeqs(engine: str) -> None:
    start, end = torch.tensor(0.0, dtype=DOUBLE), torch.tensor(2.0, dtype=DOUBLE)
    theirs = torchdiffeq.odeint_dense(decay, Y0, start, end, method="dopri5")
    ours = pb.odeint_dense(decay, Y0, start, end, method="dopri5", engine=engine)
    for t in (0.0, 0.3, 1.7, 2.0):
        if 0 < t < 2:
            assert torch.allclose(theirs(torch.tensor(t, dtype=DOUBLE)), ours(t), atol=1e-6)
        assert torch.allclose(ours(t), Y0 * math.exp(-t), atol=1e-6)


def test_a_solution_as_a_function_has_gradients(engine: str) -> None:
    rate = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    y0 = Y0.clone().requires_grad_()
    dense = pb.odeint_dense(lambda t, y: -rate * y, y0, 0.0, 2.0, method="dopri5", engine=engine)
    t = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    grads = torch.autograd.grad(dense(t).sum(), (rate, y0, t))
    value = (Y0 * math.exp(-0.7 * 1.3)).sum().item()
    assert grads[0].item() == pytest.approx(-1.3 * value, rel=1e-5)
    assert torch.allclose(grads[1], torch.full_like(Y0, math.exp(-0.7 * 1.3)), atol=1e-6)
    assert grads[2].item() == pytest.approx(-0.7 * value, rel=1e-5)
    assert torch.equal(dense(0.0), y0)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        (None, {"stepsize": 0.1}, "'stepsize'.* is not an option, and is left out.*step_size"),
        ("dopri5", {"step_size": 0.1}, "'step_size'.* says nothing to this method, of adaptive steps"),
        ("dopri5", {"max_order": 5}, "'max_order'.* says nothing"),
        ("rk4", {"first_step": 0.1}, "'first_step'.* says nothing to this method, of fixed steps"),
        ("rk4", {"jump_t": torch.tensor([0.3, 0.4])}, "'jump_t'.* says nothing"),
        ("euler", {"max_iters": 3}, "'max_iters'.* says nothing"),
        ("dopri5", {"solver": "LSODA"}, "'solver'.* says nothing"),
    ],
)
def test_options_for_nobody_are_warned_of_each_time(
    engine: str, method: str | None, options: dict[str, Any], said: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pb.odeint(Logistic(), Y0, T, method=method, engine=engine)
    for _ in range(2):
        with pytest.warns(pb.OptionWarning, match=said):
            y = pb.odeint(Logistic(), Y0, T, method=method, options=options, engine=engine)
        assert torch.equal(y, expected)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dopri5", {"min_step": 0, "max_step": math.inf, "first_step": None, "step_t": None, "dtype": torch.float64}),
        ("dopri5", {"safety": 0.9, "ifactor": 10.0, "dfactor": 0.2, "max_num_steps": 2**31 - 1}),
        ("dopri5", {"step_t": torch.tensor([0.3, 1.0]), "jump_t": torch.tensor([0.4])}),
        ("rk4", {"step_size": None, "grid_constructor": None, "interp": "linear", "perturb": False}),
    ],
)
def test_torchdiffeqs_defaults_may_be_written(engine: str, method: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = pb.odeint(Logistic(), Y0, T, method=method, options=options, engine=engine)
    assert torch.allclose(y, torchdiffeq.odeint(Logistic(), Y0, T, method=method), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid_constructor": lambda func, y0, t: [0.0, 2.0]}, "expected a tensor of two times"),
        (
            {"grid_constructor": lambda func, y0, t: torch.tensor([0.0, 1.0])},
            "times from 0 to 1; expected .* from 0 to 2",
        ),
        ({"grid_constructor": lambda func, y0, t: torch.tensor([0.0, 1.5, 1.0, 2.0])}, "strictly monotone"),
        ({"grid_constructor": 3}, "function of func, y0 and t"),
        ({"grid_constructor": lambda func, y0, t: t, "step_size": 0.1}, "contradict"),
        ({"interp": "quintic"}, "'linear', 'cubic'"),
        ({"perturb": 1}, "True or False"),
    ],
)
def test_unusable_options_of_fixed_steps_are_refused(engine: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(Logistic(), Y0, T, method="rk4", options=options, engine=engine)


def test_options_of_fixed_steps_are_refused_with_julias_names(engine: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=r"perturb, which are for torchdiffeq's fixed-step names"):
        pb.odeint(Logistic(), Y0, T, method="DP5", options={"perturb": True}, engine=engine)


def test_a_seminorm_is_for_the_backward_solve(engine: str) -> None:
    with pytest.raises(pb.InputError, match="adjoint_options"):
        pb.odeint(Logistic(), Y0, T, options={"norm": "seminorm"}, engine=engine)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("function", [pb.odeint, pb.odeint_adjoint])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_jump_that_is_told_of_costs_nothing(engine: str, dtype: torch.dtype, function: Any, backwards: bool) -> None:
    calls = [0]

    def jumping(t: Tensor, y: Tensor) -> Tensor:
        calls[0] += 1
        return -0.5 * y if (t > 0.5 if backwards else t < 0.5) else y**2 / (-1 if backwards else 1)

    y0 = torch.tensor([1.0], dtype=dtype, requires_grad=True)
    t = torch.tensor([1.0, 0.0] if backwards else [0.0, 1.0], dtype=dtype)
    spent = {}
    for told in (False, True):
        calls[0] = 0
        options = {"jump_t": torch.tensor([0.5])} if told else {}
        y = function(jumping, y0, t, rtol=1e-6, atol=1e-6, method="dopri5", options=options, engine=engine)[-1]
        (grad,) = torch.autograd.grad(y, y0)
        spent[told] = calls[0]
    middle = math.exp(-0.25) if not backwards else math.exp(0.25)
    value = 1 / (1 / middle - 0.5)
    assert y.item() == pytest.approx(value, rel=2e-5)
    assert grad.item() == pytest.approx((value / middle) ** 2 * middle, rel=5e-5)
    assert spent[True] < 0.7 * spent[False]


def test_scipys_solvers_run_in_this_process_alone() -> None:
    with pytest.raises(pb.UnsupportedError, match="isolation='process' is for Julia"):
        pb.odeint(decay, Y0, T, method="scipy_solver", isolation="process")
