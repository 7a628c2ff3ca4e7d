"""The record: what is held out of it, and what of its windows is read and learnt from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from examples.support.co2_data import weekly
from pyode_bridge.models import Series

WEEK = 7 / 365.25 * 2 * math.pi  # models count time in radians of the year
CONTEXT, HORIZON = 156, 104  # weeks
WINDOW = CONTEXT + HORIZON
EVERY = 4  # weeks, of which one is drawn
CENTRE = 132  # where in its window a run to fill begins
AHEAD = 5  # years held out at the end
RUNS, SHORTEST, LONGEST = 30, 4, 16  # weeks held out before
SPACING = 20  # weeks from the first of a run to the first of the next, at least
EDGES = 152, 240  # weeks of that time without such runs at its begin and end
HIDDEN_RUN = 40  # weeks hidden in training, at most
CENTRAL, SCALE = 330.0, 3.0  # ppm that models see as 0, and ppm that they see as 1, about the seasonal swing


@dataclass(frozen=True)
class Record:
    """Every week from the first to the last: ``year`` and ``ppm`` ``(W,)``, NaN where nothing was measured.

    ``fill`` and ``ahead`` mark measured weeks that are held out, to fill and to forecast, the latter those of AHEAD
    years ``since`` a New Year; ``learn`` the others; ``runs`` are the first weeks and the lengths of the runs to fill.
    """

    year: Tensor
    ppm: Tensor
    learn: Tensor
    fill: Tensor
    ahead: Tensor
    runs: Tensor
    since: int


def load(seed: int, since: int) -> Record:
    """The record until AHEAD years ``since``, with runs to fill that are drawn by ``seed``."""
    year, ppm = weekly()
    until = year < since + AHEAD
    year, ppm = year[until], ppm[until]
    measured, ahead = ~torch.isnan(ppm), year >= since
    random = torch.Generator().manual_seed(seed)
    places = torch.randperm((int((~ahead).sum()) - sum(EDGES)) // SPACING, generator=random)[:RUNS]
    starts = EDGES[0] + SPACING * places.sort().values
    lengths = torch.randint(SHORTEST, LONGEST + 1, (RUNS,), generator=random)
    fill = torch.zeros_like(measured)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        fill[start : start + length] = True
    fill &= measured
    runs = torch.stack([starts, lengths], dim=1)
    return Record(year, ppm, measured & ~fill & ~ahead, fill, measured & ahead, runs, since)


def window(record: Record, starts: Tensor, weeks: Tensor, readable: Tensor) -> Series:
    """What is readable at ``weeks`` of the windows that begin at ``starts``.

    ``readable`` is a mask over the weeks of the record; a window may reach beyond its end.
    """
    at = starts[:, None] + weeks
    inside = at.clamp(max=len(record.ppm) - 1)
    return scaled(record, inside, weeks, readable[inside] & (at == inside))


def scaled(record: Record, at: Tensor, weeks: Tensor, mask: Tensor) -> Series:
    """The masked weeks ``at`` of the record, ``(B, N)``, as a series whose times are those of ``weeks``."""
    x = ((record.ppm[at] - CENTRAL) / SCALE).float()
    return Series.of((weeks * WEEK).float(), x[..., None], mask[..., None])


def draw_batch(record: Record, size: int) -> tuple[Series, Series]:
    """What the encoder reads, and the whole of the same windows."""
    last = int(record.learn.nonzero()[-1]) - WINDOW
    starts = torch.randint(0, last + 1, (size,))
    weeks = torch.arange(0, WINDOW, EVERY) + torch.randint(0, EVERY, (WINDOW // EVERY,))
    length = torch.randint(1, HIDDEN_RUN + 1, (size, 1))
    begin = (torch.rand(size, 1) * (WINDOW - length)).long()
    to_the_end = torch.rand(size, 1) < 0.5
    begin = torch.where(to_the_end, CONTEXT, begin)
    length = torch.where(to_the_end, HORIZON, length)
    hidden = (weeks >= begin) & (weeks < begin + length)
    at = starts[:, None] + weeks
    return scaled(record, at, weeks, record.learn[at] & ~hidden), scaled(record, at, weeks, record.learn[at])


def real_gaps(record: Record) -> Tensor:
    """First weeks and lengths, ``(G, 2)``, of the gaps of SHORTEST to HIDDEN_RUN weeks in the record itself."""
    missing = torch.isnan(record.ppm).long()
    change = torch.diff(missing, prepend=missing.new_zeros(1), append=missing.new_zeros(1))
    starts = (change == 1).nonzero()[:, 0]
    lengths = (change == -1).nonzero()[:, 0] - starts
    usable = (lengths >= SHORTEST) & (lengths <= HIDDEN_RUN) & (starts >= CENTRE)
    return torch.stack([starts, lengths], dim=1)[usable]
