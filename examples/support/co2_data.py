"""The CO2 measured on Mauna Loa, weekly, 1958-2001 (Keeling and Whorf, Scripps Institution of Oceanography)."""

from __future__ import annotations

import math

import statsmodels.api as sm
import torch
from torch import Tensor

EPOCH = 1980.0
HARMONICS = 4  # of the seasons


def weekly() -> tuple[Tensor, Tensor]:
    """Every week from the first to the last: the year with its fraction, and ppm, NaN where nothing was measured."""
    series = sm.datasets.co2.load_pandas().data["co2"]
    dates = series.index.to_numpy()
    first = dates.astype("datetime64[Y]")
    year = torch.tensor(first.astype(int) + 1970 + (dates - first) / ((first + 1).astype(dates.dtype) - first))
    return year, torch.tensor(series.to_numpy(dtype=float))


def design(t: Tensor, degree: int) -> Tensor:
    """Columns of a polynomial trend and of the seasons, for times in years."""
    angle = 2 * math.pi * torch.arange(1, HARMONICS + 1) * t[:, None]
    return torch.cat([(t[:, None] / 10) ** torch.arange(degree + 1), angle.sin(), angle.cos()], dim=1)
