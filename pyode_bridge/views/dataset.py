"""A solution as a dataset of xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyode_bridge.views.components import Array
from pyode_bridge.views.extras import imported

if TYPE_CHECKING:
    import xarray


def dataset(
    t: Array, leaves: Mapping[str, Array], lead: tuple[str, ...], attributes: Mapping[str, str]
) -> xarray.Dataset:
    """A variable for each tensor of the state.

    Args:
        t: times, shape ``(T,)``.
        leaves: the values of each tensor, by its name.
        lead: names of their first dimensions, ``t`` first; the others are named after the tensor and their place.
        attributes: what is to be said of all.
    """
    xr = imported("xarray", extra="xarray", view="to_xarray")
    variables = {
        name: ([*lead, *(f"{name}_dim_{place}" for place in range(leaf.ndim - len(lead)))], leaf)
        for name, leaf in leaves.items()
    }
    made: xarray.Dataset = xr.Dataset(variables, coords={"t": t}, attrs=dict(attributes))
    return made
