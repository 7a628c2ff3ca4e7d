"""Predictions of the weeks that were held out, by models and by trends with seasons."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from examples.studies.latent_ode_co2.record import (
    AHEAD,
    CENTRAL,
    CENTRE,
    CONTEXT,
    EVERY,
    SCALE,
    WEEK,
    WINDOW,
    Record,
    window,
)
from examples.support.co2_data import EPOCH, design
from pyode_bridge.models import LatentODE

TRENDS = {"linear trend + seasons": 1, "quadratic trend + seasons": 2}  # degrees
LINE = "straight line"  # across a run


@torch.no_grad()
def predict(model: nn.Module, record: Record, starts: Tensor, readable: Tensor, first: int, count: int) -> Tensor:
    """ppm at ``count`` weeks of each window from its week ``first`` on: the mean over readings of one week in EVERY.

    A latent ODE reads the whole window, an RNN what lies before ``first``, and goes on by the steps that it has learnt.
    """
    readings = []
    for offset in range(EVERY):
        if isinstance(model, LatentODE):
            read = window(record, starts, torch.arange(offset, WINDOW, EVERY), readable)
            values = model.predict(read, ((first + torch.arange(count)) * WEEK).float())[..., 0]
        else:
            read = window(record, starts, torch.arange(offset, first, EVERY), readable)
            values = torch.empty(len(starts), count)
            for ahead in range(EVERY):
                weeks = torch.arange(ahead, count, EVERY)
                values[:, weeks] = model.predict(read, ((first + weeks) * WEEK).float())[..., 0]
        readings.append(CENTRAL + SCALE * values.double())
    return torch.stack(readings).mean(dim=0)


def forecasts(models: dict[str, nn.Module], record: Record, years: int) -> dict[str, Tensor]:
    """Forecasts of all that is held out from the New Year of every so many ``years`` to the next such day."""
    found = {name: torch.full_like(record.ppm, math.nan) for name in (*models, *TRENDS)}
    for year in range(record.since, record.since + AHEAD, years):
        origin, end = (int((record.year < limit).sum()) for limit in (year, year + years))
        known = (record.learn | record.ahead) & (record.year < year)
        starts = torch.tensor([origin - CONTEXT])
        for name, model in models.items():
            found[name][origin:end] = predict(model, record, starts, known, CONTEXT, end - origin)[0]
        for name, degree in TRENDS.items():
            found[name][origin:end] = trend(record, known, degree)[origin:end]
    return found


def fillings(models: dict[str, nn.Module], record: Record, runs: Tensor) -> dict[str, Tensor]:
    """Every one of ``runs``, first weeks and lengths ``(R, 2)``, filled in; NaN elsewhere."""
    starts, lengths = runs.unbind(dim=1)
    weeks = torch.arange(len(record.ppm))
    found = {name: trend(record, record.learn, degree) for name, degree in TRENDS.items()}
    found[LINE] = torch.from_numpy(np.interp(weeks, weeks[record.learn], record.ppm[record.learn]))
    for name, model in models.items():
        found[name] = torch.full_like(record.ppm, math.nan)
        filled = predict(model, record, starts - CENTRE, record.learn, CENTRE, int(lengths.max()))
        for (start, length), values in zip(runs.tolist(), filled, strict=True):
            found[name][start : start + length] = values[:length]
    inside = ((weeks >= starts[:, None]) & (weeks < (starts + lengths)[:, None])).any(dim=0)
    return {name: torch.where(inside, found[name], math.nan) for name in (*models, *TRENDS, LINE)}


def trend(record: Record, known: Tensor, degree: int) -> Tensor:
    """Polynomial and seasons, fitted to the weeks that are known by least squares, at every week."""
    columns = design(record.year - EPOCH, degree)
    return (columns @ torch.linalg.lstsq(columns[known], record.ppm[known][:, None]).solution)[:, 0]


def rmse(found: dict[str, Tensor], record: Record, weeks: Tensor) -> dict[str, float]:
    return {name: (values - record.ppm)[weeks].square().mean().sqrt().item() for name, values in found.items()}
