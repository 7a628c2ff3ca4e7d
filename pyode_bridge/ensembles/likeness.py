"""The order of points in which neighbours are alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def order_of_likeness(points: Tensor, size: int) -> Tensor:
    """The numbers of points, shape ``(B, d)``, in an order in which about ``size`` neighbours are close to each other.

    All are cut in two where they spread the most, and so on with both halves, as long as these are larger. What counts
    is how far apart points are in each coordinate, for the spread of that over all.
    """
    count = len(points)
    cuts = (-(-count // size) - 1).bit_length()
    numbers = np.arange(-(-count >> cuts) << cuts) if cuts else np.arange(count)
    rows = np.take(_scaled(points), np.minimum(numbers, count - 1), axis=1)
    for cut in range(cuts):
        groups = 1 << cut
        within = rows.reshape(len(rows), groups, -1)
        widest = (within.max(axis=2) - within.min(axis=2)).argmax(axis=0)
        length = within.shape[2]
        halves = np.argpartition(within[widest, np.arange(groups)], length // 2, axis=1)
        places = (halves + np.arange(groups)[:, None] * length).ravel()
        numbers, rows = numbers[places], np.take(rows, places, axis=1)
    return torch.from_numpy(numbers[numbers < count])


def _scaled(points: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Coordinate by coordinate, each with a spread of about one."""
    rows = points.float().T.contiguous()
    spread = rows.std(dim=1, correction=0, keepdim=True)
    return (rows / torch.where(spread > 0, spread, 1)).cpu().numpy()
