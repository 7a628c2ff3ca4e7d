"""The variational posterior of the initial latent state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence


class GaussianPosterior(nn.Module):
    """``q(z0 | series)``: a Gaussian with diagonal covariance whose parameters are linear in the encoder's state.

    Args:
        hidden: size ``H`` of the encoder's state.
        latent: size ``L`` of the latent state.

    Examples:
        >>> import torch
        >>> GaussianPosterior(25, 4)(torch.zeros(3, 25)).rsample().shape
        torch.Size([3, 4])
    """

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.head = nn.Linear(hidden, 2 * latent)

    def forward(self, h: Tensor) -> Independent[Normal]:
        """The distribution over ``(L,)`` for each of the states ``(B, H)``."""
        mean, log_std = self.head(h).chunk(2, dim=-1)
        return Independent(Normal(mean, log_std.exp()), 1)


def kl_to_prior(posterior: Independent[Normal]) -> Tensor:
    """``KL(q || N(0, I))`` of each series, shape ``(B,)`` (Kingma & Welling 2014, appendix B)."""
    mean = posterior.mean
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    return kl_divergence(posterior, prior)
