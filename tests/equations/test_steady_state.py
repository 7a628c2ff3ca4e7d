"""Steady states and their gradients: against closed forms, and what cannot be served."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def steady(func: Any, y0: Any, **settings: Any) -> Any:
    return pb.steady_state(func, y0, **{"engine": "julia", **settings})


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("method", [None, "Tsit5", "FBDF", "AutoTsit5(Rosenbrock23())"])
def test_square_root(method: str | None, lane: str) -> None:
    inflow = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)
    y0 = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    y = steady(lambda t, y: inflow - y**2, y0, method=method, lane=lane, **TIGHT)
    assert y.shape == (1,)
    assert y.item() == pytest.approx(2**0.5, rel=1e-9)
    y.sum().backward()
    assert inflow.grad is not None
    assert inflow.grad.item() == pytest.approx(0.5 / 2**0.5, rel=1e-9)
    assert y0.grad is not None
    assert y0.grad.item() == 0


@pytest.mark.julia
@pytest.mark.parametrize("size", [3, 60])  # SciMLSensitivity goes without the Jacobian's matrix above 50
def test_linear_systems(size: int) -> None:
    """``A y = b``."""
    a = torch.randn(size, size, dtype=DOUBLE) / size**0.5 + 3 * torch.eye(size, dtype=DOUBLE)
    b, weights = torch.randn(size, dtype=DOUBLE), torch.randn(size, dtype=DOUBLE)
    a.requires_grad_()
    b.requires_grad_()
    y = steady(lambda t, y: b - a @ y, torch.zeros(size, dtype=DOUBLE), **TIGHT)
    exact = torch.linalg.solve(a, b)
    torch.testing.assert_close(y, exact, rtol=1e-9, atol=1e-9)
    found, expected = (torch.autograd.grad((weights * value).sum(), [a, b]) for value in (y, exact))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-8)


class Reactor(nn.Module):
    """A stiff reaction ``A -> B``, ``2 B -> C`` in a tank with an inflow of A; concentrations leave at the rate 1."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([0.5, 1e6], dtype=DOUBLE))
        self.inflow = nn.Parameter(torch.tensor(2.0, dtype=DOUBLE))

    def forward(self, t: Tensor, y: dict[str, Tensor]) -> dict[str, Tensor]:
        first, second = self.rates[0] * y["A"], self.rates[1] * y["B"] ** 2
        return {
            "A": self.inflow - y["A"] - first,
            "B": first - 2 * second - y["B"],
            "C": second - y["C"],
        }

    def exact(self) -> dict[str, Tensor]:
        k, fast = self.rates
        a = self.inflow / (1 + k)
        b = 2 * k * a / (1 + torch.sqrt(1 + 8 * fast * k * a))
        return {"A": a, "B": b, "C": fast * b**2}


@pytest.mark.julia
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_a_stiff_reactor(lane: str) -> None:
    reactor = Reactor()
    start = {name: torch.zeros((), dtype=DOUBLE) for name in "ABC"}
    y = steady(reactor, start, lane=lane, rtol=1e-10, atol=1e-12)
    exact = reactor.exact()
    for name, value in exact.items():
        torch.testing.assert_close(y[name], value, rtol=1e-7, atol=0)
        found, expected = (
            torch.autograd.grad(
                of, list(reactor.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for of in (y[name], value)
        )
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-15)


@pytest.mark.julia
def test_single_precision_and_dynamics_that_time_leaves_alone() -> None:
    level = torch.tensor(0.3, requires_grad=True)
    y = steady(lambda t, y: level - y + torch.exp(-t), torch.zeros(2, 2), t0=1.0)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, torch.full((2, 2), 0.3), rtol=1e-4, atol=0)
    y.sum().backward()
    assert level.grad is not None
    assert level.grad.item() == pytest.approx(4.0, rel=1e-5)


@pytest.mark.julia
def test_parameters_that_are_frozen_or_not_asked_for() -> None:
    inflow = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)
    with torch.no_grad():
        assert not steady(lambda t, y: inflow - y, torch.ones(1, dtype=DOUBLE)).requires_grad
    frozen = steady(lambda t, y: inflow.detach() - y, torch.ones(1, dtype=DOUBLE))
    assert torch.autograd.grad(frozen.sum(), inflow, allow_unused=True) == (None,)


