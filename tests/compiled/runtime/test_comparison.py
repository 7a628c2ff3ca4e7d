"""What a translation computes is compared with torch, beside a start where terms cancel if need be."""

import functools

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.errors import UnsupportedDynamicsError, UnsupportedStartError
from pyode_bridge.compiled.lowerings import REGISTRY
from pyode_bridge.compiled.runtime.comparison import compare
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.compiled.runtime.backends import TorchBackend, torch_lane
from tests.problems import DOUBLE

LEVEL = torch.full((6,), 1.7, dtype=DOUBLE)  # of which differences vanish
SLOPE = torch.linspace(0.3, 1.2, 6, dtype=DOUBLE)


@pytest.fixture
def laplacian():
    """Of a graph whose weights are no round numbers."""
    weights = torch.rand(6, 6, dtype=DOUBLE)
    weights = weights + weights.mT
    return torch.diag(weights.sum(0)) - weights


def backwards(matrix, y):
    """A product whose terms are summed in another order."""
    return torch.stack([sum(row[place] * y[place] for place in reversed(range(len(y)))) for row in matrix])


def test_a_start_at_equilibrium_where_all_that_is_left_is_rounding_is_compiled(laplacian):
    func = lambda t, y: -(laplacian @ y)  # noqa: E731
    backend = TorchBackend(rhs=lambda y: -backwards(laplacian, y), vjp=lambda v, y: -backwards(laplacian.mT, v))
    found, true = -backwards(laplacian, LEVEL), func(0.0, LEVEL)
    assert (found - true).abs().max() > 1e-8 * true.abs().max()
    torch_lane(func, LEVEL, backend)


def test_a_gradient_that_cancels_is_compiled(laplacian):
    scale = torch.ones((), dtype=DOUBLE, requires_grad=True)
    backend = TorchBackend(
        rhs=lambda y: laplacian @ y,
        vjp=lambda v, y: laplacian.mT @ v,
        vjp_p=lambda v, y: (v @ backwards(laplacian, y))[None],
    )
    torch_lane(lambda t, y: scale * (laplacian @ y), LEVEL, backend, [scale])


@pytest.mark.parametrize("y0", [LEVEL, SLOPE], ids=["level", "slope"])
def test_another_function_is_refused_for_good(laplacian, y0):
    func = lambda t, y: -(laplacian @ y)  # noqa: E731
    backend = TorchBackend(rhs=lambda y: -(laplacian @ y) * (1 + 1e-7) + 1e-12)
    for start in (y0, SLOPE):
        with pytest.raises(UnsupportedDynamicsError, match="changes from call to call"):
            torch_lane(func, start, backend)
    (translation,) = backend.translations.known.values()
    assert translation.refusal is not None


def test_what_differs_at_one_start_alone_is_refused_there_alone(laplacian):
    func = lambda t, y: (laplacian @ y).sign()  # noqa: E731
    backend = TorchBackend(rhs=lambda y: backwards(laplacian, y).sign(), vjp=lambda v, y: torch.zeros_like(y))
    with pytest.raises(UnsupportedStartError, match="not beside it"):
        torch_lane(func, LEVEL, backend)
    assert torch_lane(func, SLOPE, backend).address("rhs") is not None
    with pytest.raises(UnsupportedStartError):
        torch_lane(func, LEVEL, backend)


def test_derivatives_that_were_refused_at_one_start_are_compared_at_the_next():
    calls = []

    def vjp(v, y):
        calls.append(y.clone())
        return v * (y >= 0)  # torch's derivative at zero is 0

    backend = TorchBackend(rhs=torch.relu, vjp=vjp)
    func = lambda t, y: torch.relu(y)  # noqa: E731
    with pytest.raises(UnsupportedStartError, match="product"):
        torch_lane(func, 0 * SLOPE, backend)
    seen = len(calls)
    for _ in range(2):
        torch_lane(func, SLOPE, backend)
    assert [bool(torch.equal(y, SLOPE)) for y in calls[seen:]] == [True]


def test_dynamics_that_cannot_be_evaluated_beside_the_start_are_refused_there():
    def func(t, y):
        if not torch.equal(y, SLOPE):
            raise ValueError("not here")
        return -y

    dynamics = Dynamics(func, Structure.of(SLOPE), Wanted())
    with pytest.raises(UnsupportedStartError, match="off by"):
        compare("rhs", lambda name, out, vectors, s: out.fill_(1.0), Start(dynamics, SLOPE, 0.0, 1.0, -SLOPE))


def test_derivatives_that_are_infinite_in_torch_too_agree():
    backend = TorchBackend(rhs=torch.sqrt, vjp=lambda v, y: v / (2 * y.sqrt()))
    torch_lane(lambda t, y: torch.sqrt(y), torch.tensor([0.0, 1.0], dtype=DOUBLE), backend)


def test_derivatives_are_compared_with_better_ones_than_those_of_coarse_kernels():
    """torch's own of hardsigmoid has 1/6 in single precision."""
    func = lambda t, y: torch.nn.functional.hardsigmoid(y)  # noqa: E731
    (of_torch,) = torch.autograd.functional.vjp(lambda y: func(0.0, y), SLOPE, SLOPE)[1:]
    assert (of_torch - SLOPE / 6).abs().max() > 1e-8 * SLOPE.max() / 6
    within = lambda v, y: v * ((y > -3) & (y < 3)) / 6  # noqa: E731
    torch_lane(func, SLOPE, TorchBackend(rhs=torch.nn.functional.hardsigmoid, vjp=within))


def test_products_of_many_at_once_are_compared_by_decompositions_too():
    func = lambda t, y: torch.nn.functional.hardsigmoid(y)  # noqa: E731
    y0 = torch.linspace(-2, 2, 30, dtype=DOUBLE)
    backend = TorchBackend(
        rhs=torch.nn.functional.hardsigmoid, jacobian=lambda y: (torch.eye(30) / 6.0).double().ravel()
    )
    with pytest.raises(UnsupportedDynamicsError, match="Jacobian"):  # 1/6 in single precision is not good enough
        torch_lane(func, y0, backend)
    exact = TorchBackend(
        rhs=torch.nn.functional.hardsigmoid, jacobian=lambda y: (torch.eye(30, dtype=DOUBLE) / 6).ravel()
    )
    torch_lane(func, y0, exact)


@pytest.mark.julia
@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_translation_that_throws_is_refused_and_does_not_end_the_program(isolation, monkeypatch):
    wrong = lambda ctx, a: ctx.pointwise("no_such_function({0})", a)  # noqa: E731
    monkeypatch.setitem(REGISTRY, torch.ops.aten.sinh.default, wrong)
    y0, t = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.1])
    solve = functools.partial(pb.solve, lambda t, y: -torch.sinh(y) / 3, y0, t, method="Tsit5", isolation=isolation)
    if isolation == "none":
        sol = solve()
        assert sol.lane == "callback"
        assert "its translation failed (UndefVarError: `no_such_function` not defined" in sol.lane_reason
    else:
        with pytest.raises(pb.UnsupportedError, match=r"its translation failed .*no_such_function"):
            solve()
