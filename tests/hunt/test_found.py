"""What programs at random have found, each with the name of what was wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge
from pyode_bridge.errors import InputError
from tests.problems import DOUBLE

T = torch.tensor([0.0, 0.3, 0.5], dtype=DOUBLE)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_a_complex_parameter_after_an_odd_number_of_real_ones(engine: str, dtype: torch.dtype) -> None:
    """Its gradient begins in the middle of a complex number's memory."""
    rate = torch.tensor(0.5, dtype=DOUBLE, requires_grad=True)
    factor = torch.tensor(0.3 + 0.4j, dtype=dtype, requires_grad=True)
    y0 = torch.tensor([0.2, -0.1], dtype=DOUBLE)

    def func(t, y):
        return rate * torch.sin(y) + (factor * torch.complex(torch.cos(y), y)).imag

    results = []
    for odeint, more in ((torchdiffeq.odeint, {}), (pyode_bridge.odeint, {"engine": engine})):
        y = odeint(func, y0, T, rtol=1e-8, atol=1e-10, **more)
        results.append(torch.autograd.grad(y.square().sum(), (rate, factor)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)


def test_a_module_that_refuses_to_be_pickled_in_words_of_its_own() -> None:
    func = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2).double())
    with pytest.raises(InputError, match="parametrized modules"):
        pyode_bridge.solve_ensemble(
            lambda t, y: func(y), torch.ones(2, 2, dtype=DOUBLE), T, engine="embedded", executor=ThreadPoolExecutor(1)
        )


class Remembers:
    """Dynamics that compute something once; to be pickled, outside of any test."""

    def __init__(self, k: Tensor) -> None:
        self.k = k
        self.rate: Tensor | None = None

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        if self.rate is None:
            self.rate = torch.exp(self.k)
        return -self.rate * y


def test_a_worker_does_not_remember_what_func_computed_from_other_values() -> None:
    pool, y0 = ThreadPoolExecutor(1), torch.ones(2, 1, dtype=DOUBLE)
    for value in (0.1, 0.7):
        k = torch.tensor(value, dtype=DOUBLE, requires_grad=True)
        y = pyode_bridge.solve_ensemble(Remembers(k), y0, T, engine="embedded", executor=pool).y
        exact = torch.exp(-k.exp() * T)[:, None, None].expand(3, 2, 1)
        torch.testing.assert_close(y, exact, rtol=1e-6, atol=1e-8)
        (grad,) = torch.autograd.grad(y.sum(), k)
        torch.testing.assert_close(grad, torch.autograd.grad(exact.sum(), k)[0], rtol=1e-5, atol=1e-7)
