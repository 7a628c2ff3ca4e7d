"""What a walk has read of what may change, so that a later one need not go the same way."""

from __future__ import annotations

import types
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter, is_
from typing import Any

from torch import Tensor

_GONE = object()
_parts = attrgetter("__code__", "__defaults__", "__kwdefaults__")  # of a function
_content = attrgetter("cell_contents")
_layout = attrgetter("shape", "dtype", "device", "grad_fn")


class Watch:
    """Everything that may change of what a walk has met, as it was then.

    Values that cannot change are compared by identity where they are held, and kept alive, so that no other takes their
    place; not so the root, from which the walk began. Contents of arrays cannot be watched. Nor are tensors that
    autograd has computed, which are not to live longer for being looked at.
    """

    def __init__(self, root: Any) -> None:
        self.is_possible = True
        self._root = id(root)
        self._held: list[Any] = []  # sequences, and views of dictionaries, with their items one after another
        self._sizes: list[int] = []
        self._items: list[Any] = []
        self._empty: list[Any] = []
        self._lookups: list[tuple[Mapping[str, Any], str, Any]] = []
        self._functions: list[types.FunctionType] = []
        self._parts: list[Any] = []
        self._parts_of_root: tuple[Any, ...] | None = None
        self._cells: list[types.CellType] = []
        self._contents: list[Any] = []
        self._objects: list[Any] = []
        self._kinds: list[type] = []
        self._root_kind = type(root)
        self._tensors: list[Tensor] = []
        self._layouts: list[Any] = []
        self._strides: list[tuple[int, ...]] = []

    def items(self, held: Any) -> None:
        """A list, or another sequence whose items may be others."""
        self._held.append(held)
        self._sizes.append(len(held))
        self._items += held

    def mapping(self, mapping: Mapping[Any, Any]) -> None:
        """A dictionary, or the variables of a class."""
        if not mapping:
            self._empty.append(mapping)
            return
        self.items(mapping.keys())
        self.items(mapping.values())

    def lookup(self, names: Mapping[str, Any], name: str) -> None:
        """A name among others that do not matter."""
        self._lookups.append((names, name, names.get(name, _GONE)))

    def function(self, function: types.FunctionType) -> None:
        """What may be assigned of a function, and what its closure holds."""
        if id(function) == self._root:
            self._parts_of_root = _parts(function)
        else:
            self._functions.append(function)
            self._parts += _parts(function)
        cells = function.__closure__ or ()
        self._cells += cells
        try:
            self._contents += map(_content, cells)
        except ValueError:  # one is not assigned yet
            self.is_possible = False

    def object(self, value: Any) -> None:
        """The class of an object, which may be assigned."""
        if id(value) != self._root:
            self._objects.append(value)
            self._kinds.append(type(value))

    def tensor(self, tensor: Tensor) -> None:
        """What a key has of a tensor of numbers."""
        self.is_possible &= tensor.grad_fn is None
        self._tensors.append(tensor)
        self._layouts += _layout(tensor)
        self._strides.append(tensor.stride())

    def holds(self, root: Any) -> bool:
        """Whether all of it is as it was; in loops of C, as it is asked at each solve."""
        return (
            type(root) is self._root_kind
            and not any(self._empty)
            and all(map(is_, map(type, self._objects), self._kinds))
            and list(map(len, self._held)) == self._sizes
            and all(map(is_, chain.from_iterable(self._held), self._items))
            and all(names.get(name, _GONE) is value for names, name, value in self._lookups)
            and all(map(is_, chain.from_iterable(map(_parts, self._functions)), self._parts))
            and (self._parts_of_root is None or all(map(is_, _parts(root), self._parts_of_root)))
            and (not self._cells or self._cells_hold())
            and list(chain.from_iterable(map(_layout, self._tensors))) == self._layouts
            and list(map(Tensor.stride, self._tensors)) == self._strides
        )

    def _cells_hold(self) -> bool:
        try:
            return all(map(is_, map(_content, self._cells), self._contents))
        except ValueError:  # one is not assigned any more
            return False
