"""Implicit steps: their order, their equations, their exact gradients, and what happens when they have no solution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.problem import schemes
from pyode_bridge.problem.schemes import Tableau
from tests.engines.embedded.against import Y0, Forced, T
from tests.problems import DOUBLE, Driven, Robertson

TABLEAUS = {
    tableau.name: tableau
    for tableau in (
        schemes.IMPLICIT_EULER,
        schemes.IMPLICIT_MIDPOINT,
        schemes.TRAPEZOID,
        schemes.RADAU_IIA_3,
        schemes.GAUSS_LEGENDRE_4,
        schemes.RADAU_IIA_5,
        schemes.GAUSS_LEGENDRE_6,
        schemes.SDIRK2,
        schemes.TRBDF2,
    )
}


@pytest.mark.parametrize("name", TABLEAUS)
def test_the_order_is_as_stated(name: str) -> None:
    func, order = Forced(), TABLEAUS[name].order
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    with torch.no_grad():
        exact = pb.odeint(func, Y0, t, method="dopri8", rtol=1e-13, atol=1e-13, engine="embedded")[-1]
        steps = {1: 100, 2: 40, 3: 20, 4: 20, 5: 10, 6: 8}[order]
        errors = [
            (pb.odeint(func, Y0, t, method=name, options={"step_size": 1 / n}, engine="embedded")[-1] - exact).norm()
            for n in (steps, 2 * steps)
        ]
    assert (errors[0] / errors[1]).log2().item() == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize("name", TABLEAUS)
def test_a_linear_step_is_the_stability_function(name: str) -> None:
    """``y1 = R(hA) y0`` with ``R(z) = 1 + z b (I - z a)^-1 1``, here by matrices (Hairer & Wanner, IV.3)."""
    tableau = TABLEAUS[name]
    matrix = torch.tensor([[-30.0, 2.0], [1.0, -0.5]], dtype=DOUBLE)
    h, size = 0.4, len(tableau.b)
    a, b = torch.tensor(tableau.a, dtype=DOUBLE), torch.tensor(tableau.b, dtype=DOUBLE)
    system = torch.eye(2 * size, dtype=DOUBLE) - torch.kron(a, h * matrix)
    slopes = torch.linalg.solve(system, (matrix @ Y0).repeat(size)).view(size, 2)
    expected = Y0 + h * b @ slopes
    y = pb.odeint(lambda t, y: matrix @ y, Y0, [0.0, h], method=name, engine="embedded")
    torch.testing.assert_close(y[-1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TABLEAUS)
def test_gradients_are_those_of_the_steps(name: str) -> None:
    parameters = [value.detach() for value in Forced().parameters()]

    def end(y0: Tensor, matrix: Tensor, force: Tensor) -> Tensor:
        return pb.odeint(
            lambda t, y: torch.tanh(matrix @ y) * y.norm() + force * torch.sin(3 * t),
            y0,
            T,
            method=name,
            options={"step_size": 0.3},
            engine="embedded",
        )

    inputs = tuple(value.clone().requires_grad_() for value in (Y0, *parameters))
    assert torch.autograd.gradcheck(end, inputs, eps=1e-6, atol=1e-8, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*solves the state again")
@pytest.mark.parametrize("name", ["implicit_euler", "radauIIA5", "trapezoid"])
def test_continuous_gradients_approach_the_exact_ones(name: str) -> None:
    func, found, step = Forced(), [], 0.01 if name == "implicit_euler" else 0.04
    for odeint in (pb.odeint, pb.odeint_adjoint):
        y0 = Y0.clone().requires_grad_()
        y = odeint(func, y0, T, method=name, options={"step_size": step}, engine="embedded")
        found.append(torch.autograd.grad((y**2).sum(), (y0, *func.parameters())))
    for exact, grad in zip(*found, strict=True):
        torch.testing.assert_close(grad, exact, rtol=5e-2 if name == "implicit_euler" else 1e-3, atol=1e-2)


def test_stiff_steps_are_stable() -> None:
    t = torch.tensor([0.0, 0.4, 40.0], dtype=DOUBLE)
    y0 = torch.tensor([1.0, 0.0, 0.0], dtype=DOUBLE)
    with torch.no_grad():
        y = pb.odeint(Robertson(), y0, t, method="radauIIA5", options={"step_size": 0.4}, engine="embedded")
    # Hairer & Wanner's reference values for this problem.
    assert y[1, 0].item() == pytest.approx(0.98517, abs=1e-5)
    assert y[2, 0].item() == pytest.approx(0.71583, abs=1e-4)


def test_single_precision_converges() -> None:
    y0, t = torch.tensor([1.0, 0.5]), torch.linspace(0.0, 2.0, 30)
    y = pb.odeint(lambda t, y: -50 * (y - torch.cos(t)), y0, t, method="gl4", engine="embedded")
    assert y.dtype == torch.float32
    assert torch.allclose(y[-1], torch.cos(t[-1]).expand(2), atol=3e-2)


def test_equations_without_a_solution_end_the_solve() -> None:
    """``k = 1 + (y + h k)^2`` has no real root from ``y = 2`` with ``h = 1``."""
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(
            lambda t, y: 1 + y**2,
            torch.full((1,), 2.0, dtype=DOUBLE),
            [0.0, 1.0],
            method="implicit_euler",
            engine="embedded",
        )
    assert caught.value.retcode == "ConvergenceFailure"


def test_iterations_are_limited_by_max_iters() -> None:
    solve = lambda count: pb.odeint(  # noqa: E731
        Driven(), Y0, T, method="gl6", options={"max_iters": count}, engine="embedded"
    )
    solve(5)
    with pytest.raises(pb.SolverError, match="ConvergenceFailure"):
        solve(1)


def test_every_implicit_scheme_is_here() -> None:
    from pyode_bridge.problem.torchdiffeq import IMPLICIT, METHODS

    named = {name for name, method in METHODS.items() if method.steps == IMPLICIT}
    assert named == set(TABLEAUS)
    assert all(isinstance(METHODS[name].made, Tableau) for name in named)
