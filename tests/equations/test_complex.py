"""Complex states and parameters: solved as pairs of real numbers, given back complex, differentiated as torch does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE

T = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE)
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def test_a_complex_state_keeps_its_dtype_and_meets_the_closed_form(engine: str) -> None:
    y0 = torch.tensor([[1.0 + 0.5j], [0.3 - 1.0j]], dtype=torch.complex128)
    y = pb.odeint(lambda t, y: (2j - 0.3) * y, y0, T, engine=engine, **TIGHT)
    assert y.dtype == torch.complex128
    assert y.shape == (3, 2, 1)
    torch.testing.assert_close(y, y0 * torch.exp((2j - 0.3) * T)[:, None, None], rtol=1e-8, atol=1e-8)


def test_complex64_stays_complex64(engine: str) -> None:
    y0 = (torch.ones(2, dtype=torch.complex64), torch.zeros((), dtype=torch.complex64))
    z, w = pb.odeint(lambda t, s: (1j * s[0], s[0].sum()), y0, T.float(), engine=engine, rtol=1e-5, atol=1e-5)
    assert z.dtype == w.dtype == torch.complex64
    torch.testing.assert_close(w[-1], (2 * (torch.exp(1j * T[-1]) - 1) / 1j).to(torch.complex64), rtol=1e-3, atol=1e-4)


def test_gradients_reach_complex_states_and_parameters(engine: str) -> None:
    y0 = torch.tensor([1.0 + 0.5j, -0.2j], dtype=torch.complex128, requires_grad=True)
    rate = torch.tensor([0.4 + 1.0j, -0.3 + 0.1j], dtype=torch.complex128, requires_grad=True)

    def loss(y: Tensor) -> Tensor:
        return y.abs().square().sum() + y.real.sum() + 2 * y.imag[1].sum()

    solved = loss(pb.odeint(lambda t, y: rate * y, y0, T, engine=engine, **TIGHT))
    exact = loss(y0 * torch.exp(rate * T[:, None]))
    for mine, theirs in zip(
        torch.autograd.grad(solved, (y0, rate)), torch.autograd.grad(exact, (y0, rate)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_a_real_state_may_have_complex_parameters(engine: str) -> None:
    rate = torch.tensor(0.4 + 1.0j, dtype=torch.complex128, requires_grad=True)
    y0 = torch.ones(1, dtype=DOUBLE)
    y = pb.odeint(lambda t, y: -(rate.abs() ** 2) * y, y0, T, engine=engine, **TIGHT)
    (found,) = torch.autograd.grad(y[-1].sum(), rate)
    (exact,) = torch.autograd.grad(torch.exp(-(rate.abs() ** 2)), rate)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-8)


def test_tolerances_of_a_complex_state_have_its_shape(engine: str) -> None:
    y0 = torch.ones(3, dtype=torch.complex128)
    y = pb.odeint(lambda t, y: 1j * y, y0, T, engine=engine, rtol=1e-9, atol=torch.tensor([1e-9, 1e-10, 1e-8]))
    torch.testing.assert_close(y[-1], y0 * torch.exp(1j * T[-1]), rtol=1e-7, atol=1e-7)


@pytest.mark.julia
def test_an_implicit_solver_takes_a_complex_state() -> None:
    y0 = torch.tensor([1.0 + 1.0j], dtype=torch.complex128)
    y = pb.odeint(
        lambda t, y: (-50 + 5j) * (y - y.conj() / 2), y0, T, method="Rodas5P", engine="julia", rtol=1e-8, atol=1e-10
    )
    # With y = a + ib: a' = -25 a - 7.5 b, b' = 2.5 a - 75 b.
    matrix = torch.tensor([[-25.0, -7.5], [2.5, -75.0]], dtype=DOUBLE)
    exact = torch.linalg.matrix_exp(matrix * T[-1]) @ torch.ones(2, dtype=DOUBLE)
    torch.testing.assert_close(torch.view_as_real(y[-1, 0]), exact, rtol=1e-5, atol=1e-10)


class Lindblad(torch.nn.Module):
    """A driven spin of 1/2 that decays: its density matrix, after Lindblad."""

    def __init__(self) -> None:
        super().__init__()
        self.field = torch.nn.Parameter(torch.tensor([0.5 + 0.2j], dtype=torch.complex128))
        self.decay = torch.nn.Parameter(torch.tensor(0.3, dtype=DOUBLE))
        self.lower = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.complex128)

    def forward(self, t: Tensor, rho: Tensor) -> Tensor:
        up = torch.exp(1j * 2 * t) * self.field * self.lower.mH
        hamiltonian = up + up.mH
        lower = self.decay.sqrt() * self.lower
        pairs = lower.mH @ lower
        flow = -1j * (hamiltonian @ rho - rho @ hamiltonian)
        return flow + lower @ rho @ lower.mH - (pairs @ rho + rho @ pairs) / 2


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
def test_a_lindblad_equation_is_compiled_with_its_gradients(method: str) -> None:
    found = {}
    for lane in ("compiled", "callback"):
        model, rho = Lindblad(), torch.tensor([[1.0, 0.2j], [-0.2j, 0.0]], dtype=torch.complex128, requires_grad=True)
        sol = pb.solve(model, rho, T, engine="julia", method=method, lane=lane, **TIGHT)  # type: ignore[arg-type]
        assert sol.lane == lane
        assert isinstance(sol.y, Tensor)
        loss = sol.y[-1, 0, 0].real + 2 * sol.y[-1, 0, 1].imag
        found[lane] = [sol.y.detach(), *torch.autograd.grad(loss, [rho, *model.parameters()])]
    torch.testing.assert_close(found["compiled"], found["callback"], rtol=1e-6, atol=1e-9)
    trace = found["compiled"][0].diagonal(dim1=1, dim2=2).sum(-1)
    torch.testing.assert_close(trace, torch.ones_like(trace), rtol=0, atol=1e-9)


@pytest.mark.julia
def test_training_of_complex_parameters_compiles_once() -> None:
    rate = torch.nn.Parameter(torch.tensor(0.1 + 0.5j, dtype=torch.complex128))
    optimiser = torch.optim.SGD([rate], lr=0.3)
    y0, true = torch.ones(2, dtype=torch.complex128), torch.exp(torch.tensor(-0.2 + 1.0j, dtype=torch.complex128))
    for step in range(25):
        sol = pb.solve(lambda t, y: rate * y, y0, T, engine="julia", method="Tsit5", lane="compiled")
        assert isinstance(sol.y, Tensor)
        assert step == 0 or sol.stats.compile_seconds == 0
        optimiser.zero_grad()
        (sol.y[-1] - true).abs().square().mean().backward()
        optimiser.step()
    assert abs(rate.item() - (-0.2 + 1.0j)) < 1e-3


@pytest.mark.julia
def test_large_complex_states_are_looped_over_and_may_be_sparse() -> None:
    n = 300
    x = torch.linspace(-10, 10, n, dtype=DOUBLE)
    h = (x[1] - x[0]).item()

    def schroedinger(t: Tensor, psi: Tensor) -> Tensor:
        padded = torch.cat([psi.new_zeros(1), psi, psi.new_zeros(1)])
        return 0.5j * (padded[2:] - 2 * psi + padded[:-2]) / h**2 - 0.5j * x**2 * psi

    psi0 = torch.exp(-((x - 1) ** 2) / 2).to(torch.complex128)
    t = torch.tensor([0.0, 0.2], dtype=DOUBLE)
    settings = {"engine": "julia", "rtol": 1e-8, "atol": 1e-10}
    called = pb.solve(schroedinger, psi0, t, method="Tsit5", lane="callback", **settings)  # type: ignore[arg-type]
    for method in ("Tsit5", "KenCarp4"):
        sol = pb.solve(schroedinger, psi0, t, method=method, **settings)  # type: ignore[arg-type]
        assert sol.lane == "compiled"
        assert (sol.jacobian is not None) == (method == "KenCarp4")
        torch.testing.assert_close(sol.y, called.y, rtol=1e-5, atol=1e-6)
