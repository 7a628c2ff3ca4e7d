"""Gradients against those that SUNDIALS publishes: what its examples print, in version 7.5 of its repository.

Their tolerances are loose, at most 1e-4 relative, so that the last of their five digits may be off.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.julia_packages import skipping_what_is_missing
from tests.problems import DOUBLE

RATES = [0.04, 1e4, 3e7]

# idasRoberts_FSA_dns -sensi stg t: at each time, the solution and its derivatives by the three rate constants.
ROBERTSON = {
    0.4: (
        [9.8517e-01, 3.3864e-05, 1.4794e-02],
        [-3.5595e-01, 3.9025e-04, 3.5556e-01],
        [9.5424e-08, -2.1310e-10, -9.5211e-08],
        [-1.5832e-11, -5.2900e-13, 1.6361e-11],
    ),
    40.0: (
        [7.1583e-01, 9.1855e-06, 2.8416e-01],
        [-4.2476e00, 4.5912e-05, 4.2475e00],
        [1.3731e-05, -2.3572e-10, -1.3731e-05],
        [-2.2884e-09, -1.1381e-13, 2.2885e-09],
    ),
    4000.0: (
        [1.8320e-01, 8.9424e-07, 8.1680e-01],
        [-4.7501e00, -5.9937e-06, 4.7501e00],
        [1.8809e-05, 2.3127e-11, -1.8809e-05],
        [-3.1348e-09, -1.8758e-14, 3.1348e-09],
    ),
}

# cvsAdvDiff_FSA_non -sensi stg t: largest absolute values, of the solution and its derivatives by both coefficients.
ADVECTION = {0.5: (3.0529, 3.8668, 0.62020), 1.0: (0.87533, 2.1743, 0.18909), 2.0: (0.071107, 0.34668, 0.028229)}

# cvsHessian_ASA_FSA: an integral, its gradient and its Hessian. The last entry is that of its own differences: by the
# adjoint it prints 0.11093, which they contradict.
INTEGRAL, GRADIENT = 0.53088, [-0.12838, 0.018036]
HESSIAN, LAST_BY_DIFFERENCES = [[0.15628, -0.078678], [-0.078678, 0.0]], 0.089446


def jacobian(y: Tensor, inputs: Tensor) -> Tensor:
    """A row for each component."""
    return torch.stack([torch.autograd.grad(component, inputs, retain_graph=True)[0] for component in y])


def check(y: Tensor, rates: Tensor) -> None:
    for at, (values, *derivatives) in zip(y[1:], ROBERTSON.values(), strict=True):
        torch.testing.assert_close(at, torch.tensor(values, dtype=DOUBLE), rtol=1e-4, atol=0)
        expected = torch.tensor(derivatives, dtype=DOUBLE)
        torch.testing.assert_close(jacobian(at, rates).mT, expected, rtol=5e-4, atol=0)


def reaction(rates: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    slow = rates[0] * y[0] - rates[1] * y[1] * y[2]
    return slow, rates[2] * y[1] ** 2


@pytest.mark.julia
def test_robertson_as_an_ordinary_equation() -> None:
    rates, y0 = torch.tensor(RATES, dtype=DOUBLE, requires_grad=True), torch.tensor([1.0, 0.0, 0.0], dtype=DOUBLE)

    def func(t: Tensor, y: Tensor) -> Tensor:
        slow, fast = reaction(rates, y)
        return torch.stack([-slow, slow - fast, fast])

    times = torch.tensor([0.0, *ROBERTSON], dtype=DOUBLE)
    y = pb.odeint(func, y0, times, method="Rodas5P", engine="julia", rtol=1e-9, atol=1e-13)
    assert isinstance(y, Tensor)
    check(y, rates)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["DFBDF", "IDA", "Rodas5P"])
def test_robertson_as_a_residual(method: str) -> None:
    rates, y0 = torch.tensor(RATES, dtype=DOUBLE, requires_grad=True), torch.tensor([1.0, 0.0, 0.0], dtype=DOUBLE)

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        slow, fast = reaction(rates, y)
        return torch.stack([dy[0] + slow, dy[1] - slow + fast, y.sum() - 1])

    times = torch.tensor([0.0, *ROBERTSON], dtype=DOUBLE)
    with skipping_what_is_missing():
        y = pb.daeint(residual, y0, times, method=method, engine="julia", rtol=1e-9, atol=1e-13)
    assert isinstance(y, Tensor)
    check(y, rates)


def test_advection_and_diffusion(engine: str) -> None:
    """``du/dt = q1 d²u/dx² + q2 du/dx`` by central differences at 10 points within [0, 2]."""
    coefficients, width = torch.tensor([1.0, 0.5], dtype=DOUBLE, requires_grad=True), 2 / 11
    x = width * torch.arange(1, 11, dtype=DOUBLE)

    def func(t: Tensor, u: Tensor) -> Tensor:
        left, right = torch.nn.functional.pad(u[:-1], (1, 0)), torch.nn.functional.pad(u[1:], (0, 1))
        return coefficients[0] * (left - 2 * u + right) / width**2 + coefficients[1] * (right - left) / (2 * width)

    y = pb.odeint(func, x * (2 - x) * torch.exp(2 * x), torch.tensor([0.0, *ADVECTION]), engine=engine)
    assert isinstance(y, Tensor)
    for at, expected in zip(y[1:], ADVECTION.values(), strict=True):
        largest = [at.abs().max(), *jacobian(at, coefficients).abs().amax(0)]
        torch.testing.assert_close(torch.stack(largest), torch.tensor(expected, dtype=DOUBLE), rtol=1e-3, atol=0)


def test_a_hessian(engine: str) -> None:
    """Of ``∫ |y|² / 2`` over ``y' = (-p1 y1² - y3, -y2, -p2² y2 y3)`` from ones, to time 2 (Özyurt & Barton 2005)."""
    p = torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        y1, y2, y3, _ = y
        rates = [-p[0] * y1**2 - y3, -y2, -(p[1] ** 2) * y2 * y3, (y1**2 + y2**2 + y3**2) / 2]
        return torch.stack(rates)

    y0 = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=DOUBLE)
    y = pb.odeint(func, y0, torch.tensor([0.0, 2.0], dtype=DOUBLE), engine=engine, rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(y[-1, 3], p, create_graph=True)
    hessian = jacobian(gradient, p)
    torch.testing.assert_close(y[-1, 3].detach(), torch.tensor(INTEGRAL, dtype=DOUBLE), rtol=2e-5, atol=0)
    torch.testing.assert_close(gradient.detach(), torch.tensor(GRADIENT, dtype=DOUBLE), rtol=1e-4, atol=0)
    assert hessian[1, 1].item() == pytest.approx(LAST_BY_DIFFERENCES, rel=5e-3)
    hessian[1, 1] = 0.0
    torch.testing.assert_close(hessian, torch.tensor(HESSIAN, dtype=DOUBLE), rtol=1e-4, atol=0)
