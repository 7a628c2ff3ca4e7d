"""Gradients of everything that dynamics use, whenever and however they come to it, beside plain autograd."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE, Logistic

TIGHT = {"method": "dopri5", "rtol": 1e-9, "atol": 1e-9}
T = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)

Solver = Callable[[Any, Any], Any]


def ours(engine: str, **settings: Any) -> Solver:
    return lambda func, y0: pb.odeint(func, y0, T, engine=engine, **{**TIGHT, **settings})


def plain(func: Any, y0: Any) -> Any:
    """torchdiffeq, with autograd through its steps."""
    return torchdiffeq.odeint(func, y0, T, **TIGHT)


def assert_same_gradients(
    loss: Callable[[Solver], Tensor], solve: Solver, tensors: Sequence[Tensor], true: Solver = plain
) -> None:
    found = torch.autograd.grad(loss(solve), tensors)
    exact = torch.autograd.grad(loss(true), tensors)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def network(*sizes: int) -> nn.Sequential:
    layers = [nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1]).double()


# Dynamics that switch autograd on for their state, as continuous flows do


class Flow(nn.Module):
    """A continuous normalizing flow with the exact trace, as in torchdiffeq's example ``cnf.py``."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network(3, 8, 2)

    def rates(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z.requires_grad_(True)
            t.requires_grad_(True)
            dz = self.net(torch.cat([z, t.expand(len(z), 1)], dim=1))
            trace = sum(torch.autograd.grad(dz[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(2))
        return dz, -trace[:, None]


class TupleFlow(Flow):
    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.rates(t.clone(), state[0])


class DictFlow(Flow):
    def forward(self, t: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return dict(zip(("z", "l"), self.rates(t.clone(), state["z"]), strict=True))


def as_one_tensor(func: Callable[..., Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of a tuple of ``(B, 2)`` and ``(B, 1)`` as one of ``(B, 3)``."""
    return lambda t, y: torch.cat(func(t, (y[:, :2], y[:, 2:])), dim=1)


@pytest.mark.parametrize("form", ["tuple", "dict", "closure", "tensor"])
def test_a_state_that_is_made_to_require_gradients_is_no_parameter(engine: str, form: str) -> None:
    func = DictFlow() if form == "dict" else TupleFlow()
    z, zeros = torch.randn(4, 2, dtype=DOUBLE, requires_grad=True), torch.zeros(4, 1, dtype=DOUBLE)
    called = {"closure": lambda t, y: func(t, y), "tensor": as_one_tensor(func)}.get(form, func)

    def loss(solve: Solver) -> Tensor:
        if form == "tensor":
            end = solve(called, torch.cat([z, zeros], dim=1))[-1]
            values, logs = end[:, :2], end[:, 2:]
        elif form == "dict" and solve is not plain:
            found = solve(called, {"z": z, "l": zeros})
            values, logs = found["z"][-1], found["l"][-1]
        else:
            given = (lambda t, y: func.rates(t.clone(), y[0])) if form == "dict" else called
            values, logs = (part[-1] for part in solve(given, (z, zeros)))
        return values.square().sum() + logs.sin().sum()

    assert_same_gradients(loss, ours(engine), [z, *func.parameters()])


def test_such_a_state_is_solved_for_without_gradients_too(engine: str) -> None:
    func = TupleFlow()
    y0 = torch.randn(4, 2, dtype=DOUBLE), torch.zeros(4, 1, dtype=DOUBLE)
    with torch.no_grad():
        found = pb.odeint(func, y0, T, engine=engine, **{**TIGHT, "method": "RadauIIA5"})
        exact = plain(func, y0)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
        assert not mine.requires_grad


def test_a_leaf_that_each_evaluation_makes_is_no_parameter(engine: str) -> None:
    rate = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(x.pow(2).sum(), x, create_graph=True)  # 2 x, which depends on x
        return -rate * y + 0 * slope

    assert_same_gradients(lambda solve: solve(func, Y0)[-1].sum(), ours(engine), [rate])


# Parameters that the dynamics come to later


class Switched:
    """One network before a time, another one after it."""

    def __init__(self) -> None:
        self.first, self.second = network(2, 4, 2), network(2, 4, 2)

    def rate(self, t: Tensor, y: Tensor) -> Tensor:
        return (self.first if t < 0.4 else self.second)(y)

    def parameters(self) -> list[Tensor]:
        return [*self.first.parameters(), *self.second.parameters()]


def chosen(both: Switched, t: Tensor, y: Tensor) -> Tensor:
    return both.rate(t, y)


WAYS = {
    "bound method": lambda both: both.rate,
    "closure": lambda both: lambda t, y: both.rate(t, y),
    "partial": lambda both: functools.partial(chosen, both),
    "default": lambda both: lambda t, y, both=both: both.rate(t, y),
}


def in_pieces(both: Switched) -> Solver:
    """torchdiffeq, with one network after the other."""

    def solve(_: Any, y0: Tensor) -> Tensor:
        first = torchdiffeq.odeint(lambda t, y: both.first(y), y0, T[:2], **TIGHT)
        return torchdiffeq.odeint(lambda t, y: both.second(y), first[-1], T[1:], **TIGHT)

    return solve


@pytest.mark.parametrize("way", WAYS)
def test_a_network_that_is_chosen_by_time_has_its_gradient(engine: str, way: str) -> None:
    both, at_the_switch = Switched(), {"jump_t": T[1:2]}
    assert_same_gradients(
        lambda solve: solve(WAYS[way](both), Y0)[-1].square().sum(),
        ours(engine, options=at_the_switch),
        both.parameters(),
        in_pieces(both),
    )


@pytest.mark.parametrize("engine", ["embedded"])
def test_the_discrete_adjoint_reaches_it_too(engine: str) -> None:
    both = Switched()
    settings = {"method": "RK4", "options": {"dt": 0.2, "adaptive": False}, "sensealg": "TorchAdjoint"}

    def steps(func: Any, y: Tensor) -> Tensor:
        """Kutta's classical method."""
        values, h = [y], 0.2
        for i in range(5):
            t = torch.tensor(i * h, dtype=DOUBLE)
            k1 = func(t, y)
            k2 = func(t + h / 2, y + h / 2 * k1)
            k3 = func(t + h / 2, y + h / 2 * k2)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + func(t + h, y + h * k3))
            values.append(y)
        return torch.stack(values)

    assert_same_gradients(
        lambda solve: solve(both.rate, Y0)[-1].square().sum(), ours(engine, **settings), both.parameters(), steps
    )


def test_second_derivatives_and_retained_graphs_of_what_is_met_later(engine: str) -> None:
    """From 1, ``y' = -a y`` up to 0.4 and then ``y' = -b y`` end at ``exp(-0.4 a - 0.6 b)``."""
    a, b = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.5, 0.3))
    y0, values = torch.ones(1, dtype=DOUBLE), {"a": a, "b": b}
    end = pb.odeint(lambda t, y: -values["a" if t < 0.4 else "b"] * y, y0, T, engine=engine, **TIGHT)[-1].sum()
    exact = torch.exp(-0.4 * a - 0.6 * b)
    for _ in range(2):
        first = torch.autograd.grad(end, [a, b], create_graph=True)
        true = torch.autograd.grad(exact, [a, b], create_graph=True)
        torch.testing.assert_close(first, true, rtol=1e-5, atol=1e-6)
        second = torch.autograd.grad(first[0] + first[1], [a, b], retain_graph=True)
        torch.testing.assert_close(
            second, torch.autograd.grad(true[0] + true[1], [a, b], retain_graph=True), rtol=1e-5, atol=1e-6
        )


def test_what_is_met_later_may_not_change_before(engine: str) -> None:
    both = Switched()
    y = pb.odeint(both.rate, Y0, T, engine=engine, **TIGHT)
    with torch.no_grad():
        both.second[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_dynamics_never_use_is_left_alone(engine: str) -> None:
    """It may change, is no part of the adjoint, and its hooks are not called."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator, self.discriminator = Logistic(), network(2, 1)

        def forward(self) -> pb.Solution:
            return pb.solve(lambda t, y: self.generator(t, y), Y0, T, engine=engine, **TIGHT)

    model, calls = Model(), []
    for parameter in model.discriminator.parameters():
        parameter.register_hook(calls.append)
    solution = model()
    assert solution.y.requires_grad
    with torch.no_grad():
        model.discriminator[0].weight.zero_()
    solution.y[-1].sum().backward()
    assert all(parameter.grad is None for parameter in model.discriminator.parameters())
    assert not calls
    exact = torch.autograd.grad(model.generator.exact(Y0, T)[-1].sum(), list(model.generator.parameters()))
    for parameter, true in zip(model.generator.parameters(), exact, strict=True):
        torch.testing.assert_close(parameter.grad, true, rtol=1e-6, atol=1e-8)


def test_a_branch_on_the_state_has_its_gradient(engine: str) -> None:
    """``y' = a`` up to 1.2 and then ``y' = b``: from 1, it is at ``1.2 + b (1 - 0.2 / a)`` at time 1."""
    a, b = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.5, 0.3))
    y = pb.odeint(
        lambda t, y: torch.stack([a if y[0] < 1.2 else b]),
        torch.ones(1, dtype=DOUBLE),
        torch.tensor([0.0, 1.0], dtype=DOUBLE),
        engine=engine,
        **TIGHT,
    )
    # The adjoint does not see that the time of the change depends on a, which is the business of events.
    (grad,) = torch.autograd.grad(y[-1].sum(), b)
    assert grad.item() == pytest.approx(1 - 0.2 / 0.5, abs=1e-5)


class Hidden:
    """An object that no walk looks into."""

    __slots__ = ("first", "second")

    def __init__(self) -> None:
        self.first, self.second = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 0.3))

    def rate(self, t: Tensor, y: Tensor) -> Tensor:
        return -(self.first if t < 0.5 else self.second) * y


def test_what_cannot_be_seen_and_is_met_later_is_refused(engine: str) -> None:
    hidden = Hidden()
    y = pb.odeint(hidden.rate, Y0, T, engine=engine, **TIGHT)
    with pytest.raises(pb.UnsupportedError, match=r"shape \(\) whose gradient would be lost.*adjoint_params"):
        y[-1].sum().backward()
    both = [hidden.first, hidden.second]
    y = pb.odeint(hidden.rate, Y0, T, engine=engine, adjoint_params=both, **TIGHT)
    grads = torch.autograd.grad(y[-1].sum(), both)
    exact = -0.5 * 1.5 * torch.exp(torch.tensor(-0.5 * (0.7 + 0.3), dtype=DOUBLE))
    for grad in grads:
        assert grad.item() == pytest.approx(exact.item(), rel=1e-5)


def test_what_cannot_be_seen_and_is_used_from_the_start_has_its_gradient(engine: str) -> None:
    hidden = Hidden()
    y = pb.odeint(lambda t, y: hidden.rate(0 * t, y), Y0, T, engine=engine, **TIGHT)
    (grad,) = torch.autograd.grad(y[-1].sum(), hidden.first)
    assert grad.item() == pytest.approx(-1.5 * torch.exp(torch.tensor(-0.7)).item(), rel=1e-6)


# Tensors that were computed before


class Conditioned(nn.Module):
    """Dynamics with a context, which is an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.net = network(3, 5, 2), network(4, 6, 2)
        self.context: Tensor | None = None

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([y, self.context]))


def counted(encoder: nn.Module, count: list[int]) -> nn.Module:
    """The encoder, which notes each backward pass through it."""
    encoder[0].register_full_backward_hook(lambda *_: count.append(1))
    return encoder


@pytest.mark.parametrize("way", ["attribute", "closure", "partial"])
def test_an_encoder_runs_backward_once(engine: str, way: str) -> None:
    func, x, count = Conditioned(), torch.randn(3, dtype=DOUBLE, requires_grad=True), []
    counted(func.encoder, count)

    def loss(solve: Solver) -> Tensor:
        context = func.encoder(x)
        net = func.net
        if way == "attribute":
            func.context = context
            called = func
        elif way == "closure":
            called = lambda t, y: net(torch.cat([y, context]))  # noqa: E731
        else:
            called = functools.partial(lambda context, t, y: net(torch.cat([y, context])), context)
        return solve(called, Y0)[-1].square().sum()

    value = loss(ours(engine))
    count.clear()
    torch.autograd.grad(value, [x])
    assert len(count) == 1
    assert_same_gradients(loss, ours(engine), [x, *func.parameters()])


def test_a_leaf_that_is_reached_both_ways_has_both_contributions(engine: str) -> None:
    w = torch.tensor([0.4, 0.9], dtype=DOUBLE, requires_grad=True)

    def loss(solve: Solver) -> Tensor:
        context = w.square().sum()
        return solve(lambda t, y: -w * y + context, Y0)[-1].square().sum()

    assert_same_gradients(loss, ours(engine), [w])


def test_computed_tensors_of_which_one_was_computed_from_another(engine: str) -> None:
    w = torch.tensor([0.4, 0.9], dtype=DOUBLE, requires_grad=True)

    def loss(solve: Solver) -> Tensor:
        hidden = w.square()
        scale = hidden.exp().sum()
        return solve(lambda t, y: -hidden * y + scale, Y0)[-1].square().sum()

    assert_same_gradients(loss, ours(engine), [w])


def test_a_retained_graph_and_solves_that_share_a_context(engine: str) -> None:
    func, x, count = Conditioned(), torch.randn(3, dtype=DOUBLE, requires_grad=True), []
    counted(func.encoder, count)

    def loss(solve: Solver) -> Tensor:
        func.context = func.encoder(x)
        return solve(func, Y0)[-1].square().sum() + solve(func, 2 * Y0)[-1].sum() + func.context.sin().sum()

    value = loss(ours(engine))
    tensors = [x, *func.parameters()]
    first = torch.autograd.grad(value, tensors, retain_graph=True)
    second = torch.autograd.grad(value, tensors)
    assert len(count) == 2
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert_same_gradients(loss, ours(engine), tensors)


def test_trajectories_of_an_ensemble_share_a_context(engine: str) -> None:
    w, count = torch.tensor([0.4, 0.9], dtype=DOUBLE, requires_grad=True), []
    hidden = w.sin()
    hidden.register_hook(lambda _: count.append(1))
    context, y0s = hidden.square(), torch.rand(3, 2, dtype=DOUBLE)
    sol = pb.solve_ensemble(lambda t, y: -context * y, y0s, T, engine=engine, **TIGHT)
    exact = (y0s * torch.exp(-w.sin().square())).sum()
    (found,), (true,) = (torch.autograd.grad(value, w) for value in (sol.y[-1].sum(), exact))
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-6)
    assert len(count) == 1
    assert sol.lane == {"embedded": "native", "julia": "compiled"}[engine]


def test_the_second_derivative_goes_through_a_context(engine: str) -> None:
    w, x = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.4, 0.9))

    def loss(solve: Solver) -> Tensor:
        rate = torch.sin(w * x)
        end = solve(lambda t, y: -rate * y * y, Y0)[-1].sum()
        first = torch.autograd.grad(end, [w, x], create_graph=True)
        return first[0] + 2 * first[1].square()

    assert_same_gradients(loss, ours(engine), [w, x])


