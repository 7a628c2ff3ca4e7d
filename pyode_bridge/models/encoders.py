"""Encoders that read an irregular series backwards in time and end with a state at its start."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from pyode_bridge.equations.odeint import odeint
from pyode_bridge.models.series import Series, steps_back
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, with_settings


class Encoder(Protocol):
    """Reads a series into a state: `GRUEncoder`, `ODERNNEncoder`, or a module of your own."""

    hidden: int

    def __call__(self, series: Series, start: float = 0.0) -> Tensor:
        """The state at ``start``, shape ``(B, hidden)``; rows that are masked throughout say nothing."""


class GRUEncoder(nn.Module):
    """A GRU run backwards in time over values, masks and time gaps (Chen et al. 2018, section 5 and figure 6).

    Args:
        features: number of features ``D`` of the series.
        hidden: size ``H`` of the state.

    Examples:
        >>> import torch
        >>> series = Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
        >>> GRUEncoder(2)(series).shape
        torch.Size([3, 25])
    """

    def __init__(self, features: int, hidden: int = 25) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell = nn.GRUCell(2 * features + 1, hidden)

    def forward(self, series: Series, start: float = 0.0) -> Tensor:
        """The state at ``start``, shape ``(B, H)``."""
        h = series.x.new_zeros(len(series), self.hidden)
        for step in steps_back(series, start):
            seen = torch.cat([step.x, step.mask.to(h), step.gap[:, None]], dim=-1)
            h = torch.where(step.moves[:, None], self.cell(seen, h), h)
        return h


class ODERNNEncoder(nn.Module):
    """ODE-RNN: between observations the state follows an ODE, at each a GRU updates it (Rubanova et al. 2019).

    Each gap is one solve over the unit interval in which every series advances by its own gap, so that a batch of
    series with different times takes as many solves as one series.

    Args:
        features: number of features ``D`` of the series.
        hidden: size ``H`` of the state.
        units: width of the hidden layer of the state's dynamics.
        **settings: as for `pyode_bridge.odeint`; see `SolverSettings`.

    Examples:
        >>> import torch
        >>> series = Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
        >>> ODERNNEncoder(2, method="rk4", engine="embedded")(series).shape
        torch.Size([3, 25])
    """

    @with_settings
    def __init__(self, features: int, hidden: int = 25, units: int = 25, **settings: Unpack[SolverSettings]) -> None:
        super().__init__()
        check_settings("ODERNNEncoder", SolverSettings, settings)
        self.hidden = hidden
        self.cell = nn.GRUCell(2 * features, hidden)
        self.dynamics = nn.Sequential(nn.Linear(hidden, units), nn.Tanh(), nn.Linear(units, hidden))
        self.solver = settings

    def forward(self, series: Series, start: float = 0.0) -> Tensor:
        """The state at ``start``, shape ``(B, H)``."""
        h = series.x.new_zeros(len(series), self.hidden)
        for step in steps_back(series, start):
            if (step.gap > 0).any():
                h = self._advance(h, step.gap[:, None])
            updated = self.cell(torch.cat([step.x, step.mask.to(h)], dim=-1), h)
            h = torch.where(step.mask.any(dim=-1, keepdim=True), updated, h)
        return h

    def _advance(self, h: Tensor, gap: Tensor) -> Tensor:
        end: Any = odeint(lambda _, state: gap * self.dynamics(state), h, h.new_tensor([0.0, 1.0]), **self.solver)
        return end[-1]  # type: ignore[no-any-return]
