"""The dynamics of the paper's image classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.models.blocks import group_norm
from pyode_bridge.models.sizes import positive


class ConcatTimeConv(torch.nn.Module):
    """A 3x3 convolution that sees the time as one more channel.

    Args:
        channels: channels of the input and of the output.

    Source: Chen et al. 2018, section 3 and the authors' ``odenet_mnist``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Maps of the shape ``(B, channels, h, h')`` of ``y`` at the scalar time ``t``."""
        time = t.to(y).expand(len(y), 1, *y.shape[2:])
        return self.conv(torch.cat([time, y], dim=1))  # type: ignore[no-any-return]


class ConvDynamics(torch.nn.Module):
    """``dy/dt`` of feature maps: two convolutions that see the time, with group normalisation before, between, after.

    Args:
        channels: channels of the state.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import ConvDynamics
        >>> slope = ConvDynamics(64)(torch.tensor(0.0), torch.zeros(5, 64, 7, 7))  # shape (5, 64, 7, 7)

    Source: Chen et al. 2018, section 3: the residual block, with the time concatenated.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        self.norms = torch.nn.ModuleList(group_norm(channels) for _ in range(3))
        self.convs = torch.nn.ModuleList(ConcatTimeConv(channels) for _ in range(2))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """The slope, of the shape ``(B, channels, h, h')`` of ``y``."""
        for norm, conv in zip(self.norms, self.convs, strict=False):
            y = conv(t, torch.relu(norm(y)))
        return self.norms[-1](y)  # type: ignore[no-any-return]
