"""The components of a state, each under the name by which code takes it out: ``y[0]``, ``y[1, 2]``, ``velocity[0]``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyode_bridge.errors import InputError, near_names
from pyode_bridge.problem.state import State

Array: TypeAlias = npt.NDArray[Any]
Components: TypeAlias = Mapping[str, Array]
Chosen: TypeAlias = int | str | Sequence[int | str]


def leaves(y: State) -> dict[str, Array]:
    """The tensors of a state: a single one as ``y``, those of a tuple as ``y[0]``, those of a dict by their keys."""
    if isinstance(y, Tensor):
        return {"y": as_array(y)}
    items = y.items() if isinstance(y, Mapping) else enumerate(y)
    return {_name(key): as_array(leaf) for key, leaf in items}


def components(y: State, lead: int) -> dict[str, Array]:
    """The values of each component, of the state's first ``lead`` dimensions: times, then trajectories."""
    return {
        f"{name}[{', '.join(map(str, place))}]" if place else name: leaf[(..., *place)]
        for name, leaf in leaves(y).items()
        for place in np.ndindex(leaf.shape[lead:])
    }


def chosen(found: Components, wanted: Chosen | None) -> Components:
    """Those that were asked for; raises InputError for what is none of them, and where none is.

    Args:
        found: all components.
        wanted: positions, names of components, names of tensors for all of their components; None for all.
    """
    if wanted is None:
        return found
    asked = [wanted] if isinstance(wanted, int | str) else wanted
    if not asked:
        raise InputError("No component is asked for; give names or positions, or None for all of them.")
    names = chain.from_iterable(_named(found, one) for one in asked)
    return {name: found[name] for name in names}


def as_array(tensor: Tensor) -> Array:
    """A copy of its values; NumPy has no bfloat16, and gets float32."""
    values = tensor.detach().cpu()
    found: Array = (values.float() if values.dtype == torch.bfloat16 else values).numpy().copy()
    return found


def _name(key: Hashable) -> str:
    return key if isinstance(key, str) else f"y[{key!r}]"


def _named(found: Components, wanted: Any) -> list[str]:
    names = list(found)
    if isinstance(wanted, str):
        of_one = [name for name in names if name == wanted] or [name for name in names if name.startswith(f"{wanted}[")]
        if not of_one:
            raise InputError(f"There is no component {wanted!r}; {_known(names)}.{near_names(wanted, names)}")
        return of_one
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not -len(names) <= wanted < len(names):
        raise InputError(f"There is no component {wanted!r}; {_known(names)}, by name or by position from 0.")
    return [names[wanted]]


def _known(names: Sequence[str]) -> str:
    shown = names if len(names) <= 6 else [*names[:3], "...", names[-1]]
    return f"the state has {', '.join(shown)}"
