"""What the image classifiers share: the stem before the blocks, the head after them, and their normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.models.sizes import positive

MOST_GROUPS = 32  # the paper's number of groups, at its width of 64


def group_norm(channels: int) -> torch.nn.GroupNorm:
    """Group normalisation with as many groups as divide ``channels``, at least two channels each, 32 at most."""
    most = max(1, min(MOST_GROUPS, channels // 2))
    return torch.nn.GroupNorm(next(groups for groups in range(most, 0, -1) if channels % groups == 0), channels)


class Stem(torch.nn.Sequential):
    """Images to feature maps: a 3x3 convolution, then 4x4 convolutions that each halve height and width.

    Args:
        in_channels: ``C``, 1 for grey images.
        width: ``W``, channels of the feature maps.
        downsamplings: how many halvings: the paper has 2 for 28x28 MNIST; 1 suits 8x8 digits.

    For images of shape ``(B, C, H, H')``, maps of shape ``(B, W, H / 2^d, H' / 2^d)``, rounded down.

    Raises:
        InputError: a size is not a positive whole number, or the images do not have four dimensions or ``C`` channels.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import Stem
        >>> maps = Stem(1, 64, downsamplings=2)(torch.zeros(5, 1, 28, 28))  # shape (5, 64, 7, 7)

    Source: Chen et al. 2018, section 3.
    """

    def __init__(self, in_channels: int, width: int, downsamplings: int) -> None:
        positive(in_channels=in_channels, width=width, downsamplings=downsamplings)
        layers: list[torch.nn.Module] = [torch.nn.Conv2d(in_channels, width, 3, padding=1)]
        for _ in range(downsamplings):
            layers += [group_norm(width), torch.nn.ReLU(), torch.nn.Conv2d(width, width, 4, stride=2, padding=1)]
        super().__init__(*layers)
        self.in_channels = in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps of ``images``."""
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(
                f"images have shape {tuple(images.shape)}; expected (batch, {self.in_channels}, height, width)."
            )
        return super().forward(images)  # type: ignore[no-any-return,no-untyped-call]


class Head(torch.nn.Sequential):
    """Feature maps to logits: normalisation, ReLU, the mean over each map, and a linear layer.

    Args:
        width: channels of the feature maps.
        classes: number of logits.

    For maps of shape ``(B, width, h, h')``, logits of shape ``(B, classes)``.

    Source: Chen et al. 2018, section 3.
    """

    def __init__(self, width: int, classes: int) -> None:
        positive(width=width, classes=classes)
        pool = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        super().__init__(group_norm(width), torch.nn.ReLU(), *pool, torch.nn.Linear(width, classes))
