"""Dynamics for continuous flows: the paper's gated sum of hidden units, and FFJORD's concat-squash layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pyode_bridge.models.sizes import positive

# Slope of the hypernetwork's hidden units over time at first: each changes within about a quarter of the unit of time.
SUDDENNESS = 12.0


class GatedSum(torch.nn.Module):
    """``dz/dt = Σ_n g_n(t) u_n(t) tanh(w_n(t)·z + b_n(t))``: M hidden units, gated and moved by a hypernetwork of time.

    Its trace costs no more than itself (`ClosedFormTrace`): the sum of the units' traces, so that wide flows are cheap.

    Args:
        dim: ``D``, the number of coordinates.
        width: ``M``, the number of hidden units.
        hidden: width of the hypernetwork that maps ``t`` to ``u``, ``w``, ``b`` and the gates ``g``: how many changes
            they can learn over the flow's time. At first these are spread evenly over times from 0 to 1.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import GatedSum
        >>> dz = GatedSum(dim=2, width=8)(torch.tensor(0.0), torch.zeros(5, 2))  # shape (5, 2)

    Source: Chen et al. 2018, section 4, "Using multiple hidden units with linear cost" and "Time-dependent dynamics".
    """

    def __init__(self, dim: int, width: int, hidden: int = 32) -> None:
        super().__init__()
        positive(dim=dim, width=width, hidden=hidden)
        self.dim = dim
        self.width = width
        self.hidden = hidden
        # Units that differ from the start, in a sum that does not grow with their number.
        constant = torch.randn(width, 2 * dim + 2)
        constant[:, dim : 2 * dim] /= math.sqrt(width)
        self.constant = torch.nn.Parameter(constant)
        self.hypernetwork = torch.nn.Sequential(
            _spread_over_time(hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, constant.numel(), bias=False)
        )

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """``dz/dt`` at scalar ``t`` and ``z`` of shape ``(*batch, D)``; the same shape."""
        w, u, b = self._units(t)
        return torch.tanh(z @ w.mT + b) @ u

    def value_and_divergence(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """``dz/dt`` and ``tr(∂f/∂z) = Σ_n g_n (1 - tanh²) w_n·u_n``, shape ``(*batch,)``."""
        w, u, b = self._units(t)
        units = torch.tanh(z @ w.mT + b)
        return units @ u, (1 - units.square()) @ (w * u).sum(-1)

    def _units(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``w`` and gated ``u``, shapes ``(M, D)``, and ``b``, shape ``(M,)``."""
        # The mean over hidden units, not their sum: a step of the optimizer moves it no more than the constant part.
        moved = self.hypernetwork(t.view(1)).view_as(self.constant) / self.hidden
        units = self.constant + moved
        w, u, b, gate = units.split([self.dim, self.dim, 1, 1], dim=-1)
        return w, torch.sigmoid(gate) * u, b.squeeze(-1)


def _spread_over_time(count: int) -> torch.nn.Linear:
    """Tanh of these goes from -1 to 1 about times spread evenly over [0, 1].

    As `torch.nn.Linear` starts, all of them would be nearly straight lines there, and so would the units' paths.
    """
    layer = torch.nn.Linear(1, count)
    times = (torch.arange(count) + 0.5) / count
    with torch.no_grad():
        layer.weight.fill_(SUDDENNESS)
        layer.bias.copy_(-SUDDENNESS * times)
    return layer


class ConcatSquashLinear(torch.nn.Module):
    """A linear layer whose output is scaled by a gate and moved by a bias, both functions of time.

    ``(W x + b) sigmoid(g t + c) + h t``; source: Grathwohl et al. 2019 (FFJORD), the layer of its released models.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)
        self.gate = torch.nn.Linear(1, outputs)
        self.shift = torch.nn.Linear(1, outputs, bias=False)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """``x`` of shape ``(*batch, inputs)`` at scalar ``t``; returns ``(*batch, outputs)``."""
        time = t.view(1)
        return self.linear(x) * torch.sigmoid(self.gate(time)) + self.shift(time)  # type: ignore[no-any-return]


class ConcatSquash(torch.nn.Module):
    """A network of concat-squash layers with tanh between them.

    Args:
        dim: ``D``, the number of coordinates.
        hidden: widths of the hidden layers.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import ConcatSquash
        >>> dz = ConcatSquash(dim=2, hidden=(64, 64))(torch.tensor(0.0), torch.zeros(5, 2))  # shape (5, 2)

    Source: Grathwohl et al. 2019 (FFJORD), appendix B.
    """

    def __init__(self, dim: int, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        widths = [dim, *hidden, dim]
        positive(dim=dim, **{f"hidden[{position}]": width for position, width in enumerate(hidden)})
        self.layers = torch.nn.ModuleList(ConcatSquashLinear(inputs, outputs) for inputs, outputs in pairwise(widths))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """``dz/dt`` at scalar ``t`` and ``z`` of shape ``(*batch, D)``; the same shape."""
        first, *rest = self.layers
        value: Tensor = first(t, z)
        for layer in rest:
            value = layer(t, torch.tanh(value))
        return value
