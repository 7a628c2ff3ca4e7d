"""First and second derivatives through equations with a mass matrix, against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.derivatives.underlying import Constraint, MassMatrix
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.problems import DOUBLE, SPIRAL

pytestmark = pytest.mark.julia

ADJOINTS = ["InterpolatingAdjoint", "GaussAdjoint", "GaussKronrodAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"]
SOLVER = {"method": "Rodas5P", "engine": "julia", "rtol": 1e-9, "atol": 1e-9}
TIMES = [0.0, 0.4, 1.0]


def compare(found: Tensor, exact: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Values, and gradients of a loss over all of them."""
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
    weights = torch.linspace(0.5, 2.0, found.numel(), dtype=DOUBLE).view_as(found)
    mine, theirs = (torch.autograd.grad((weights * y.square()).sum(), inputs) for y in (found, exact))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize("sensealg", ADJOINTS)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_a_regular_mass_matrix(sensealg: str, backwards: bool) -> None:
    """``M y' = A y`` has the solution ``exp(M⁻¹ A t) y0``; M is not symmetric, so that it must be transposed."""
    mass = torch.tensor([[2.0, 0.5], [0.0, 1.0]], dtype=DOUBLE)
    matrix, y0 = SPIRAL.clone().requires_grad_(), torch.tensor([1.2, 0.3], dtype=DOUBLE, requires_grad=True)
    t = torch.tensor(TIMES[::-1] if backwards else TIMES, dtype=DOUBLE, requires_grad=True)
    found = pb.odeint(lambda t, y: matrix @ y, y0, t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    generator = torch.linalg.solve(mass, matrix)
    exact = torch.stack([torch.linalg.matrix_exp(generator * (time - t[0])) @ y0 for time in t])
    compare(found, exact, (matrix, y0, t))


def decay(k: Tensor, c: Tensor, start: Tensor, t: Tensor) -> Tensor:
    return start * torch.exp(-k * t)


def decay_of_second_order(k: Tensor, c: Tensor, start: Tensor, t: Tensor) -> Tensor:
    return start / (1 + k * c * start * t)


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize("sensealg", [name for name in ADJOINTS if name != "BacksolveAdjoint"])
@pytest.mark.parametrize(("driver", "exact"), [(0, decay), (1, decay_of_second_order)], ids=["read off", "coupled"])
def test_an_algebraic_equation(driver: int, exact: Callable[..., Tensor], sensealg: str) -> None:
    """``y1' = -k y1`` or ``-k y2``, ``0 = c y1² - y2``: the gradient by the start of ``y2`` is nothing."""
    rates, start = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in ([0.7, 1.3], 1.5))
    t, mass = torch.tensor(TIMES, dtype=DOUBLE), torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    k, c = rates

    def func(_t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([-k * y[driver], c * y[0] ** 2 - y[1]])

    y0 = torch.stack([start, c * start**2])
    found = pb.odeint(func, y0, t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    y1 = exact(k, c, start, t)
    compare(found, torch.stack([y1, c * y1**2], dim=-1), (rates, start))


MIXED = {
    "of other variables": ([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]),
    "of other equations": ([[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    "of both": ([[1.0, 1.0], [2.0, 2.0]], [[1.0, 0.0], [2.0, 1.0]]),
}


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize(
    "sensealg", [None, "GaussAdjoint", "QuadratureAdjoint", "InterpolatingAdjoint(checkpointing=true)"]
)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
@pytest.mark.parametrize("kind", MIXED)
def test_an_algebraic_equation_of_mixtures(kind: str, backwards: bool, sensealg: str | None) -> None:
    """``y1' + y2' = -k y1 - y2 / 2``, ``0 = y1 + t - y2``, so that ``y1' = -(k + 1/2) y1 / 2 - t / 4 - 1/2``."""
    mass, mixing = (torch.tensor(rows, dtype=DOUBLE) for rows in MIXED[kind])
    k, start = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 1.1))
    t = torch.tensor(TIMES[::-1] if backwards else TIMES, dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return mixing @ torch.stack([-k * y[0] - y[1] / 2, y[0] + t - y[1]])

    y = pb.odeint(func, torch.stack([start, start + t[0]]), t, mass_matrix=mass, sensealg=sensealg, **SOLVER)
    rate = (k + 0.5) / 2
    particular = lambda t: -t / (4 * rate) + (1 / (4 * rate) - 0.5) / rate  # noqa: E731
    y1 = particular(t) + (start - particular(t[0])) * torch.exp(-rate * (t - t[0]))
    compare(y, torch.stack([y1, y1 + t], -1), (k, start, t))


MIXTURES = {
    "semi-explicit": (torch.eye(3, dtype=DOUBLE), torch.eye(3, dtype=DOUBLE)),
    "mixed": (
        torch.tensor([[1.0, 0.5, 0.0], [0.2, 1.0, -0.4], [0.3, 0.0, 1.0]], dtype=DOUBLE),
        torch.tensor([[1.0, 0.0, 0.6], [-0.3, 1.0, 0.2], [0.0, 0.4, 1.0]], dtype=DOUBLE),
    ),
}


class Chain:
    """``a' = -k a``, ``b' = z``, ``0 = c a² + t - z``, of which equations and variables are mixed.

    The start of ``z`` is consistent; where it is not `tied`, derivatives do not know what it follows from.
    """

    inputs = tuple(torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 1.3, 1.1, -0.4))

    def __init__(self, mixture: str, tied: bool = True, **settings: object) -> None:
        self.equations, self.variables = MIXTURES[mixture]
        self.inverse = self.variables.inverse()
        self.mass = self.equations @ torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=DOUBLE)) @ self.inverse
        self.tied = tied
        self.settings = {**SOLVER, **settings}

    def found(self, k: Tensor, c: Tensor, a0: Tensor, b0: Tensor, t: Tensor) -> Tensor:
        def func(t: Tensor, y: Tensor) -> Tensor:
            a, _, z = self.inverse @ y
            return self.equations @ torch.stack([-k * a, z, c * a**2 + t - z])

        z0 = c * a0**2 + t[0]
        y0 = self.variables @ torch.stack([a0, b0, z0 if self.tied else z0.detach()])
        return pb.odeint(func, y0, t, mass_matrix=self.mass, **self.settings) @ self.inverse.mT

    def exact(self, k: Tensor, c: Tensor, a0: Tensor, b0: Tensor, t: Tensor) -> Tensor:
        a = a0 * torch.exp(-k * (t - t[0]))
        b = b0 + c * (a0**2 - a**2) / (2 * k) + (t**2 - t[0] ** 2) / 2
        return torch.stack([a, b, c * a**2 + t], -1)


def second_derivatives(y: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Hessian of a loss over all values, times fixed numbers."""
    weights = torch.linspace(0.5, 2.0, y.numel(), dtype=DOUBLE).view_as(y)
    first = torch.autograd.grad((weights * y.pow(3)).sum(), inputs, create_graph=True)
    return torch.autograd.grad(first, inputs, [1 + torch.arange(len(g.view(-1))).view_as(g) / 7 for g in first])


def compare_second_derivatives(chain: Chain, times: list[float], values: tuple[slice | int, ...]) -> None:
    inputs = (*chain.inputs, torch.tensor(times, dtype=DOUBLE, requires_grad=True))
    found, exact = (second_derivatives(solve(*inputs)[values], inputs) for solve in (chain.found, chain.exact))
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


ALL = slice(None)


@pytest.mark.parametrize("values", [(ALL, ALL), (ALL, 2)], ids=["all", "algebraic"])
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_second_derivatives_where_an_equation_is_algebraic(
    mixture: str, backwards: bool, values: tuple[slice | int, ...]
) -> None:
    times = TIMES[::-1] if backwards else TIMES
    compare_second_derivatives(Chain(mixture, sensealg="GaussAdjoint"), times, values)


def test_second_derivatives_where_an_equation_is_algebraic_by_callbacks() -> None:
    compare_second_derivatives(Chain("mixed", lane="callback"), TIMES, (ALL, ALL))


@pytest.mark.parametrize("mixture", MIXTURES)
def test_second_derivatives_by_what_the_start_leaves_free(mixture: str) -> None:
    """The algebraic part of the start is found from the rest, whatever it is said to follow from."""
    compare_second_derivatives(Chain(mixture, tied=False), TIMES, (slice(1, None), ALL))


def test_second_derivatives_where_no_time_is_read() -> None:
    """``a' = -k z``, ``0 = z - c a``, so that ``a = exp(-k c t)``."""
    k, c = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 1.3))
    t = torch.tensor([0.0, 0.5, 1.0], dtype=DOUBLE)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([-k * y[1], y[1] - c * y[0]])

    y0 = torch.stack([torch.ones_like(c), c])
    found = pb.odeint(func, y0, t, mass_matrix=torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE)), **SOLVER)
    a = torch.exp(-k * c * t)
    exact = torch.stack([a, c * a], -1)
    for one, other in zip(*(second_derivatives(y, (k, c)) for y in (found, exact)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("mixture", MIXTURES)
def test_gradgradcheck_where_an_equation_is_algebraic(mixture: str) -> None:
    chain, t = Chain(mixture), torch.tensor(TIMES, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradgradcheck(chain.found, (*chain.inputs, t), eps=1e-3, atol=1e-4, rtol=1e-3)


def test_second_derivatives_are_refused_where_the_mass_matrix_is_all_but_singular() -> None:
    k = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    mass, t = torch.diag(torch.tensor([1.0, 1e-9], dtype=DOUBLE)), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    y = pb.odeint(lambda t, y: -k * y, torch.ones(2, dtype=DOUBLE), t, mass_matrix=mass, **SOLVER)
    (first,) = torch.autograd.grad(y[-1, 0], k, create_graph=True)
    with pytest.raises(pb.UnsupportedError, match="all but singular"):
        torch.autograd.grad(first, k)


def test_an_index_above_1_is_refused() -> None:
    """``y1' = y2``, ``0 = y1 - t``, of which equations and variables are mixed."""
    equations = torch.tensor([[1.0, 0.3], [0.7, 1.0]], dtype=DOUBLE)
    variables = torch.tensor([[1.0, 0.2], [0.6, 1.0]], dtype=DOUBLE)
    mass = equations @ torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE)) @ variables

    def func(t: Tensor, y: Tensor) -> Tensor:
        y1, y2 = variables @ y
        return equations @ torch.stack([y2, y1 - t])

    ys, t = torch.ones(1, 2, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE)
    constraint = Constraint(Dynamics(func, Structure.of(ys[0]), Wanted()), MassMatrix.of(mass))
    with pytest.raises(pb.UnsupportedError, match="index above 1"):
        constraint.check_index(ys, t)


@pytest.mark.parametrize("sensealg", [None, "GaussAdjoint"])
def test_a_gradient_of_index_2_is_refused_in_words(sensealg: str | None) -> None:
    """``y1' = y2``, ``0 = y1 - k sin(t)``: the second equation does not determine ``y2``."""
    k = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    mass, t = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE)), torch.tensor([0.0, 0.5], dtype=DOUBLE)
    y = pb.odeint(
        lambda t, y: torch.stack([y[1], y[0] - k * torch.sin(t)]),
        torch.tensor([0.0, 1.0], dtype=DOUBLE),
        t,
        mass_matrix=mass,
        sensealg=sensealg,
        **{**SOLVER, "rtol": 1e-7, "atol": 1e-9},  # Rodas5P takes few equations of index 2, and this one so
    )
    torch.testing.assert_close(y[-1].detach(), torch.stack([t[-1].sin(), t[-1].cos()]), rtol=1e-5, atol=1e-5)
    with pytest.raises(pb.UnsupportedError, match=r"matrix that is singular.*index 1"):
        y[-1, 0].backward()