def test_a_context_that_is_changed_before_backward_is_refused(engine: str) -> None:
    w = torch.tensor([0.4, 0.9], dtype=DOUBLE, requires_grad=True)
    context = w.square()
    y = pb.odeint(lambda t, y: -context * y, Y0, T, engine=engine, **TIGHT)
    with torch.no_grad():
        context.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_computed_tensor_may_be_listed(engine: str) -> None:
    func, x = Conditioned(), torch.randn(3, dtype=DOUBLE, requires_grad=True)

    def loss(solve: Solver) -> Tensor:
        func.context = func.encoder(x)
        if solve is plain:
            return solve(func, Y0)[-1].square().sum()
        return ours(engine, adjoint_params=[func.context])(func, Y0)[-1].square().sum()

    assert_same_gradients(loss, ours(engine), [x, *func.encoder.parameters()])


def test_a_computed_tensor_may_be_listed_with_what_it_was_computed_from(engine: str) -> None:
    """Its gradient is autograd's to pass on, and counts once."""
    x = torch.tensor([0.3, -0.2, 0.5], dtype=DOUBLE, requires_grad=True)
    y0 = torch.tensor([0.5, -0.1, 0.2], dtype=DOUBLE)

    def loss(solve: Solver) -> Tensor:
        squared = x**2
        both = torch.sin(squared) * x

        def func(t: Tensor, y: Tensor) -> Tensor:
            return both - squared * y * torch.cos(x)

        if solve is plain:
            return solve(func, y0)[-1].square().sum()
        return ours(engine, adjoint_params=[x, both, squared])(func, y0)[-1].square().sum()

    (mine,) = torch.autograd.grad(loss(ours(engine)), x)
    (true,) = torch.autograd.grad(loss(plain), x)
    torch.testing.assert_close(mine, true, rtol=1e-6, atol=1e-8)


