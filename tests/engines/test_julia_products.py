"""Matrix products of compiled dynamics: whose they are, that they are right, and that wrong ones are not taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import pyode_bridge as pb
from pyode_bridge.engines.julia.products import share_products, torchs_addresses
from pyode_bridge.engines.julia.session import start

pytestmark = pytest.mark.julia


@pytest.fixture
def addresses() -> list[int]:
    found = torchs_addresses()
    if found is None:
        pytest.skip("this torch has no MKL")
    return found


def in_use(module: Any) -> list[int]:
    return [int(module.seval(f"UInt(Kernels.{name}[])")) for name in ("DGEMM", "SGEMM", "SET_THREADS")]


def test_they_are_torchs(addresses: list[int]) -> None:
    assert in_use(start()) == addresses


def test_wrong_functions_are_not_taken(addresses: list[int]) -> None:
    module = start()
    before = in_use(module)
    double, single, threads = addresses
    assert not module.use_products(single, double, threads)
    assert in_use(module) == before


def test_julias_own_do_as_well(addresses: list[int]) -> None:
    module = start()
    network = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64)).double()
    told = {"t": torch.tensor([0.0, 1.0]), "method": "Tsit5", "engine": "julia", "lane": "compiled"}
    y0 = torch.randn(8, 64, dtype=torch.float64)

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        y = pb.odeint(lambda t, y: network(y), y0, **told)
        y.square().sum().backward()
        return [y.detach(), *(parameter.grad.clone() for parameter in network.parameters())]  # type: ignore[union-attr]

    torchs = gradients()
    module.seval("Kernels.__init__()")
    try:
        julias = gradients()
    finally:
        share_products(module)
    for one, other in zip(torchs, julias, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
