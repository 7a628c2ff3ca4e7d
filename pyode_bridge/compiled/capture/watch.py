"""What a walk has read of what may change, so that a later one need not go the same way."""

from __future__ import annotations

import types
from collections.abc import Mapping
from itertools import chain
from operator import is_
from typing import Any

from torch import Tensor

_GONE = object()


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
        self._functions: list[tuple[types.FunctionType | None, tuple[Any, ...]]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._objects: list[Any] = []
        self._kinds: list[type] = []
        self._root_kind = type(root)
        self._tensors: list[Tensor] = []
        self._layouts: list[tuple[Any, ...]] = []

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
        self._functions.append((self._but_root(function), _parts_of(function)))
        self._cells += ((cell, _content(cell)) for cell in function.__closure__ or ())

    def object(self, value: Any) -> None:
        """The class of an object, which may be assigned."""
        if id(value) != self._root:
            self._objects.append(value)
            self._kinds.append(type(value))

    def tensor(self, tensor: Tensor) -> None:
        """What a key has of a tensor of numbers."""
        self.is_possible &= tensor.grad_fn is None
        self._tensors.append(tensor)
        self._layouts.append(_layout(tensor))

    def _but_root(self, value: Any) -> Any:
        return None if id(value) == self._root else value

    def holds(self, root: Any) -> bool:
        """Whether all of it is as it was."""
        return (
            type(root) is self._root_kind
            and not any(self._empty)
            and all(map(is_, map(type, self._objects), self._kinds))
            and list(map(len, self._held)) == self._sizes
            and all(map(is_, chain.from_iterable(self._held), self._items))
            and all(names.get(name, _GONE) is value for names, name, value in self._lookups)
            and all(self._is_same(function or root, parts) for function, parts in self._functions)
            and all(_content(cell) is content for cell, content in self._cells)
            and list(map(_layout, self._tensors)) == self._layouts
        )

    @staticmethod
    def _is_same(function: types.FunctionType, parts: tuple[Any, ...]) -> bool:
        return all(map(is_, _parts_of(function), parts))


def _parts_of(function: types.FunctionType) -> tuple[Any, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned
        return _GONE


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.grad_fn
