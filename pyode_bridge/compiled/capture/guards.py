"""Guards: what has to be the same for what was compiled of a function to serve it again.

A translation holds for as long as the function would be traced to the same graph. Everything that tracing reads is
either in the guards' key (code, attributes, closures, global variables, shapes) or handed over anew at each solve (the
values of tensors), so a changed attribute gives another key and changed weights do not.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.capture.walk import Identity, Walk
from pyode_bridge.compiled.capture.watch import Watch
from pyode_bridge.compiled.errors import UnsupportedDynamicsError


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Guards:
    """What a function depends on.

    Attributes:
        key: hashable; equal for functions that are traced to the same graph.
        tensors: those of floating-point and complex numbers, in the order of the walk, each once.
        exhaustive: whether nothing can change what the function computes without changing the key, as far as can be
            told; else it reaches an object of which the key knows the identity alone.
    """

    key: tuple[Any, ...]
    tensors: tuple[Tensor, ...]
    exhaustive: bool

    @property
    def code(self) -> frozenset[Any]:
        """The functions, classes and other objects by identity in the key: what it is apart from values and shapes."""
        return frozenset(part for part in self.key if isinstance(part, (type, Identity)))

    @property
    def computed(self) -> set[int]:
        """Indices of the tensors that were computed from others that require a gradient."""
        return {index for index, tensor in enumerate(self.tensors) if tensor.grad_fn is not None}

    def indices(self, tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
        """Where each of them is among those that were found; None where one is not."""
        by_identity = {id(tensor): index for index, tensor in enumerate(self.tensors)}
        try:
            return tuple(by_identity[id(tensor)] for tensor in tensors)
        except KeyError:
            return None


@dataclass(slots=True)
class _Found:
    """What was found of a function, what is watched of it, and what others note of it while that is as it was."""

    guards: Guards
    watch: Watch
    notes: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Met:
    """A function that was walked before, and what was found since it was met again."""

    func: weakref.ref[Any]
    found: _Found | None = None


MOST_MET = 64
_met: dict[int, _Met] = {}  # by identity; those of functions that are gone are removed


def guards_of(func: Any) -> Guards:
    """Walk ``func``, or find that all it reaches is as it was.

    Raises UnsupportedDynamicsError where it reaches something that no key can hold.
    """
    met = _met.get(id(func))
    if met is None or met.func() is not func:
        _meet(func)
        return _walked(func)[0]
    found = met.found
    if found is not None and found.watch.holds(func):
        return found.guards
    guards, watch = _walked(func)
    met.found = _Found(guards, watch) if watch.is_possible else None
    return guards


def notes_of(func: Any) -> tuple[Sequence[Tensor], dict[Any, Any]] | None:
    """The tensors that a function reaches, and what is noted of it; None where it has to be walked first.

    Notes are gone with the function, and where anything that it reaches is not as it was.
    """
    met = _met.get(id(func))
    if met is None or met.func() is not func or met.found is None or not met.found.watch.holds(func):
        return None
    return met.found.guards.tensors, met.found.notes


def _meet(func: Any) -> None:
    """Remember a function, to watch it from the next time on: many are used once."""
    number = id(func)
    try:
        _met[number] = _Met(weakref.ref(func, lambda _: _met.pop(number, None)))
    except TypeError:  # of a kind that cannot be referred to so
        return
    while len(_met) > MOST_MET:
        _met.pop(next(iter(_met)), None)


def _walked(func: Any) -> tuple[Guards, Watch]:
    try:
        walk = Walk(func)
    except RecursionError as error:
        raise UnsupportedDynamicsError("func reaches objects within objects, too many levels of them") from error
    return Guards(tuple(walk.key), tuple(walk.tensors), walk.exhaustive), walk.watch
