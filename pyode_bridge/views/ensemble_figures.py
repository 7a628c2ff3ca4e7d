"""An ensemble drawn with matplotlib: as bands against the time, or trajectory by trajectory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyode_bridge.errors import InputError
from pyode_bridge.views.axes import lines, named, pair, ready
from pyode_bridge.views.components import Array
from pyode_bridge.views.course import Course
from pyode_bridge.views.curves import curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAINT: dict[str, Any] = {"linewidth": 1, "alpha": 0.5}


def bands(course: Course, band: float, ax: Axes | None) -> Axes:
    """The median of each component against the time, and the band in which that part of the trajectories lies.

    Raises InputError where ``band`` is not between 0 and 1.
    """
    _check(band)
    ax, drawn = ready(ax), curves(course.y)
    levels = [0.5, 0.5 - band / 2, 0.5 + band / 2]
    found = [_quantiles(curve.values, levels) for curve in drawn]
    medians = [replace(curve, values=each[0]) for curve, each in zip(drawn, found, strict=True)]
    for line, (_, low, high) in zip(lines(ax, course.t, medians), found, strict=True):
        label = f"{line.get_label()}, middle {band:.0%}"
        ax.fill_between(course.t, low, high, color=line.get_color(), alpha=0.25, linewidth=0, label=label)
        line.set_label(f"{line.get_label()}, median")
    return named(ax, "t", drawn)


def _quantiles(values: Array, levels: list[float]) -> Array:
    """Over the trajectories that have values at a time; NaN where none has."""
    some = ~np.isnan(values).all(axis=1)
    found = np.full((len(levels), len(values)), np.nan)
    found[:, some] = np.nanquantile(values[some], levels, axis=1)
    return found


def trajectories(course: Course, ax: Axes | None) -> Axes:
    """Each component of each trajectory against the time."""
    ax, drawn = ready(ax), curves(course.y)
    firsts = [replace(curve, values=curve.values[:, 0]) for curve in drawn]
    for line, curve in zip(lines(ax, course.t, firsts, **FAINT), drawn, strict=True):
        style = {"color": line.get_color(), "linestyle": line.get_linestyle(), "label": "_", **FAINT}
        ax.plot(course.t, curve.values[:, 1:], **style)
    return named(ax, "t", drawn)


def phase_planes(course: Course, ax: Axes | None) -> Axes:
    """One component against another, for each trajectory."""
    ax, (x, y) = ready(ax), pair(curves(course.y))
    ax.plot(x.values, y.values, color=ax.plot([], [])[0].get_color(), label="_", **FAINT)
    return named(ax, x.name, [y])


def _check(band: Any) -> None:
    if isinstance(band, bool) or not isinstance(band, (int, float)) or not 0 < band < 1:
        raise InputError(
            f"band is {band!r}; expected the part of the trajectories that it holds, such as 0.9, or None to draw each."
        )
