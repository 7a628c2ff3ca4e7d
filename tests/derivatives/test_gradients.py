"""Gradients: against closed forms and finite differences, on every engine."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
BOUND = 1e-6

PROBLEMS = {"linear": lambda: Linear(SPIRAL), "logistic": Logistic, "driven": Driven}


def relative_error(found: Tensor, exact: Tensor) -> float:
    return ((found - exact).norm() / exact.norm()).item()


def gradients(problem: nn.Module, y0: Tensor, t: Tensor, weights: Tensor, solve: object) -> list[Tensor]:
    """Gradients of a loss over the whole trajectory with respect to y0, t and the parameters."""
    y0, t = y0.clone().requires_grad_(), t.clone().requires_grad_()
    y = solve(y0, t)
    return list(torch.autograd.grad((weights * y).sum(), (y0, t, *problem.parameters())))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_gradients_match_the_closed_form(engine: str, name: str, backwards: bool) -> None:
    problem = PROBLEMS[name]()
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 6, dtype=DOUBLE)
    t = t.flip(0) if backwards else t
    weights = torch.randn(6, 2, dtype=DOUBLE)
    found = gradients(problem, y0, t, weights, lambda y0, t: pb.odeint(problem, y0, t, engine=engine, **TIGHT))
    exact = gradients(problem, y0, t, weights, problem.exact)
    for mine, theirs in zip(found, exact, strict=True):
        assert relative_error(mine, theirs) <= BOUND


def test_gradcheck_of_a_small_network(engine: str) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.second(torch.tanh(self.first(y) + t))

    network = Network().double()
    y0 = torch.randn(2, 2, dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE, requires_grad=True)
    names = [name for name, _ in network.named_parameters()]
    parameters = tuple(network.parameters())

    def trajectory(y0: Tensor, t: Tensor, *values: Tensor) -> Tensor:
        func = lambda time, y: torch.func.functional_call(network, dict(zip(names, values, strict=True)), (time, y))  # noqa: E731
        return pb.odeint(func, y0, t, engine=engine, **TIGHT)

    assert torch.autograd.gradcheck(trajectory, (y0, t, *parameters), eps=1e-5, atol=1e-6, rtol=1e-5)


def test_a_closure_is_differentiated_like_a_module(engine: str) -> None:
    rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    scale = torch.tensor(0.5, dtype=DOUBLE, requires_grad=True)
    effective = rate * scale  # not a leaf: the gradient goes through it to the leaves
    y0 = torch.ones(1, dtype=DOUBLE)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    pb.odeint(lambda t, y: -effective * y, y0, t, engine=engine, **TIGHT)[-1].sum().backward()
    exact = -torch.exp(-effective.detach())
    assert rate.grad is not None
    assert scale.grad is not None
    assert rate.grad.item() == pytest.approx((exact * 0.5).item(), rel=BOUND)
    assert scale.grad.item() == pytest.approx((exact * 1.3).item(), rel=BOUND)


def test_only_listed_parameters_get_a_gradient(engine: str) -> None:
    problem = Logistic()
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    y = pb.odeint(problem, torch.ones(1, dtype=DOUBLE), t, engine=engine, adjoint_params=[problem.rate])
    y.sum().backward()
    assert problem.rate.grad is not None
    assert problem.capacity.grad is None


def test_frozen_parameters_are_left_alone(engine: str) -> None:
    problem = Logistic()
    problem.capacity.requires_grad_(False)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    pb.odeint(problem, torch.ones(1, dtype=DOUBLE), t, engine=engine).sum().backward()
    assert problem.rate.grad is not None
    assert problem.capacity.grad is None


def test_unused_parameters_get_zero(engine: str) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Parameter(torch.tensor(1.0, dtype=DOUBLE))
            self.unused = nn.Parameter(torch.ones(3, dtype=DOUBLE))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -self.used * y

    half = Half()
    pb.odeint(half, torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE), engine=engine).sum().backward()
    assert torch.equal(half.unused.grad, torch.zeros(3, dtype=DOUBLE))
    assert half.used.grad is not None


def test_constant_dynamics_have_a_gradient_too(engine: str) -> None:
    y0 = torch.zeros(2, dtype=DOUBLE, requires_grad=True)
    y = pb.odeint(lambda t, y: torch.ones_like(y), y0, torch.tensor([0.0, 2.0], dtype=DOUBLE), engine=engine)
    y[-1].sum().backward()
    torch.testing.assert_close(y0.grad, torch.ones(2, dtype=DOUBLE))


@pytest.mark.parametrize("container", [tuple, dict], ids=["tuple", "dict"])
def test_structured_states_are_differentiated(engine: str, container: type) -> None:
    position = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    velocity = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.7], dtype=DOUBLE)
    if container is tuple:
        result = pb.odeint(lambda t, s: (s[1][0], -s[0][None]), (position, velocity), t, engine=engine, **TIGHT)
        final = result[0][-1]
    else:
        y0 = {"x": position, "v": velocity}
        result = pb.odeint(lambda t, s: {"x": s["v"][0], "v": -s["x"][None]}, y0, t, engine=engine, **TIGHT)
        final = result["x"][-1]
    final.backward()
    assert position.grad.item() == pytest.approx(torch.cos(t[1]).item(), rel=BOUND)
    assert velocity.grad.item() == pytest.approx(torch.sin(t[1]).item(), rel=BOUND)


def test_float32_gradients_stay_float32(engine: str) -> None:
    layer = nn.Linear(2, 2)
    y0 = torch.randn(3, 2, requires_grad=True)
    t = torch.linspace(0, 1, 3)
    y = pb.odeint(lambda t, y: torch.tanh(layer(y)), y0, t, engine=engine, rtol=1e-5, atol=1e-6)
    y.square().mean().backward()
    reference_layer = nn.Linear(2, 2).double()
    reference_layer.load_state_dict(layer.state_dict())
    reference_y0 = y0.detach().double().requires_grad_()
    reference = pb.odeint(
        lambda t, y: torch.tanh(reference_layer(y)), reference_y0, t.double(), engine="embedded", **TIGHT
    )
    reference.square().mean().backward()
    assert y0.grad.dtype == layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(y0.grad.double(), reference_y0.grad, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(layer.weight.grad.double(), reference_layer.weight.grad, rtol=1e-3, atol=1e-5)


def test_backward_twice_over_a_retained_graph(engine: str) -> None:
    problem = Logistic()
    y0 = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    loss = pb.odeint(problem, y0, torch.tensor([0.0, 1.0], dtype=DOUBLE), engine=engine)[-1].sum()
    (first,) = torch.autograd.grad(loss, y0, retain_graph=True)
    (second,) = torch.autograd.grad(loss, y0)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_parameters_changed_before_backward_are_refused(engine: str) -> None:
    problem = Logistic()
    y = pb.odeint(problem, torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE), engine=engine)
    with torch.no_grad():
        problem.rate.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("backward", [False, True])
def test_a_solve_is_freed_with_its_last_reference(engine: str, backward: bool) -> None:
    problem = Logistic()
    solution = pb.solve(problem, torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE), engine=engine)
    if backward:
        solution.y.sum().backward()
    pullback = weakref.ref(solution.trajectory.pullback)
    del solution
    gc.collect()
    assert pullback() is None


def test_adjoint_statistics_count_the_backward_solve(engine: str) -> None:
    problem = Logistic()
    y0 = torch.ones(1, dtype=DOUBLE)
    solution = pb.solve(problem, y0, torch.tensor([0.0, 1.0], dtype=DOUBLE), engine=engine)
    assert solution.adjoint_stats is None
    solution.y.sum().backward()
    assert solution.adjoint_stats.nvjp > 0


@pytest.mark.parametrize("method", ["DP8", "RadauIIA5", "QNDF", "lsoda", "CVODE_BDF", "CVODE_Adams", "dopri8"])
def test_other_embedded_solvers_are_differentiated(method: str) -> None:
    problem = Driven()
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 3, dtype=DOUBLE)
    weights = torch.randn(3, 2, dtype=DOUBLE)

    def solve(y0: Tensor, t: Tensor) -> Tensor:
        return pb.odeint(problem, y0, t, method=method, engine="embedded", rtol=1e-9, atol=1e-9)

    exact = gradients(problem, y0, t, weights, problem.exact)
    for mine, theirs in zip(gradients(problem, y0, t, weights, solve), exact, strict=True):
        assert relative_error(mine, theirs) <= 1e-5


DISCRETE = {
    "DP5": ({"rtol": 1e-9, "atol": 1e-9}, 1e-5),
    "rk4": ({"options": {"dt": 4e-3}}, 1e-5),
    "midpoint": ({"options": {"dt": 4e-3}}, 1e-3),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("method", DISCRETE)
def test_the_discrete_adjoint_matches_the_closed_form(name: str, method: str) -> None:
    settings, bound = DISCRETE[method]
    problem = PROBLEMS[name]()
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.linspace(0.2, 1.4, 6, dtype=DOUBLE)
    weights = torch.randn(6, 2, dtype=DOUBLE)
    solver = {"method": method, "sensealg": "TorchAdjoint", "engine": "embedded", **settings}
    found = gradients(problem, y0, t, weights, lambda y0, t: pb.odeint(problem, y0, t, **solver))
    exact = gradients(problem, y0, t, weights, problem.exact)
    for mine, theirs in zip(found, exact, strict=True):
        assert relative_error(mine, theirs) <= bound


def test_the_discrete_adjoint_is_exact_for_the_numbers_computed() -> None:
    """Coarse steps give a wrong solution, of which the gradient is exact: that of the same steps written by hand."""
    rate = torch.tensor(1.7, dtype=DOUBLE, requires_grad=True)
    y0, t = torch.tensor([2.0], dtype=DOUBLE), torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
    y = pb.odeint(lambda t, y: -rate * y, y0, t, method="euler", sensealg="TorchAdjoint", engine="embedded")
    (found,) = torch.autograd.grad(y[-1].sum(), rate)
    (exact,) = torch.autograd.grad((y0 * (1 - rate / 3) ** 3).sum(), rate)
    assert found.item() == pytest.approx(exact.item(), rel=1e-12)


def given_other_tensors(**settings: Any) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    """A model, the tensors that it was given for one solve alone, and a loss of that."""
    model = pb.NeuralODE(Linear(SPIRAL), torch.tensor([0.0, 1.0], dtype=DOUBLE), **settings)
    other = {name: 2 * parameter.detach().clone() for name, parameter in model.named_parameters()}
    given = {name: tensor.requires_grad_() for name, tensor in other.items()}
    return model, given, torch.func.functional_call(model, given, (torch.ones(2, dtype=DOUBLE),)).square().sum()


@pytest.mark.parametrize(
    "settings", [{"engine": "embedded"}, pytest.param({"engine": "julia", "lane": "callback"}, marks=pytest.mark.julia)]
)
def test_a_module_given_other_tensors_for_the_solve_alone_is_refused(settings: dict[str, Any]) -> None:
    """Its own are back in the backward pass, which would silently differentiate these."""
    _, _, loss = given_other_tensors(**settings)
    with pytest.raises(pb.UnsupportedError, match="functional_call"):
        loss.backward()


@pytest.mark.julia
def test_what_was_compiled_reads_the_tensors_of_the_solve() -> None:
    model, given, loss = given_other_tensors(engine="julia", lane="compiled")
    loss.backward()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(given[name])
    model(torch.ones(2, dtype=DOUBLE)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert given[name].grad is not None
        torch.testing.assert_close(given[name].grad, parameter.grad, rtol=1e-6, atol=1e-9)
    _, given, loss = given_other_tensors(engine="julia", lane="compiled")
    with pytest.raises(pb.UnsupportedError, match="functional_call"):  # by which a second derivative would go on
        torch.autograd.grad(loss, list(given.values()), create_graph=True)


def test_one_evaluation_serves_the_state_and_the_products_when_embedded() -> None:
    calls, rate = 0, torch.tensor(1.7, dtype=DOUBLE, requires_grad=True)

    def f(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return -rate * y

    settings = {"engine": "embedded", "sensealg": "BacksolveAdjoint"}
    solution = pb.solve(f, torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE), **settings)
    calls = 0
    solution.y[-1].sum().backward()
    assert calls - 2 <= solution.adjoint_stats.nvjp <= calls  # beside it, a look at what func uses
