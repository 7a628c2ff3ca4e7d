"""Models that contain a solve, under torch.compile."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb


class Rotation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.layer(y)) * t


class Model(nn.Module):
    """Layers around a solve, by a layer or by a function."""

    def __init__(self, form: str) -> None:
        super().__init__()
        solver = {"engine": "embedded", "rtol": 1e-5, "atol": 1e-5}
        self.first, self.last, self.dynamics = nn.Linear(2, 3), nn.Linear(3, 1), Rotation()
        layer, t = pb.NeuralODE(self.dynamics, **solver), torch.tensor([0.0, 1.0])
        self.layer = layer if form == "layer" else None
        self.solve = lambda y: pb.odeint(self.dynamics, y, t, **solver)

    def forward(self, x: Tensor) -> Tensor:
        y0 = torch.sin(self.first(x))
        y = self.solve(y0) if self.layer is None else self.layer(y0)
        return self.last(torch.relu(y[-1]))


def value_and_gradients(model: Model, function: object, x: Tensor) -> list[Tensor]:
    value = function(x)
    return [value, *torch.autograd.grad(value.square().sum(), tuple(model.parameters()))]


@pytest.mark.parametrize("form", ["layer", "function"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_model_agrees_with_itself_uncompiled(form: str, backend: str) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    model, x = Model(form), torch.randn(4, 2)
    exact = value_and_gradients(model, model, x)
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(model, backend=counter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            for mine, theirs in zip(value_and_gradients(model, compiled, x), exact, strict=True):
                torch.testing.assert_close(mine, theirs)
    assert not [str(warning.message) for warning in caught]
    assert counter.frame_count == 2  # what is before the solve, and what is after it


def test_one_graph_for_all_is_refused_with_the_reason() -> None:
    torch._dynamo.reset()
    model = Model("layer")
    with pytest.raises(torch._dynamo.exc.Unsupported, match="leave fullgraph=True out"):
        torch.compile(model, backend="eager", fullgraph=True)(torch.randn(4, 2))


def test_a_solve_does_not_load_the_compiler() -> None:
    code = (
        "import sys, torch, pyode_bridge as pb\n"
        "y0 = torch.ones(1, requires_grad=True)\n"
        "pb.odeint(lambda t, y: -y, y0, torch.tensor([0.0, 1.0]), engine='embedded').sum().backward()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