@pytest.mark.julia
def test_a_singular_jacobian_is_refused_in_the_backward_pass() -> None:
    """Mass is conserved: the steady state depends on the start."""
    rate = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)

    def exchange(t: Tensor, y: Tensor) -> Tensor:
        flow = rate * y[0] - y[1]
        return torch.stack([-flow, flow])

    y = steady(exchange, torch.tensor([1.0, 0.0], dtype=DOUBLE), **TIGHT)
    torch.testing.assert_close(y, torch.tensor([1 / 3, 2 / 3], dtype=DOUBLE), rtol=1e-9, atol=0)
    with pytest.raises(pb.UnsupportedError, match="singular"):
        y[0].backward()


@pytest.mark.julia
def test_what_does_not_settle() -> None:
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="maxiters"):
        steady(lambda t, y: turn @ y, torch.ones(2, dtype=DOUBLE), options={"maxiters": 1000})
    with pytest.raises(pb.SolverError, match="no steady state"):
        steady(lambda t, y: torch.ones_like(y), torch.ones(2, dtype=DOUBLE))


@pytest.mark.julia
def test_second_derivatives() -> None:
    """Of two square roots, one of which is in the other, with a start that fades."""
    inflow = torch.tensor([2.0, 0.7], dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([inflow[0] - y[0] ** 2, inflow[1] * y[0] - y[1] ** 2]) + torch.exp(-t)

    y = steady(func, torch.ones(2, dtype=DOUBLE), rtol=1e-10, atol=1e-12)
    first_root = inflow[0] ** 0.5
    exact = torch.stack([first_root, (inflow[1] * first_root) ** 0.5])
    seconds = []
    for value in (y, exact):
        (first,) = torch.autograd.grad(value[0] * value[1] ** 3, inflow, create_graph=True)
        seconds.append(torch.stack([torch.autograd.grad(entry, inflow, retain_graph=True)[0] for entry in first]))
    torch.testing.assert_close(*seconds, rtol=1e-7, atol=1e-9)


@pytest.mark.julia
def test_second_derivatives_of_what_is_no_number_late_are_refused() -> None:
    inflow = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)
    y = steady(lambda t, y: inflow - y**2 + 0 * t.exp(), torch.ones(1, dtype=DOUBLE))
    (first,) = torch.autograd.grad(y.sum(), inflow, create_graph=True)
    with pytest.raises(pb.UnsupportedError, match=r"Second derivatives of this steady state.*no numbers"):
        first.backward()


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "Euler"}, pb.UnsupportedError, r"fixed steps.*dt"),
        ({"method": "KahanLi8"}, pb.UnsupportedError, "SecondOrder or Partitioned"),
        ({"method": "DFBDF"}, pb.UnsupportedError, r"steady state.*daeint"),
        ({"t0": float("nan")}, pb.InputError, "t0"),
    ],
)
def test_bad_input(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        steady(lambda t, y: 1 - y, torch.zeros(1), **settings)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Euler", "rk4", "implicit_euler"])
def test_a_fixed_step(method: str) -> None:
    y = steady(lambda t, y: 1 - y, torch.zeros(1, dtype=DOUBLE), method=method, options={"dt": 0.5})
    assert y.item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.julia
def test_its_adjoint_is_not_that_of_a_solve_over_time() -> None:
    weight = torch.tensor(-1.0, requires_grad=True)
    with pytest.raises(pb.UnsupportedError, match=r"pyode_bridge.steady_state"):
        pb.odeint(lambda t, y: weight * y, torch.ones(1), torch.tensor([0.0, 1.0]), sensealg="SteadyStateAdjoint")


def test_the_embedded_engine_says_that_it_has_none() -> None:
    with pytest.raises(pb.UnsupportedError, match=r"over time alone.*install"):
        pb.steady_state(lambda t, y: 1 - y, torch.zeros(1), engine="embedded")
