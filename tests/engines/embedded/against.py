"""Solves by torchdiffeq and by the embedded engine, with the same words."""

from __future__ import annotations

from typing import Any

import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

T = torch.tensor([0.0, 0.4, 1.1, 2.0], dtype=DOUBLE)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


class Forced(nn.Module):
    """A forced nonlinear system in two tensors' worth of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.3, 2.0], [-2.0, -0.1]], dtype=DOUBLE))
        self.force = nn.Parameter(torch.tensor([0.7, -0.4], dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.matrix.mT) * y.norm() + self.force * torch.sin(3 * t)


class Free(Forced):
    """The same for all times."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.matrix.mT) * y.norm() + self.force


class Pair(nn.Module):
    """The same, and a decay, as a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.free = Free()

    def forward(self, t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.free(t, y[0]), -y[1] * y[0].sum()


Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
PAIR = (Y0, torch.tensor([[0.3], [2.0], [5.0]], dtype=DOUBLE))


def both(func: nn.Module, y0: Any, t: Tensor, **settings: Any) -> tuple[Any, Any]:
    """Values of both."""
    with torch.no_grad():
        return torchdiffeq.odeint(func, y0, t, **settings), pb.odeint(func, y0, t, engine="embedded", **settings)


def both_gradients(func: nn.Module, y0: Any, t: Tensor, **settings: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by the continuous adjoints of both, by the state at the start and the parameters."""
    found = []
    for odeint, extra in ((torchdiffeq.odeint_adjoint, {}), (pb.odeint_adjoint, {"engine": "embedded"})):
        start = tuple(part.clone().requires_grad_() for part in (y0 if isinstance(y0, tuple) else (y0,)))
        values = odeint(func, start if isinstance(y0, tuple) else start[0], t, **settings, **extra)
        loss = sum((value**2).cos().sum() for value in (values if isinstance(y0, tuple) else (values,)))
        assert isinstance(loss, Tensor)
        found.append(list(torch.autograd.grad(loss, (*start, *func.parameters()))))
    theirs, ours = found
    return theirs, ours
