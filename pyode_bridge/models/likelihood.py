"""The likelihood of observed values: independent errors, or errors that persist for a while."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pyode_bridge.errors import InputError
from pyode_bridge.models.series import Series


class Likelihood(Protocol):
    """The distribution of values around what the decoder says: those here, or a module of your own."""

    def log_prob(self, mean: Tensor, targets: Series) -> Tensor:
        """Log-density of the observed values of each series around ``mean``, ``(B, N, D)``: shape ``(B,)``."""


@runtime_checkable
class PersistentLikelihood(Protocol):
    """A likelihood by which what was observed says something of the error at other times: predictions carry it on."""

    def log_prob(self, mean: Tensor, targets: Series) -> Tensor:
        """As a `Likelihood`."""

    def expected_error(self, mean: Tensor, series: Series, t: Tensor) -> Tensor:
        """The expected values less their means at ``t`` ``(B, M)``, given a series with ``mean`` ``(B, N, D)``."""


class GaussianLikelihood(nn.Module):
    """``p(x | mean)``: independent Gaussians with one standard deviation a feature.

    Args:
        features: number of features ``D``.
        std: the standard deviation, in the units of ``x``; the first guess if it is learned.
        learned: whether training adapts it.

    Raises:
        InputError: ``std`` is not positive.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import GaussianLikelihood, Series
        >>> series = Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
        >>> GaussianLikelihood(2, std=0.1).log_prob(torch.zeros(3, 5, 2), series).shape
        torch.Size([3])
    """

    log_std: Tensor

    def __init__(self, features: int, std: float = 0.1, *, learned: bool = False) -> None:
        super().__init__()
        log_std = _log_of(features, std=std)
        if learned:
            self.log_std = nn.Parameter(log_std)
        else:
            self.register_buffer("log_std", log_std)

    @property
    def std(self) -> Tensor:
        """The standard deviations, shape ``(D,)``."""
        return self.log_std.exp()

    def log_prob(self, mean: Tensor, targets: Series) -> Tensor:
        """Log-density of the observed values of each series around ``mean``, ``(B, N, D)``: shape ``(B,)``."""
        z = (targets.x - mean) / self.std
        each = -0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return torch.where(targets.mask, each, torch.zeros_like(each)).sum(dim=(1, 2))


class OrnsteinUhlenbeckLikelihood(nn.Module):
    """``p(x | mean)`` where errors last: an Ornstein-Uhlenbeck process about the mean, and independent noise.

    The error of a feature at two times has the covariance ``wander² exp(-|t - t'| / timescale)``, to which ``std²`` is
    added where they are the same. The three are learnt, for each feature. So the latent path need not explain what no
    equation does, and predictions near what was observed carry its error on.

    Args:
        features: number of features ``D``.
        std: first guess of the standard deviation of the noise, in the units of ``x``.
        wander: first guess of the process's standard deviation, in those units.
        timescale: first guess of how long it lasts, in the units of time.

    Raises:
        InputError: one of the guesses is not positive.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import OrnsteinUhlenbeckLikelihood, Series
        >>> series = Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
        >>> OrnsteinUhlenbeckLikelihood(2).log_prob(torch.zeros(3, 5, 2), series).shape
        torch.Size([3])

    Source: Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", equations 2.23, 2.30 and 4.16.
    """

    def __init__(self, features: int, *, std: float = 0.1, wander: float = 0.3, timescale: float = 1.0) -> None:
        super().__init__()
        self.log_std = nn.Parameter(_log_of(features, std=std))
        self.log_wander = nn.Parameter(_log_of(features, wander=wander))
        self.log_timescale = nn.Parameter(_log_of(features, timescale=timescale))

    @property
    def std(self) -> Tensor:
        """The standard deviations of the noise, shape ``(D,)``."""
        return self.log_std.exp()

    @property
    def wander(self) -> Tensor:
        """The standard deviations of the process, shape ``(D,)``."""
        return self.log_wander.exp()

    @property
    def timescale(self) -> Tensor:
        """How long the process lasts, shape ``(D,)``."""
        return self.log_timescale.exp()

    def log_prob(self, mean: Tensor, targets: Series) -> Tensor:
        """Log-density of the observed values of each series around ``mean``, ``(B, N, D)``: shape ``(B,)``."""
        root, error = self._root(targets), self._error(mean, targets)
        white = torch.linalg.solve_triangular(root, error, upper=False)
        count = targets.mask.sum(dim=(1, 2))
        half_log_det = torch.diagonal(root, dim1=-2, dim2=-1).log().sum(dim=(1, 2))  # ones where nothing was observed
        log_prob: Tensor = -0.5 * white.square().sum(dim=(1, 2, 3)) - half_log_det - 0.5 * math.log(2 * math.pi) * count
        return log_prob

    def expected_error(self, mean: Tensor, series: Series, t: Tensor) -> Tensor:
        """The expected values less their means at ``t`` ``(B, M)``, given a series with ``mean`` ``(B, N, D)``."""
        weights = torch.cholesky_solve(self._error(mean, series), self._root(series))
        return (self._covariance(t, series.t) @ weights)[..., 0].mT

    def _covariance(self, t: Tensor, s: Tensor) -> Tensor:
        """Of the process at times ``(B, M)`` and ``(B, N)``: shape ``(B, D, M, N)``."""
        gaps = (t[:, :, None] - s[:, None, :]).abs()[:, None]
        decay = torch.exp(-gaps.to(self.log_std) / self.timescale[:, None, None])
        covariance: Tensor = self.wander.square()[:, None, None] * decay
        return covariance

    def _root(self, series: Series) -> Tensor:
        """The Cholesky factor of the covariance of what was observed, that of the identity for the rest."""
        size = series.t.shape[1]
        identity = torch.eye(size, dtype=self.log_std.dtype, device=self.log_std.device)
        whole = self._covariance(series.t, series.t) + self.std.square()[:, None, None] * identity
        seen = series.mask.mT
        return torch.linalg.cholesky(torch.where(seen[..., None] & seen[..., None, :], whole, identity))  # type: ignore[no-any-return]

    def _error(self, mean: Tensor, series: Series) -> Tensor:
        """What was observed less its mean, zero for the rest: shape ``(B, D, N, 1)``."""
        return torch.where(series.mask, series.x - mean, torch.zeros_like(mean)).mT[..., None]


def _log_of(features: int, **guess: float) -> Tensor:
    ((name, value),) = guess.items()
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value!r}; expected a positive number.")
    return torch.full((features,), math.log(value))
