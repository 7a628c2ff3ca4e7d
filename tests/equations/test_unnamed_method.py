"""What runs where no method is named, on the Julia engine: an explicit solver, or a stiff one where that is needed."""

import math

import pytest
import torch

import pyode_bridge as pb

pytestmark = pytest.mark.julia


def decay(t, y):
    return -y


class VanDerPol(torch.nn.Module):
    def __init__(self, mu=1000.0):
        super().__init__()
        self.mu = torch.nn.Parameter(torch.tensor(mu, dtype=torch.float64))

    def forward(self, t, y):
        return torch.stack([y[1], self.mu * (1 - y[0] ** 2) * y[1] - y[0]])


def solve(func, y0, end, **settings):
    return pb.solve(func, y0, torch.tensor([0.0, end], dtype=y0.dtype), engine="julia", **settings)


@pytest.mark.parametrize(
    ("dtype", "rtol", "algorithm"),
    [(torch.float64, 1e-7, "DP5"), (torch.float64, 1e-10, "Vern7"), (torch.float32, 1e-5, "DP5")],
)
def test_problems_that_are_not_stiff(dtype, rtol, algorithm):
    solution = solve(decay, torch.ones(2, dtype=dtype), 1.0, rtol=rtol, atol=rtol)
    assert solution.algorithm == algorithm
    torch.testing.assert_close(solution.y[-1], torch.full((2,), math.exp(-1), dtype=dtype), rtol=1e-4, atol=0)


def test_stiff_problems_are_found_out():
    func, y0 = VanDerPol(), torch.tensor([2.0, 0.0], dtype=torch.float64, requires_grad=True)
    solution = solve(func, y0, 500.0)
    named = solve(func, y0, 500.0, method="Rodas5P")
    assert solution.algorithm == "Rodas5P"
    torch.testing.assert_close(solution.y, named.y, rtol=1e-5, atol=1e-7)
    found, true = (torch.autograd.grad(s.y[-1, 0], (y0, func.mu)) for s in (solution, named))
    for grad, other in zip(found, true, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-8)


def test_no_dense_matrix_of_a_large_state():
    """A diffusion over 3,000 points, stiff: its Jacobian is 9 million numbers, three diagonals of them not zero."""
    points = 3000
    x = torch.linspace(0, math.pi, points + 2, dtype=torch.float64)[1:-1]

    def diffusion(t, y):
        padded = torch.nn.functional.pad(y, (1, 1))
        return (padded[2:] - 2 * y + padded[:-2]) / (math.pi / (points + 1)) ** 2

    def coupled(t, y):
        return diffusion(t, y) - 0.1 * y.mean()

    for jac_sparsity, func in (("dense", diffusion), ("auto", coupled)):
        with pytest.raises(pb.SolverError, match=r"stiff.*jac_sparsity.*KrylovJL_GMRES") as caught:
            solve(func, torch.sin(x), 0.5, rtol=1e-4, atol=1e-6, jac_sparsity=jac_sparsity)
        assert caught.value.retcode == "Stiff"
    band = torch.ones(points, points).tril(1).triu(-1)
    for jac_sparsity, origin in ((None, "found in func"), (band, "given")):
        solution = solve(diffusion, torch.sin(x), 0.5, rtol=1e-4, atol=1e-6, jac_sparsity=jac_sparsity)
        assert solution.algorithm == "FBDF"
        assert f"8,998 of 3,000 x 3,000 entries, by 3 products, pattern {origin}" in solution.jacobian
        torch.testing.assert_close(solution.y[-1], math.exp(-0.5) * torch.sin(x), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_large_network(dtype):
    """4,096 unknowns in a batch: as many evaluations as by the same solver's name."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64)).to(dtype)
    y0 = torch.randn(64, 64, dtype=dtype)
    func = lambda t, y: net(y)  # noqa: E731
    solution = solve(func, y0, 1.0)
    named = solve(func, y0, 1.0, method=solution.algorithm)
    assert solution.algorithm == "DP5"
    assert solution.stats.nfe <= 1.1 * named.stats.nfe
    assert torch.equal(solution.y, named.y)


def test_ensembles():
    y0 = torch.tensor([[2.0, 0.0], [1.5, 0.0]], dtype=torch.float64)
    t = torch.tensor([0.0, 100.0], dtype=torch.float64)
    with torch.no_grad():
        stiff = pb.solve_ensemble(VanDerPol(), y0, t, engine="julia")
        plain = pb.solve_ensemble(decay, y0, t, engine="julia")
    assert (stiff.algorithm, plain.algorithm) == ("Rodas5P", "DP5")
    assert stiff.lane == plain.lane == "compiled"
    alone = solve(VanDerPol(), y0[1], 100.0)
    torch.testing.assert_close(stiff.y[-1, 1], alone.y[-1], rtol=1e-6, atol=1e-9)


def test_events_of_a_stiff_problem():
    y0 = torch.tensor([2.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        t, _ = pb.odeint_event(VanDerPol(), y0, torch.tensor(0.0), event_fn=lambda t, y: y[0], engine="julia")
        named, _ = pb.odeint_event(
            VanDerPol(), y0, torch.tensor(0.0), event_fn=lambda t, y: y[0], engine="julia", method="Rodas5P"
        )
    torch.testing.assert_close(t, named, rtol=1e-4, atol=0)


def test_mass_matrices_begin_with_an_implicit_solver():
    mass = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def func(t, y):
        return torch.stack([-y[0], y[1] - y[0] ** 2])

    solution = solve(func, torch.ones(2, dtype=torch.float64), 1.0, mass_matrix=mass)
    assert solution.algorithm == "Rodas5P"
    torch.testing.assert_close(solution.y[-1, 1].item(), math.exp(-2), rtol=1e-5, atol=0)