def test_a_tensor_that_a_solve_left_behind_is_no_parameter(engine: str) -> None:
    """It has a graph, which is gone."""

    class Keeping(Logistic):
        last: Tensor | None = None

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            self.last = super().forward(t, y)
            return self.last

    func, exact = Keeping(), Logistic()
    for _ in range(2):
        func.zero_grad()
        y = pb.odeint(func, Y0, T, engine=engine, **TIGHT)
        y[-1].sum().backward()
        func.kept = y  # and this one from outside
    true = torch.autograd.grad(exact.exact(Y0, T)[-1].sum(), list(exact.parameters()))
    for parameter, grad in zip(func.parameters(), true, strict=True):
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-6, atol=1e-8)


def test_a_weight_that_each_evaluation_computes_anew_has_its_gradient(engine: str) -> None:
    """``weight`` is an attribute that was computed, but not from outside."""
    layer = nn.Linear(2, 2).double()
    with pytest.warns(FutureWarning):
        layer = nn.utils.weight_norm(layer)
    func = lambda t, y: torch.tanh(layer(y))  # noqa: E731
    assert_same_gradients(lambda solve: solve(func, Y0)[-1].square().sum(), ours(engine), list(layer.parameters()))


def test_weights_that_a_network_computes_have_gradients(engine: str) -> None:
    """A hypernetwork, with its results put into another."""
    net, code = network(2, 3, 2), torch.randn(4, dtype=DOUBLE, requires_grad=True)
    hyper = {name: torch.randn(*parameter.shape, 4, dtype=DOUBLE) for name, parameter in net.state_dict().items()}

    def loss(solve: Solver) -> Tensor:
        weights = {name: matrix @ code for name, matrix in hyper.items()}
        func = lambda t, y: torch.func.functional_call(net, weights, (y,))  # noqa: E731
        return solve(func, Y0)[-1].square().sum()

    assert_same_gradients(loss, ours(engine), [code])
