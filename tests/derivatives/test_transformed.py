"""Delays, residuals and noise under torch's function transforms: against closed forms and the steps in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

import pyode_bridge as pb
from tests.derivatives.test_any_order_of_delays import decay
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia
TIGHT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10, "engine": "julia"}
T = torch.tensor([0.0, 1.7, 2.8], dtype=DOUBLE)


def batched(transform: Callable[..., Any]) -> Callable[..., Any]:
    return lambda f: lambda p: vmap(transform(f))(torch.stack([p, 1.05 * p]))


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "grad": grad,
    "jacfwd": jacfwd,
    "hessian": hessian,
    "reverse over reverse": lambda f: jacrev(jacrev(f)),
    "reverse over forward": lambda f: jacrev(jacfwd(f)),
    "vmap": lambda f: lambda p: vmap(f)(torch.stack([p, 1.05 * p])),
    "vmap of grad": batched(grad),
    "vmap of hessian": batched(hessian),
}


def compare(found: Callable[..., Tensor], exact: Callable[..., Tensor], p: Tensor, name: str, error: float) -> None:
    mine, theirs = (TRANSFORMS[name](function)(p) for function in (found, exact))
    torch.testing.assert_close(mine, theirs, rtol=error, atol=error)


@pytest.mark.parametrize("lane", ["compiled", "callback"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_delays(name: str, lane: str) -> None:
    def found(p: Tensor) -> Tensor:
        a, y0, lag = p
        y = pb.ddeint(lambda t, y, past: -a * past[0], y0[None], T, lags=[lag], method="Vern7", lane=lane, **TIGHT)
        assert isinstance(y, Tensor)
        return y.pow(3).sum()

    def exact(p: Tensor) -> Tensor:
        return decay(p[0], p[2], p[1:2], T).pow(3).sum()

    compare(found, exact, torch.tensor([0.7, 1.2, 1.0], dtype=DOUBLE), name, 1e-6)


@pytest.mark.parametrize("method", ["DFBDF", "Rodas5P"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_residuals(name: str, method: str) -> None:
    """``y0' = -k y0 + y1``, ``y1 = k t``, by ``k``, the start and a time, in either formulation."""

    def found(p: Tensor) -> Tensor:
        k, y0 = p[0], torch.stack([p[1], torch.zeros_like(p[1])])
        y = pb.daeint(
            lambda t, y, dy: torch.stack([dy[0] + k * y[0] - y[1], y[1] - k * t]), y0, T, method=method, **TIGHT
        )
        assert isinstance(y, Tensor)
        return y[1:].pow(2).sum()

    def exact(p: Tensor) -> Tensor:
        k, y0 = p
        first = T - 1 / k + (y0 + 1 / k) * torch.exp(-k * T)
        return first[1:].pow(2).sum() + (k * T[1:]).pow(2).sum()

    compare(found, exact, torch.tensor([0.7, 1.2], dtype=DOUBLE), name, 1e-5)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_noise(name: str) -> None:
    """Euler's and Maruyama's steps multiply by ``(1 + a h) (1 + b dW)``; all of a batch goes along the same noise."""
    t, steps = torch.linspace(0.0, 1.0, 6, dtype=DOUBLE), {"method": "EM", "options": {"dt": 0.2}, "seed": 7}
    with torch.no_grad():
        noise = pb.sdeint(lambda t, y: 0 * y, lambda t, y: torch.ones_like(y), torch.zeros(1, dtype=DOUBLE), t, **steps)
    assert isinstance(noise, Tensor)
    draws = noise[1:, 0] - noise[:-1, 0]

    def found(p: Tensor) -> Tensor:
        y = pb.sdeint(lambda t, y: p[0] * y, lambda t, y: p[1] * y, p[2:], t, **steps)
        assert isinstance(y, Tensor)
        return y[-1].pow(2).sum()

    def exact(p: Tensor) -> Tensor:
        return (p[2] * ((1 + 0.2 * p[0]) * (1 + p[1] * draws)).prod()) ** 2

    compare(found, exact, torch.tensor([0.4, 0.3, 1.2], dtype=DOUBLE), name, 1e-9)


class Delayed(nn.Module):
    """A network of the state and of one before."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 2, dtype=DOUBLE)

    def forward(self, t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = torch.tanh(self.layer(torch.cat([y, past[0]])))
        return out


def test_a_module_with_other_parameters() -> None:
    net, y0 = Delayed(), torch.tensor([0.5, -0.3], dtype=DOUBLE)

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        def func(t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
            out: Tensor = functional_call(net, parameters, (t, y, past))
            return out

        y = pb.ddeint(func, y0, T, lags=[0.5], method="Tsit5", **TIGHT)
        assert isinstance(y, Tensor)
        return y[-1].square().sum()

    parameters = dict(net.named_parameters())
    found = grad(loss)({name: tensor.detach() for name, tensor in parameters.items()})
    expected = torch.autograd.grad(loss(parameters), list(parameters.values()))
    for name, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found[name], value, rtol=1e-8, atol=1e-10)


def test_a_tuple_state_and_a_history() -> None:
    def loss(rate: Tensor) -> Tensor:
        def func(t: Tensor, y: tuple[Tensor, Tensor], past: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
            return -rate * past[0][0], past[0][1].sum() - y[1]

        def before(t: Tensor) -> tuple[Tensor, Tensor]:
            return 1 + rate * t, torch.zeros(2, dtype=DOUBLE)

        y = pb.ddeint(func, before(T[0]), T, lags=[0.5], history=before, method="Vern7", **TIGHT)
        assert isinstance(y, tuple)
        return y[0][-1] ** 2 + y[1].sum()

    rate, tangent = torch.tensor(0.6, dtype=DOUBLE), torch.tensor(1.0, dtype=DOUBLE)
    leaf = rate.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(grad(loss)(rate), expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(jvp(loss, (rate,), (tangent,))[1], expected, rtol=1e-7, atol=1e-9)


def test_times_along_noise_are_refused() -> None:
    def end(time: Tensor) -> Tensor:
        t = torch.stack([torch.zeros_like(time), time])
        y = pb.sdeint(lambda t, y: -y, lambda t, y: 0.1 * y, torch.ones(1, dtype=DOUBLE), t, seed=1)
        assert isinstance(y, Tensor)
        return y[-1].sum()

    with pytest.raises(pb.InputError, match="times that require no gradient"):
        grad(end)(torch.tensor(1.0, dtype=DOUBLE))
