"""Sparse Jacobians: colours, patterns that are wrong, and the same solution as with a full matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.problem.sparsity import Sparsity
from pyode_bridge.problem.state import Structure
from tests.problems import DOUBLE

N = 30
BAND = torch.eye(N) + torch.diag(torch.ones(N - 1), 1) + torch.diag(torch.ones(N - 1), -1)


def diffusion(t: Tensor, y: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(y, (1, 1))
    return N**2 * (padded[2:] - 2 * y + padded[:-2]) - y**3


Y0 = torch.sin(torch.linspace(0, torch.pi, N, dtype=DOUBLE))


def sparsity(pattern: Tensor) -> Sparsity:
    made = Sparsity.of(pattern, Structure.of(torch.zeros(len(pattern), dtype=DOUBLE)))
    assert made is not None
    return made


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc], ids=str)
def test_a_band_of_three_takes_three_products(layout: torch.layout) -> None:
    pattern = BAND if layout == torch.strided else BAND.to_sparse(layout=layout)
    made = sparsity(pattern)
    assert made.products == 3
    torch.testing.assert_close(made.rows[:2], torch.tensor([0, 1]))
    assert made.starts.tolist() == [0, 2, *range(5, 3 * N - 3, 3), 3 * N - 2]


def test_products_give_back_any_matrix_of_the_pattern() -> None:
    generator = torch.Generator().manual_seed(0)
    pattern = (torch.rand(20, 20, generator=generator) < 0.15) | torch.eye(20, dtype=torch.bool)
    matrix = torch.where(pattern, torch.randn(20, 20, generator=generator, dtype=DOUBLE), 0.0)
    made = sparsity(pattern)
    assert made.products < 20
    entries = made.entries(made.seeds(matrix[0]) @ matrix)
    torch.testing.assert_close(entries, matrix[made.rows, made.columns])


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "KenCarp4", "QNDF"])
def test_the_solution_is_that_of_a_full_jacobian(method: str) -> None:
    t = torch.tensor([0.0, 0.02, 0.1], dtype=DOUBLE)
    settings = {"method": method, "engine": "julia", "rtol": 1e-8, "atol": 1e-10}
    full = pb.odeint(diffusion, Y0, t, **settings)  # type: ignore[arg-type]
    sparse = pb.odeint(diffusion, Y0, t, jac_sparsity=BAND, **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(sparse, full, rtol=1e-6, atol=1e-8)


@pytest.mark.julia
def test_gradients_are_those_of_a_full_jacobian() -> None:
    grads = []
    for pattern in (None, BAND):
        y0 = Y0.clone().requires_grad_()
        t = torch.tensor([0.0, 0.02], dtype=DOUBLE)
        y = pb.odeint(diffusion, y0, t, method="Rodas5P", engine="julia", rtol=1e-9, atol=1e-9, jac_sparsity=pattern)
        assert isinstance(y, Tensor)
        grads.append(torch.autograd.grad(y[-1].square().sum(), y0)[0])
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-6, atol=1e-8)


LARGE = 240  # components: enough to be looked at


def shifting(t: Tensor, y: Tensor) -> Tensor:
    """Stiff, not symmetric, and with time and a parameter in it."""
    return 50 * LARGE * (torch.roll(y, 1) - y) - RATE * t * y * torch.roll(y, 3)


RATE = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)
LARGE_Y0 = 1 + torch.linspace(0, 2 * torch.pi, LARGE + 1, dtype=DOUBLE)[:-1].sin() / 2


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "KenCarp4", "QNDF", "FBDF", "TRBDF2", "RadauIIA5", "Rosenbrock23"])
@pytest.mark.parametrize("lane", ["compiled", "callback"])
def test_a_pattern_is_found_and_gives_the_values_and_gradients_of_a_full_one(method: str, lane: str) -> None:
    t = torch.tensor([0.0, 0.01, 0.02], dtype=DOUBLE)
    found = {}
    for jac_sparsity in ("auto", "dense"):
        y0 = LARGE_Y0.clone().requires_grad_()
        sol = pb.solve(
            shifting,
            y0,
            t,
            method=method,
            engine="julia",
            rtol=1e-8,
            atol=1e-10,
            jac_sparsity=jac_sparsity,
            lane=lane,  # type: ignore[arg-type]
        )
        assert isinstance(sol.y, Tensor)
        found[jac_sparsity] = [sol.y.detach(), *torch.autograd.grad(sol.y[-1].square().sum(), [y0, RATE])]
        is_sparse = jac_sparsity == "auto" and lane == "compiled"  # what is called has no graph to look into
        assert (sol.jacobian is not None) == is_sparse
        if is_sparse:
            assert sol.jacobian.startswith(f"sparse, {3 * LARGE} of {LARGE} x {LARGE} entries, by ")
            assert sol.lane == "compiled"
    torch.testing.assert_close(found["auto"], found["dense"], rtol=1e-5, atol=1e-7)


@pytest.mark.julia
def test_a_pattern_that_is_given_is_compiled_too() -> None:
    t = torch.tensor([0.0, 0.01], dtype=DOUBLE)
    settings = {"method": "FBDF", "engine": "julia", "rtol": 1e-8, "atol": 1e-10, "isolation": "process"}
    pattern = sum(torch.eye(LARGE).roll(shift, 0) for shift in (0, 1, 3))
    wider = pattern + torch.eye(LARGE).roll(7, 0)
    for given in (pattern, wider, pattern):  # dynamics that are compiled serve with another pattern too
        sol = pb.solve(shifting, LARGE_Y0, t, jac_sparsity=given, **settings)  # type: ignore[arg-type]
        assert f"{int((given != 0).sum())} of" in str(sol.jacobian)
        full = pb.odeint(shifting, LARGE_Y0, t, jac_sparsity="dense", **settings)  # type: ignore[arg-type]
        torch.testing.assert_close(sol.y, full, rtol=1e-6, atol=1e-8)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("Tsit5", {}),
        ("FBDF(linsolve=KrylovJL_GMRES())", {}),
        ("FBDF", {"mass_matrix": torch.eye(LARGE, dtype=DOUBLE)}),
        ("FBDF", {"sensealg": "ForwardSensitivity"}),
    ],
    ids=["explicit", "no matrix", "mass matrix", "forward sensitivities"],
)
def test_no_pattern_is_looked_for_where_there_is_no_use_for_it(method: str, given: dict[str, object]) -> None:
    few = torch.ones(LARGE, dtype=DOUBLE)
    y0 = few.clone().requires_grad_() if "sensealg" in given else few
    sol = pb.solve(
        lambda t, y: torch.roll(y, 1) - y,
        y0,
        torch.tensor([0.0, 0.01]),
        method=method,
        engine="julia",
        **given,  # type: ignore[arg-type]
    )
    assert sol.jacobian is None
    torch.testing.assert_close(sol.y[-1], few)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (torch.eye(N), "lacks entries"),
        (torch.eye(3), r"shape \(3, 3\); expected a tensor of shape \(30, 30\)"),
        ("band", "is 'band'; expected .* 'auto' or 'dense'"),
        (7, "is a int"),
    ],
    ids=["too few", "shape", "word", "type"],
)
def test_a_wrong_pattern_is_refused(pattern: object, message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(diffusion, Y0, torch.tensor([0.0, 0.1]), engine="embedded", jac_sparsity=pattern)  # type: ignore[arg-type]
