"""The residual network that the ODE-Net is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.models.blocks import Head, Stem, group_norm
from pyode_bridge.models.sizes import positive


class ResidualBlock(torch.nn.Module):
    """``y + f(y)``: two 3x3 convolutions with normalisation and ReLU before each (He et al. 2016).

    Args:
        channels: channels of the input and of the output, shape ``(B, channels, h, h')``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for _ in range(2):
            conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            layers += [group_norm(channels), torch.nn.ReLU(), conv]
        self.residual = torch.nn.Sequential(*layers)

    def forward(self, y: Tensor) -> Tensor:
        """Maps of the shape of ``y``."""
        return y + self.residual(y)  # type: ignore[no-any-return]


class ResNet(torch.nn.Module):
    """Stem, residual blocks, head.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: channels of the feature maps.
        downsamplings: halvings of height and width in the stem.
        blocks: number of residual blocks; the paper has 6.

    For images of shape ``(B, in_channels, H, H')``, logits of shape ``(B, classes)``.

    Raises:
        InputError: a size is not a positive whole number, or the images do not fit.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import ResNet
        >>> logits = ResNet()(torch.zeros(5, 1, 28, 28))  # shape (5, 10)

    Source: Chen et al. 2018, section 3; He et al. 2016.
    """

    def __init__(
        self, in_channels: int = 1, classes: int = 10, *, width: int = 64, downsamplings: int = 2, blocks: int = 6
    ) -> None:
        super().__init__()
        positive(blocks=blocks)
        self.stem = Stem(in_channels, width, downsamplings)
        self.blocks = torch.nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.head = Head(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of ``images``."""
        return self.head(self.blocks(self.stem(images)))  # type: ignore[no-any-return]
