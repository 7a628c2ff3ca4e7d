"""Second derivatives of a solve: by gradgradcheck and against closed forms, on every engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
PROBLEMS = {"linear": lambda: Linear(SPIRAL), "logistic": Logistic, "driven": Driven}


def hessian_product(problem: nn.Module, solve: object, y0: Tensor, t: Tensor) -> list[Tensor]:
    """Of a loss that is not linear in the values: with respect to y0, t and the parameters, times fixed numbers."""
    inputs = (y0.clone().requires_grad_(), t.clone().requires_grad_(), *problem.parameters())
    loss = solve(*inputs[:2]).pow(3).sum()
    gradients = torch.autograd.grad(loss, inputs, create_graph=True)
    weighted = sum((gradient * torch.linspace(0.5, 1.5, gradient.numel(), dtype=DOUBLE).view_as(gradient)).sum()
                   for gradient in gradients)  # fmt: skip
    return list(torch.autograd.grad(weighted, inputs))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_hessian_products_match_the_closed_form(engine: str, name: str, backwards: bool) -> None:
    problem = PROBLEMS[name]()
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.linspace(0.2, 1.4, 4, dtype=DOUBLE)
    t = t.flip(0) if backwards else t
    found = hessian_product(problem, lambda y0, t: pb.odeint(problem, y0, t, engine=engine, **TIGHT), y0, t)
    exact = hessian_product(problem, problem.exact, y0, t)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_gradgradcheck_of_a_small_network(engine: str) -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh()).double()
    names = [name for name, _ in network.named_parameters()]
    y0 = torch.randn(1, 2, dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.7], dtype=DOUBLE, requires_grad=True)

    def last(y0: Tensor, t: Tensor, *values: Tensor) -> Tensor:
        func = lambda t, y: torch.func.functional_call(network, dict(zip(names, values, strict=True)), (y * t.cos(),))  # noqa: E731
        return pb.odeint(func, y0, t, engine=engine, rtol=1e-9, atol=1e-9)[-1]

    assert torch.autograd.gradgradcheck(last, (y0, t, *network.parameters()), eps=1e-5, atol=1e-5, rtol=1e-4)


def test_a_gradient_penalty_trains_a_complex_state(engine: str) -> None:
    """``y' = i w y`` from ``y0`` ends at ``y0 exp(i w)``, whose real part's second derivative in w is minus itself."""
    frequency = torch.tensor(0.8, dtype=DOUBLE, requires_grad=True)
    y0, t = torch.tensor([1.0 + 0.5j], dtype=torch.complex128), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    end = pb.odeint(lambda t, y: 1j * frequency * y, y0, t, engine=engine, **TIGHT)[-1].real.sum()
    (first,) = torch.autograd.grad(end, frequency, create_graph=True)
    first.backward()
    assert frequency.grad is not None
    assert frequency.grad.item() == pytest.approx(-end.item(), abs=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", ["GaussAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"])
def test_every_adjoint_is_differentiated_again(sensealg: str) -> None:
    problem = Logistic()
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.tensor([0.0, 0.6, 1.0], dtype=DOUBLE)
    solve = lambda y0, t: pb.odeint(problem, y0, t, engine="julia", method="Tsit5", sensealg=sensealg, **TIGHT)  # noqa: E731
    for mine, theirs in zip(
        hessian_product(problem, solve, y0, t), hessian_product(problem, problem.exact, y0, t), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def stiff_second_derivative(times: int) -> tuple[Tensor, Tensor]:
    """Of the sum of squares of ``y' = -k (y - cos t)``, ``k = 1000``: what was found, and from the closed form."""
    k = torch.tensor(1000.0, dtype=DOUBLE, requires_grad=True)
    y0, t = torch.tensor([1.0], dtype=DOUBLE), torch.linspace(0.0, 0.2, times, dtype=DOUBLE)
    slow = lambda t: k * (k * torch.cos(t) + torch.sin(t)) / (k**2 + 1)  # noqa: E731
    exact = slow(t) + (y0 - slow(t[0])) * torch.exp(-k * t)
    func = lambda t, y: -k * (y - torch.cos(t))  # noqa: E731
    y = pb.odeint(func, y0, t, method="Rodas5P", engine="julia", rtol=1e-9, atol=1e-9)
    seconds = []
    for values in (y.squeeze(-1), exact):
        (first,) = torch.autograd.grad(values.square().sum(), k, create_graph=True)
        seconds += torch.autograd.grad(first, k)
    return seconds[0], seconds[1]


