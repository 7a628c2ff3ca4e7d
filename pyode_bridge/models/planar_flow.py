"""Planar flows: the discrete flow that the continuous one generalises."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyode_bridge.models.sizes import positive

# Bisection starts from an interval of width 2 |wᵀu|; float64's 53 bits need no more halvings than this.
BISECTIONS = 60


class PlanarFlow(torch.nn.Module):
    """A chain of ``depth`` planar layers ``z + û tanh(w·z + b)``, invertible by the constraint ``w·û > -1``.

    Args:
        dim: ``D``, the number of coordinates.
        depth: ``K``, the number of layers.

    Raises:
        InputError: ``dim`` or ``depth`` is not a positive whole number.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import PlanarFlow
        >>> x, log_det = PlanarFlow(dim=2, depth=8)(torch.zeros(5, 2))  # shapes (5, 2) and (5,)

    Source: Rezende & Mohamed 2015, eqs. 10-13 and appendix A.1.
    """

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        positive(dim=dim, depth=depth)
        self.dim = dim
        self.depth = depth
        w = torch.randn(depth, dim)
        # Where w·u is log(e - 1), the constraint gives w·û = 0: the chain starts near the identity.
        along = math.log(math.e - 1) * w / w.square().sum(-1, keepdim=True)
        self.w = torch.nn.Parameter(w)
        self.u = torch.nn.Parameter(along + 0.1 * torch.randn(depth, dim))
        self.b = torch.nn.Parameter(torch.randn(depth))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` of the shape ``(*batch, D)`` of ``z``, and ``log |det ∂x/∂z|``, shape ``(*batch,)``."""
        u, slope = self._constrained()
        log_det = torch.zeros_like(z[..., 0])
        for k in range(self.depth):
            unit = torch.tanh(z @ self.w[k] + self.b[k])
            z = z + unit[..., None] * u[k]
            log_det = log_det + torch.log1p(slope[k] * (1 - unit.square()))
        return z, log_det

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``z`` with ``forward(z) = x``, and ``log |det ∂z/∂x|``.

        A layer changes ``a = w·z`` to ``a + (w·û) tanh(a + b)``, which increases in ``a``: one scalar root a layer and
        sample gives ``z``. Differentiable.
        """
        u, slope = self._constrained()
        log_det = torch.zeros_like(x[..., 0])
        for k in reversed(range(self.depth)):
            unit = torch.tanh(_root(x @ self.w[k], slope[k], self.b[k]) + self.b[k])
            x = x - unit[..., None] * u[k]
            log_det = log_det - torch.log1p(slope[k] * (1 - unit.square()))
        return x, log_det

    def extra_repr(self) -> str:
        """Sizes."""
        return f"dim={self.dim}, depth={self.depth}"

    def _constrained(self) -> tuple[Tensor, Tensor]:
        """``û = u + (m(w·u) - w·u) w/|w|²``, shape ``(K, D)``, and ``w·û = m(w·u) = softplus(w·u) - 1``, ``(K,)``."""
        along = (self.w * self.u).sum(-1)
        slope = torch.nn.functional.softplus(along) - 1
        u = self.u + ((slope - along) / self.w.square().sum(-1))[:, None] * self.w
        return u, slope


def _root(target: Tensor, slope: Tensor, b: Tensor) -> Tensor:
    """``a`` with ``a + slope tanh(a + b) = target``, by bisection and one Newton step.

    The Newton step alone is seen by autograd, and with the derivative of the function held fixed its gradient is that
    of the implicit function theorem.
    """
    with torch.no_grad():
        low, high = target - slope.abs(), target + slope.abs()
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            above = middle + slope * torch.tanh(middle + b) > target
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        root = (low + high) / 2
        derivative = 1 + slope * (1 - torch.tanh(root + b).square())
    return root - (root + slope * torch.tanh(root + b) - target) / derivative
