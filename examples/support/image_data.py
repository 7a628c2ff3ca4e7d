"""Handwritten digits, small ones that come with scikit-learn and MNIST, split for training and testing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from examples.support.mnist import load as load_mnist

TEST_SHARE = 0.25  # of the digits
VALIDATION_SHARE = 0.1  # of what there is to learn from
MNIST_TRAINING = 60_000


@dataclass(frozen=True)
class Split:
    """Images ``(n, 1, h, h)`` and labels ``(n,)`` to learn from and to test on."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def digits(seed: int) -> Split:
    """The 8x8 digits of scikit-learn; the test images are a stratified share of them."""
    x, y = _tensors(*load_digits(return_X_y=True))
    return _divided(x, y, TEST_SHARE, seed)


def mnist(_seed: int) -> Split:
    """The 28x28 digits of LeCun et al. 1998, whose last 10,000 are for testing whatever the seed."""
    x, y = _tensors(*load_mnist())
    return Split(x[:MNIST_TRAINING], y[:MNIST_TRAINING], x[MNIST_TRAINING:], y[MNIST_TRAINING:])


def without_validation(split: Split, seed: int) -> Split:
    """What there is to learn from, divided: less of it, and in the place of the test images those held back."""
    return _divided(split.x, split.y, VALIDATION_SHARE, seed)


def _tensors(pixels: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Square images, centred and scaled, and their labels."""
    x = torch.tensor(pixels, dtype=torch.float32)
    side = math.isqrt(x.shape[1])
    return ((x - x.mean()) / x.std()).reshape(-1, 1, side, side), torch.tensor(labels.astype("int64"))


def _divided(x: Tensor, y: Tensor, share: float, seed: int) -> Split:
    rest, test = train_test_split(range(len(y)), test_size=share, random_state=seed, stratify=y)
    return Split(x[rest], y[rest], x[test], y[test])
