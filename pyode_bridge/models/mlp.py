"""The baseline without structure."""

from __future__ import annotations

import torch

from pyode_bridge.models.sizes import positive


class MLP(torch.nn.Sequential):
    """One hidden layer over the flattened image.

    Args:
        features: pixels of an image, times channels.
        classes: number of logits.
        hidden: hidden units; 300 is the paper's baseline (LeCun et al. 1998), 0.24 million parameters on MNIST.

    For images of shape ``(B, ...)`` with ``features`` values each, logits of shape ``(B, classes)``.

    Raises:
        InputError: a size is not a positive whole number.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import MLP
        >>> logits = MLP(784)(torch.zeros(5, 1, 28, 28))  # shape (5, 10)

    Source: Chen et al. 2018, table 1.
    """

    def __init__(self, features: int, classes: int = 10, *, hidden: int = 300) -> None:
        positive(features=features, classes=classes, hidden=hidden)
        layers = (torch.nn.Linear(features, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes))
        super().__init__(torch.nn.Flatten(), *layers)
