"""The recurrent baseline: an autoregressive GRU that predicts each observation from those before it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyode_bridge.models.series import Series


@dataclass(frozen=True)
class _State:
    """The GRU's state ``h``, and the last observation: its values ``x``, their ``mask`` and its time ``t``."""

    h: Tensor
    x: Tensor
    mask: Tensor
    t: Tensor

    def replaced(self, rows: Tensor, other: _State) -> _State:
        """``other`` for the series in ``rows``, this one for the rest."""
        wide = rows[:, None]
        return _State(
            torch.where(wide, other.h, self.h),
            torch.where(wide, other.x, self.x),
            torch.where(wide, other.mask, self.mask),
            torch.where(rows, other.t, self.t),
        )


class AutoregressiveRNN(nn.Module):
    """A GRU with a Gaussian prediction of the next observation (Chen et al. 2018, section 5.1).

    Its input is the last observation and, with ``time_gaps``, the time from it to the next one.

    Args:
        features: number of features ``D`` of the series.
        hidden: size of the state.
        time_gaps: whether the GRU is told the gaps; without, it takes the observations as equally spaced.

    Examples:
        >>> import torch
        >>> series = Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
        >>> model = AutoregressiveRNN(2)
        >>> model.log_prob(series).shape, model.predict(series, torch.tensor([1.1, 1.3])).shape
        (torch.Size([3]), torch.Size([3, 2, 2]))
    """

    def __init__(self, features: int, hidden: int = 25, *, time_gaps: bool = True) -> None:
        super().__init__()
        self.hidden = hidden
        self.time_gaps = time_gaps
        self.cell = nn.GRUCell(2 * features + int(time_gaps), hidden)
        self.head = nn.Linear(hidden, 2 * features)

    def log_prob(self, series: Series) -> Tensor:
        """Log-density of each series' observed values after its first row, given those before: shape ``(B,)``."""
        return self._read(series)[1]

    def predict(self, series: Series, t: Tensor) -> Tensor:
        """Means at times ``t`` after the series, ``(M,)`` or ``(B, M)``, each fed back as if observed: ``(B, M, D)``.

        Equal steps are what a model without ``time_gaps`` assumes, whatever ``t`` says.
        """
        state = self._read(series)[0]
        means = []
        for time in t.expand(len(series), t.shape[-1]).unbind(dim=1):
            h, mean, _ = self._step(state, time)
            means.append(mean)
            state = _State(h, mean, torch.ones_like(state.mask), time)
        return torch.stack(means, dim=1)

    def _read(self, series: Series) -> tuple[_State, Tensor]:
        """The state after the last observed row, and the log-density."""
        h = series.x.new_zeros(len(series), self.hidden)
        state = _State(h, series.x[:, 0], series.mask[:, 0].to(h), series.t[:, 0])
        begun = series.observed[:, 0]
        total = series.x.new_zeros(len(series))
        for i in range(1, series.t.shape[1]):
            x, mask, t, seen = series.x[:, i], series.mask[:, i], series.t[:, i], series.observed[:, i]
            h, mean, log_std = self._step(state, t)
            each = -0.5 * ((x - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(2 * math.pi)
            scored = mask & begun[:, None]
            total = total + torch.where(scored, each, torch.zeros_like(each)).sum(dim=-1)
            state = state.replaced(seen, _State(torch.where(begun[:, None], h, state.h), x, mask.to(h), t))
            begun = begun | seen
        return state, total

    def _step(self, state: _State, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next state, and mean and log standard deviation of an observation at ``t``."""
        inputs = [state.x, state.mask]
        if self.time_gaps:
            inputs.append((t - state.t)[:, None])
        h = self.cell(torch.cat(inputs, dim=-1), state.h)
        mean, log_std = self.head(h).chunk(2, dim=-1)
        return h, mean, log_std