@pytest.mark.julia
def test_second_derivatives_of_a_stiff_solve_need_close_times() -> None:
    """Backwards, errors grow by ``exp(k dt)`` from one time to the one before: by 12 where there are 81."""
    found, exact = stiff_second_derivative(81)
    assert found.item() == pytest.approx(exact.item(), rel=1e-3)
    with pytest.warns(pb.GradientWarning, match="The derivative of a gradient"):
        stiff_second_derivative(11)


MASS = torch.tensor([[2.0, 0.5], [0.3, 1.5]], dtype=DOUBLE)


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["auto", "callback"])
@pytest.mark.parametrize("t", [[0.0, 0.4, 1.0], [1.0, 0.4, 0.0]])
def test_a_mass_matrix_has_the_second_derivatives_of_the_equation_solved_for_the_velocity(
    lane: str, t: list[float]
) -> None:
    def force(y: Tensor, p: Tensor) -> Tensor:
        return torch.stack([torch.sin(p[0] * y[1]), -p[1] * y[0] ** 2 - y[1]])

    settings = {"engine": "julia", "method": "Rodas5P", "lane": lane, "rtol": 1e-9, "atol": 1e-9}

    def hessian(solve: object) -> list[Tensor]:
        y0, p, times = (
            torch.tensor(values, dtype=DOUBLE, requires_grad=True) for values in ([1.0, -0.5], [0.7, 1.2], t)
        )
        loss = solve(y0, p, times).pow(3).sum()  # type: ignore[operator]
        first = torch.autograd.grad(loss, (y0, p, times), create_graph=True)
        v = [torch.linspace(1.0, 2.0, part.numel(), dtype=DOUBLE) for part in first]
        return list(torch.autograd.grad(first, (y0, p, times), v))

    found = hessian(lambda y0, p, t: pb.odeint(lambda t, y: force(y, p), y0, t, mass_matrix=MASS, **settings))
    inverse = torch.linalg.inv(MASS)
    expected = hessian(lambda y0, p, t: pb.odeint(lambda t, y: inverse @ force(y, p), y0, t, **settings))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [pb.odeint, pb.odeint_adjoint])
@pytest.mark.parametrize("method", ["rk4", "implicit_midpoint"])
@pytest.mark.parametrize("by", ["step_size", "grid_constructor"])
def test_second_derivatives_by_fixed_steps(engine: str, function: Any, method: str, by: str) -> None:
    """They keep to the steps in each of the solves, which go there and back."""

    def grid(func: Any, y0: Any, t: Tensor) -> Tensor:
        return torch.linspace(t[0].item(), t[-1].item(), 26, dtype=DOUBLE)

    options: dict[str, Any] = {"step_size": 0.02} if by == "step_size" else {"grid_constructor": grid}
    y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE)
    y = function(lambda t, y: -(y**2), y0, t, method=method, options=options, engine=engine)[-1]
    (first,) = torch.autograd.grad(y.sum(), y0, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), y0)
    torch.testing.assert_close(second, -2 / (1 + y0.detach()) ** 3, rtol=1e-3, atol=0)


@pytest.mark.parametrize("settings", [{"method": "rk4", "options": {"step_size": 0.05}}, {"sensealg": "TorchAdjoint"}])
def test_recorded_steps_have_second_derivatives(settings: dict[str, Any]) -> None:
    problem = Logistic()
    y0, t = torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.linspace(0.2, 1.4, 4, dtype=DOUBLE)
    found = hessian_product(problem, lambda y0, t: pb.odeint(problem, y0, t, engine="embedded", **settings), y0, t)
    exact = hessian_product(problem, problem.exact, y0, t)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
