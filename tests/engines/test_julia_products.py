"""Matrix products of compiled dynamics: whose they are, that they are right, and that wrong ones are not taken."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pyode_bridge as pb
from pyode_bridge.engines.julia.products import FUNCTIONS, share_products
from pyode_bridge.engines.julia.session import start

pytestmark = pytest.mark.julia


@pytest.fixture
def functions() -> dict[str, int]:
    """Addresses in torch's library."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in FUNCTIONS}
    except (OSError, AttributeError):
        pytest.skip("this torch has no MKL")


def in_use(module: Any) -> list[int]:
    return [int(module.seval(f"UInt(Kernels.{name}[])")) for name in ("DGEMM", "SGEMM", "SET_THREADS")]


def test_they_are_torchs(functions: dict[str, int]) -> None:
    assert in_use(start()) == list(functions.values())


def test_wrong_functions_are_not_taken(functions: dict[str, int]) -> None:
    module = start()
    before = in_use(module)
    double, single, threads = functions.values()
    assert not module.use_products(single, double, threads)
    assert in_use(module) == before


def test_julias_own_do_as_well(functions: dict[str, int]) -> None:
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
