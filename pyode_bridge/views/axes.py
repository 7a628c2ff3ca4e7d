"""What figures have in common: axes, lines and legends of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyode_bridge.errors import InputError
from pyode_bridge.views.components import Array
from pyode_bridge.views.curves import Curve
from pyode_bridge.views.extras import imported

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MOST_CURVES = 100
MOST_COLOURS = 10  # that matplotlib has in its cycle
MOST_NAMED = 20  # curves in a legend


def ready(ax: Axes | None) -> Axes:
    """The axes to draw into: those given, else those of a new figure."""
    pyplot = imported("matplotlib.pyplot", extra="plot", view="plot")
    if ax is not None:
        return ax
    made: Axes = pyplot.subplots(layout="constrained")[1]
    return made


def lines(ax: Axes, x: Array, drawn: Sequence[Curve], **style: Any) -> list[Line2D]:
    """A line for each curve: each component in a colour of its own, its imaginary part dashed.

    Raises InputError where there are more than anyone can tell apart.
    """
    if len(drawn) > MOST_CURVES:
        raise InputError(
            f"There are {len(drawn)} curves to draw, and {MOST_CURVES} are the most; choose components by name or "
            "position, such as plot([0, 1])."
        )
    made: list[Line2D] = []
    for curve in drawn:
        dashes = "--" if curve.imaginary else "-"
        colour = made[-1].get_color() if curve.imaginary else _colour(curve.component, 1 + drawn[-1].component)
        made += ax.plot(x, curve.values, dashes, color=colour, label=curve.name, **style)
    return made


def named(ax: Axes, x: str, drawn: Sequence[Curve]) -> Axes:
    """With names at the axes, and a legend of what has labels, but for a crowd."""
    ax.set_xlabel(x)
    if len(drawn) == 1:
        ax.set_ylabel(drawn[0].name)
    labels = ax.get_legend_handles_labels()[1]
    if len(drawn) <= MOST_NAMED and len(labels) > 1:
        ax.legend(fontsize="small", ncols=1 + len(labels) // MOST_COLOURS)
    return ax


def pair(drawn: Sequence[Curve]) -> tuple[Curve, Curve]:
    """The two curves of a phase plane; raises InputError where there are more, or less."""
    if len(drawn) != 2:
        raise InputError(
            f"A phase plane has two axes, but there are {len(drawn)} curves; choose two components by name or "
            "position, such as plot([0, 1], phase=True), or one that is complex."
        )
    return drawn[0], drawn[1]


def _colour(place: int, count: int) -> Any:
    """The next of the axes' own, or, of many, one from a scale."""
    if count <= MOST_COLOURS:
        return None
    return imported("matplotlib.pyplot", extra="plot", view="plot").cm.viridis(place / count)
