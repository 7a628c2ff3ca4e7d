"""Functions for other processes: pickled, their tensors apart, so that these may change and have gradients."""

from __future__ import annotations

import contextlib
import io
import pickle
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyode_bridge.errors import InputError

try:
    from cloudpickle import Pickler  # takes what is defined in a script or a function; dask, loky and Ray bring it
except ImportError:
    from pickle import Pickler

MOST_KEPT = 8  # objects, so that a worker neither unpickles nor translates again at each step of a training


@dataclass(frozen=True)
class Shipped:
    """An object without its tensors, as bytes that stay the same while the tensors' values change; and the tensors."""

    code: bytes
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, given: Any, name: str) -> Shipped:
        """Raises InputError where it cannot be pickled; ``name`` says what it is."""
        file, tensors = io.BytesIO(), _Tensors()
        pickler = _Pickler(file, tensors)
        try:
            pickler.dump(given)
        except Exception as error:  # what is pickled may refuse it in words of its own
            raise InputError(
                f"{name} cannot be sent to another process ({error}). Define functions and classes at the top level of "
                "a module, `pip install cloudpickle` for those that a script or a function defines, and keep what "
                "cannot be pickled, such as open files and locks, out of them."
            ) from error
        return cls(file.getvalue(), tuple(tensors.found))


@contextlib.contextmanager
def revived(code: bytes, values: Sequence[Tensor]) -> Iterator[tuple[Any, tuple[Tensor, ...]]]:
    """The object with its tensors, which have these values now.

    It is kept for the next time, unless it is another after its use: what it remembers may be out of date by then.
    """
    key = code, threading.get_ident()  # two threads may need different values at once
    kept = _kept.pop(key, None) or _unpickled(code)
    with torch.no_grad():
        for tensor, value in zip(kept.tensors, values, strict=True):
            tensor.copy_(value)
    yield kept.found, kept.tensors
    if _pickled(kept.found) == kept.code:
        _kept[key] = kept
        if len(_kept) > MOST_KEPT:
            _kept.pop(next(iter(_kept)), None)


@dataclass(frozen=True)
class _Kept:
    """What was unpickled, its tensors, and its own code, which is not to the byte what it came from."""

    found: Any
    tensors: tuple[Tensor, ...]
    code: bytes | None


_kept: dict[tuple[bytes, int], _Kept] = {}


def _unpickled(code: bytes) -> _Kept:
    unpickler = _Unpickler(io.BytesIO(code))
    found = unpickler.load()
    tensors = tuple(unpickler.tensors[place] for place in range(len(unpickler.tensors)))
    return _Kept(found, tensors, _pickled(found))


def _pickled(given: Any) -> bytes | None:
    """Its code, or None where it cannot be pickled."""
    try:
        return Shipped.of(given, "func").code
    except InputError:
        return None


class _Tensors:
    """Tensors by identity, each with its place."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []
        self._places: dict[int, int] = {}

    def place(self, tensor: Tensor) -> int:
        if id(tensor) not in self._places:
            self._places[id(tensor)] = len(self.found)
            self.found.append(tensor)
        return self._places[id(tensor)]


class _Pickler(Pickler):  # type: ignore[misc]
    """Writes a place and a form instead of a tensor."""

    def __init__(self, file: io.BytesIO, tensors: _Tensors) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors

    def persistent_id(self, given: Any) -> Any:
        if not isinstance(given, Tensor):
            return None
        kind = type(given) if isinstance(given, nn.Parameter) else None
        return self._tensors.place(given), kind, tuple(given.shape), given.dtype, given.device, given.requires_grad


class _Unpickler(pickle.Unpickler):
    """Makes leaves of autograd where tensors were."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.tensors: dict[int, Tensor] = {}

    def persistent_load(self, pid: Any) -> Tensor:
        place, kind, shape, dtype, device, wants_gradient = pid
        if place not in self.tensors:
            made = torch.zeros(shape, dtype=dtype, device=device)
            self.tensors[place] = made.requires_grad_(wants_gradient) if kind is None else kind(made, wants_gradient)
        return self.tensors[place]
