"""Graphs with complex numbers become graphs of real ones that compute the same, with the same derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx

from pyode_bridge.compiled.capture.tracing import Graph, trace
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.jacobians import pulled_back
from tests.problems import DOUBLE

N = 4
random = torch.Generator().manual_seed(0)
MATRIX = torch.randn(N, N, dtype=torch.complex128, generator=random)
REAL = torch.randn(N, N, dtype=DOUBLE, generator=random)
FACTOR = torch.tensor(0.3 - 0.7j, dtype=torch.complex128, requires_grad=True)

Function = Callable[[Tensor, Tensor], Tensor]
FUNCTIONS: dict[str, Function] = {
    "turn": lambda t, z: -1j * z * t,
    "matrix": lambda t, z: -1j * (MATRIX @ z),
    "real matrix": lambda t, z: REAL.to(z.dtype) @ z,
    "commutator": lambda t, z: (r := z.view(2, 2), h := MATRIX[:2, :2], -1j * (h @ r - r @ h))[-1].reshape(-1),
    "dagger": lambda t, z: (r := z.view(2, 2), MATRIX[:2, :2] @ r @ MATRIX[:2, :2].mH)[-1].reshape(-1),
    "batched": lambda t, z: torch.bmm(z.view(1, 2, 2), z.view(1, 2, 2).conj()).reshape(-1),
    "exp": lambda t, z: torch.exp(z) + torch.log(z + 3),
    "circular": lambda t, z: z.sin() * z.cos() - z.tanh() + z.sinh() / (2 + z.cosh()),
    "division": lambda t, z: z / (1 + z * z) + 1 / z + 2.0 / (z - 1j),
    "powers": lambda t, z: z**3 + z**0.5 + z.sqrt() + z.square(),
    "modulus": lambda t, z: z * z.abs() ** 2 + torch.polar(z.abs(), z.angle()),
    "density": lambda t, z: (z.conj() * z).real * z,
    "parts": lambda t, z: torch.complex(z.real * t, z.imag**2) + z.imag,
    "sums": lambda t, z: z * z.sum() + z.mean() - torch.vdot(z, z) + torch.dot(z, z),
    "moved": lambda t, z: torch.cat([z[2:], z[:2].conj()]) + torch.roll(z, 1) + torch.stack([z[0], z[1], z[0], z[3]]),
    "chosen": lambda t, z: torch.where(z.real > 0, z, 2 * z.conj()),
    "in place": lambda t, z: torch.zeros_like(z).index_put((torch.tensor([0, 2]),), z[1:3] ** 2),
    "written": lambda t, z: _written(z),
    "parameter": lambda t, z: FACTOR * z + FACTOR.abs(),
    "unit": lambda t, z: torch.sgn(z) * 1j,
    "identity": lambda t, z: torch.eye(N, dtype=z.dtype) @ z,
}


def _written(z: Tensor) -> Tensor:
    out = torch.empty_like(z)
    out[0] = z[1] * 1j
    out[1:] = z[:3]
    out *= 2
    return out


def flat(function: Function) -> Function:
    """Of real and imaginary parts side by side."""
    return lambda t, y: torch.view_as_real(function(t, torch.view_as_complex(y.view(-1, 2)))).reshape(-1)


def run(graph: Graph, *inputs: Tensor) -> Tensor:
    module = fx.GraphModule(graph.tensors, graph.graph)
    for node in graph.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, Tensor):
            of_constant = all(arg.op == "get_attr" for arg in node.all_input_nodes)
            assert not value.is_complex() or of_constant, f"{node.target} is complex"
    found: Tensor = module(*inputs)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_products_are_those_of_complex_numbers(name: str) -> None:
    function = flat(FUNCTIONS[name])
    t, y, v = (torch.rand(size, dtype=DOUBLE, generator=random) + 0.2 for size in ((), 2 * N, 2 * N))

    def products(t: Tensor, v: Tensor, y: Tensor) -> Tensor:
        return pulled_back(lambda y: function(t, y.clone()), y, v, ())[0]

    with torch.no_grad():
        graph, backward = trace(lambda t, y: function(t, y.clone()), (t, y)), trace(products, (t, v, y))
        for _ in range(3):
            t, y, v = (torch.randn(size, dtype=DOUBLE, generator=random) for size in ((), 2 * N, 2 * N))
            torch.testing.assert_close(run(graph, t, y), function(t, y.clone()), rtol=1e-11, atol=1e-12)
            torch.testing.assert_close(run(backward, t, v, y), products(t, v, y), rtol=1e-10, atol=1e-11)


def test_an_operator_that_is_not_known_of_complex_numbers_is_named() -> None:
    with pytest.raises(UnsupportedDynamicsError, match=r"aten.*linalg.*det has no translation for complex numbers"):
        trace(
            flat(lambda t, z: torch.linalg.det(z.view(2, 2)) * z), (torch.tensor(0.0), torch.rand(2 * N, dtype=DOUBLE))
        )
