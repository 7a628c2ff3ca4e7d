"""Derivatives and batches of solves are solves of functions that compile, and so run without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils._pytree import tree_leaves

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL

pytestmark = pytest.mark.julia
SOLVER: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-8, "method": "Tsit5", "engine": "julia"}
Y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
BATCH = torch.stack([Y0, 2 * Y0, -Y0])
T = torch.tensor([0.0, 0.5, 0.9], dtype=DOUBLE)


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).to(DOUBLE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=DOUBLE) / 2)
    return net


NET = network()
WEIGHTS = dict(NET.named_parameters())


def solved(y0: Tensor, lane: str) -> Tensor:
    return pb.odeint(lambda t, y: NET(y) + y @ SPIRAL, y0, T, lane=lane, **SOLVER)


def loss(y0: Tensor, lane: str) -> Tensor:
    return solved(y0, lane).square().sum()


def loss_of(weights: dict[str, Tensor], lane: str, y0: Tensor = Y0) -> Tensor:
    return pb.odeint(lambda t, y: functional_call(NET, weights, (y,)), y0, T, lane=lane, **SOLVER).square().sum()


def forward_mode(lane: str) -> Any:
    return jvp(lambda y0: solved(y0, lane), (Y0,), (torch.ones_like(Y0),))


def a_batch(lane: str) -> Any:
    return vmap(lambda y0: solved(y0, lane))(BATCH)


def jacobians(lane: str) -> Any:
    return jacrev(lambda y0: solved(y0, lane)[-1])(Y0), jacfwd(lambda y0: solved(y0, lane)[-1])(Y0)


def second(lane: str) -> Any:
    return hessian(lambda y0: loss(y0, lane))(Y0)


def gradients_of_samples(lane: str) -> Any:
    return vmap(lambda y0: grad(loss_of)(WEIGHTS, lane, y0))(BATCH)


def products_with_the_hessian(lane: str) -> Any:
    ones = {name: torch.ones_like(weight) for name, weight in WEIGHTS.items()}
    return jvp(lambda weights: grad(loss_of)(weights, lane), (WEIGHTS,), (ones,))


def a_batch_of_products(lane: str) -> Any:
    def product(y0: Tensor) -> Tensor:
        return jvp(grad(lambda y0: loss(y0, lane)), (y0,), (torch.ones_like(y0),))[1]

    return vmap(product)(BATCH)


def twice_by_autograd(lane: str) -> Any:
    y0, weights = Y0.clone().requires_grad_(), list(NET.parameters())
    grads = torch.autograd.grad(loss(y0, lane), [y0, *weights], create_graph=True)
    return torch.autograd.grad(sum(one.sum() for one in grads), [y0, *weights])


@pytest.mark.parametrize(
    "derivative",
    [
        forward_mode,
        a_batch,
        jacobians,
        second,
        gradients_of_samples,
        products_with_the_hessian,
        a_batch_of_products,
        twice_by_autograd,
    ],
)
def test_derivatives_and_batches_compile(derivative: Callable[[str], Any]) -> None:
    compiled, called = (tree_leaves(derivative(lane)) for lane in ("compiled", "callback"))
    for one, other in zip(compiled, called, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_nothing_is_compiled_twice() -> None:
    second("compiled")
    twice_by_autograd("compiled")
    before = compilations()
    second("compiled")
    twice_by_autograd("compiled")
    assert compilations() == before


def compilations() -> int:
    """How many functions Julia has compiled so far."""
    from pyode_bridge.engines import julia_engine

    bridge = julia_engine()._bridge  # type: ignore[attr-defined]
    return len(bridge._evaluated)


def test_weights_that_change_are_those_of_the_next_solve() -> None:
    rate = torch.tensor(0.3, dtype=DOUBLE)
    derivative = lambda: vmap(  # noqa: E731
        lambda y0: pb.odeint(lambda t, y: rate * y, y0, T[[0, 2]], lane="compiled", **SOLVER)[-1]
    )(BATCH)
    for value in (0.3, -0.5):
        rate.fill_(value)
        torch.testing.assert_close(derivative(), BATCH * torch.exp(rate * T[-1]), rtol=1e-6, atol=1e-8)


def test_what_cannot_be_translated_says_so_or_is_called_back() -> None:
    def func(t: Tensor, y: Tensor) -> Tensor:
        return -y if t < 0.5 else -2 * y

    value = jvp(lambda y0: pb.odeint(func, y0, T, lane="auto", **SOLVER), (Y0,), (Y0,))[1]
    torch.testing.assert_close(value, pb.odeint(func, Y0, T, **SOLVER), rtol=1e-5, atol=1e-6)
    with pytest.raises(pb.UnsupportedError, match="takes a Python value out of a tensor"):
        jvp(lambda y0: pb.odeint(func, y0, T, lane="compiled", **SOLVER), (Y0,), (Y0,))


def test_derivatives_in_a_worker() -> None:
    def isolated(y0: Tensor) -> Tensor:
        return pb.odeint(lambda t, y: NET(y), y0, T, isolation="process", **SOLVER)[-1]

    def here(y0: Tensor) -> Tensor:
        return pb.odeint(lambda t, y: NET(y), y0, T, lane="callback", **SOLVER)[-1]

    torch.testing.assert_close(jacrev(isolated)(Y0), jacrev(here)(Y0), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(vmap(isolated)(BATCH), vmap(here)(BATCH), rtol=1e-6, atol=1e-8)
