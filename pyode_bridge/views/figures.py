"""A solution drawn with matplotlib: against the time, in a phase plane, or where it has settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyode_bridge.views.axes import MOST_NAMED, lines, named, pair, ready
from pyode_bridge.views.components import Components
from pyode_bridge.views.course import Course
from pyode_bridge.views.curves import curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 100  # of a curve, beyond which they run together
RING: dict[str, Any] = {"linestyle": "none", "marker": "o", "markerfacecolor": "none", "markersize": 7}
DASHES = (":", "-.", "--", "-")  # of the first events, and of those that follow


def over_time(course: Course, ax: Axes | None) -> Axes:
    """Each component against the time; a ring and a broken line for each event."""
    ax, drawn = ready(ax), curves(course.y)
    made = lines(ax, course.t, drawn, marker=_marker(course))
    seen: set[int] = set()
    for mark in course.marks:
        label = "_" if mark.index in seen else f"event {mark.index}"
        ax.axvline(mark.t, color="0.5", linewidth=1, linestyle=DASHES[mark.index % len(DASHES)], label=label, zorder=0)
        for line, curve in zip(made, curves(mark.before), strict=True):
            ax.plot(mark.t, curve.values, color=line.get_color(), label="_", **RING)
        seen.add(mark.index)
    return named(ax, "t", drawn)


def phase_plane(course: Course, ax: Axes | None) -> Axes:
    """One component against another; a ring for each event."""
    ax, (x, y) = ready(ax), pair(curves(course.y))
    ax.plot(x.values, y.values, marker=_marker(course), label="_")
    for index in sorted({mark.index for mark in course.marks}):
        at = [[curve.values for curve in curves(mark.before)] for mark in course.marks if mark.index == index]
        ax.plot(*zip(*at, strict=True), label=f"event {index}", **RING)
    return named(ax, x.name, [y])


def at_rest(y: Components, ax: Axes | None) -> Axes:
    """A point for each component of a state that stands still."""
    ax, drawn = ready(ax), curves(y)
    ax.plot(range(len(drawn)), [curve.values.item() for curve in drawn], "o")
    if len(drawn) <= MOST_NAMED:
        ax.set_xticks(range(len(drawn)), labels=[curve.name for curve in drawn])
    ax.set(xlabel="component", ylabel="steady state")
    ax.margins(0.1)
    return ax


def _marker(course: Course) -> str | None:
    """Points, where nothing is known of what lies between them."""
    return None if course.smooth or course.t.size > MOST_POINTS else "."
