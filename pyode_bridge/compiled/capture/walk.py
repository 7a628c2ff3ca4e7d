"""The walk from a function through attributes, closures and global variables, which writes a key of what it meets."""

from __future__ import annotations

import collections
import enum
import functools
import types
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyode_bridge.compiled.capture.bytecode import globals_of, looks_elsewhere, names_of
from pyode_bridge.compiled.capture.classes import PLAIN, hides_state, members_of, own_classes
from pyode_bridge.compiled.capture.libraries import is_given, is_library
from pyode_bridge.compiled.capture.watch import Watch
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem import levels
from pyode_bridge.problem.state import is_dense

LARGEST_ARRAY = 4096  # elements of a NumPy array that is part of a key
MOST_PARTS = 20_000  # of a key

_BY_IDENTITY = (enum.Enum, type, types.ModuleType, types.BuiltinFunctionType)
_UNCHANGING = (enum.Enum, slice, np.ufunc, np.dtype)
_ORIGINAL = "_torchdynamo_orig_callable"  # of what torch.compile makes
_CONTAINERS = (tuple, list, dict, set, frozenset, collections.OrderedDict)
_EMPTY_MODULE = frozenset(vars(nn.Module()))
_MODULE_PARTS = (
    "training",
    "_parameters",
    "_buffers",
    "_modules",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class Identity:
    """An object as itself, kept alive so that no other takes its place."""

    __slots__ = ("_held",)

    def __init__(self, held: Any) -> None:
        self._held = held

    def __hash__(self) -> int:
        return id(self._held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other._held is self._held


class Walk:
    """A walk through all that a function, its ``root``, can reach; see `Guards` for what it gathers.

    Raises UnsupportedDynamicsError where it meets what no key can hold.
    """

    def __init__(self, root: Any) -> None:
        self.key: list[Any] = []
        self.tensors: list[Tensor] = []
        self.exhaustive = True
        self.watch = Watch(root)
        self._order: dict[int, int] = {}  # by identity, of objects and classes
        self._visited: list[Any] = []  # kept alive, so that no identity is given away during the walk
        self.visit(root)

    def visit(self, value: Any) -> None:
        """Add a value, and all that it holds, to the key."""
        kind = type(value)
        key = self.key
        if kind in PLAIN:
            key.append(kind)
            key.append(value)
            return
        if kind is float:
            key.append(kind)
            key.append(value if value == value else "nan")
            return
        before = self._order.get(id(value))
        if before is not None:
            key.append(("again", before))
            self.watch.is_possible &= before > 0  # what is walked from is not to be kept alive
            return
        self._order[id(value)] = len(self._order)
        self._visited.append(value)
        if len(key) > MOST_PARTS:
            raise UnsupportedDynamicsError(f"func reaches more than {MOST_PARTS} objects")
        if isinstance(value, Tensor):
            self._tensor(value)
        else:
            self._object(value, kind)

    def _tensor(self, tensor: Tensor) -> None:
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
            raise UnsupportedDynamicsError(f"func uses a {type(tensor).__name__}, a tensor of a kind of its own")
        if levels.is_wrapped(tensor):  # another is given in its place
            self.watch.is_possible = False
            self.key += (Tensor, "wrapped", tensor.shape, tensor.dtype)
            return
        if not _is_readable(tensor):
            raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.dtype} whose numbers cannot be read")
        self.key += (Tensor, tensor.shape, tensor.stride(), tensor.dtype, tensor.device.type)
        if tensor.is_floating_point() or (tensor.is_complex() and not tensor.is_conj()):
            self.tensors.append(tensor)
            self.watch.tensor(tensor)
        elif tensor.numel() > LARGEST_ARRAY:
            raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.numel()} whole numbers")
        else:  # an index or a mask: which operations follow may depend on it
            self.watch.is_possible = False
            self.key.append(_bytes(tensor))

    def _object(self, value: Any, kind: type) -> None:
        self.key.append(kind)
        if kind not in _CONTAINERS and issubclass(kind, _CONTAINERS):
            self.exhaustive = False  # it may have more than its items
        _visitor(kind)(self, value)

    def _script(self, script: Any) -> None:
        raise UnsupportedDynamicsError("func uses TorchScript, of which Python does not see what it reads")

    def _method(self, method: types.MethodType) -> None:
        self.visit(method.__self__)
        self.visit(method.__func__)

    def _partial(self, partial: functools.partial[Any]) -> None:
        self.visit(partial.func)
        self.visit(partial.args)
        self.visit(partial.keywords)

    def _count(self, items: int) -> None:
        self.key.append(items)
        if len(self.key) + items > MOST_PARTS:
            raise UnsupportedDynamicsError(f"func reaches more than {MOST_PARTS} objects")

    def _sequence(self, sequence: Sequence[Any]) -> None:
        self._count(len(sequence))
        if not isinstance(sequence, tuple):
            self.watch.items(sequence)
        for item in sequence:
            self.visit(item)

    def _set(self, items: Set[Any]) -> None:
        self._count(len(items))
        self.watch.is_possible = False
        for item in sorted(items, key=repr):
            self.visit(item)

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if array.size > LARGEST_ARRAY:
            raise UnsupportedDynamicsError(f"func uses a NumPy array of {array.size} elements; make it a tensor")
        self.watch.is_possible = False
        self.key += (array.shape, array.dtype.str, array.tobytes())

    def _scalar(self, scalar: np.generic) -> None:
        self.key.append(scalar.tobytes())

    def _by_identity(self, value: Any) -> None:
        self.key.append(Identity(value))
        if isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, Tensor):
            self.visit(value.__self__)
        self.exhaustive &= isinstance(value, _UNCHANGING) or _is_library_callable(value)

    def _mapping(self, mapping: Any) -> None:
        self._count(len(mapping))
        self.watch.mapping(mapping)
        for name, item in mapping.items():
            self.visit(name)
            self.visit(item)

    def _module(self, module: nn.Module) -> None:
        own = vars(module)
        self.watch.object(module)
        self.watch.mapping(own)
        for name in _MODULE_PARTS:
            part = own.get(name)
            if part or part is False:
                self.key.append(name)
                self._mapping(part) if isinstance(part, dict) else self.key.append(part)
            elif isinstance(part, dict):
                self.watch.mapping(part)
        if _ORIGINAL in own:
            self.visit(own[_ORIGINAL])
            return
        for name in sorted(own.keys() - _EMPTY_MODULE):
            self.key.append(name)
            self.visit(own[name])
        self._methods(type(module))

    def _instance(self, value: Any) -> None:
        if not hasattr(value, "__dict__"):
            if isinstance(value, Iterator):
                raise UnsupportedDynamicsError("func uses an iterator, which changes wherever it is used")
            self._by_identity(value)
            return
        self.watch.object(value)
        self._mapping(vars(value))
        self._methods(type(value))

    def _methods(self, kind: type) -> None:
        """The code of a class, and what it uses; once in a walk."""
        if id(kind) in self._order:
            return
        self._order[id(kind)] = len(self._order)
        self.exhaustive &= not hides_state(kind)
        for base in own_classes(kind):
            members = members_of(base)
            self.watch.mapping(vars(base))
            self.key += members.variables
            self.exhaustive &= members.plain
            for function in members.functions:
                self.visit(function)

    def _function(self, function: types.FunctionType) -> None:
        key, visit = self.key, self.visit
        if _ORIGINAL in vars(function):
            self.watch.mapping(vars(function))
            visit(vars(function)[_ORIGINAL])
            return
        names, code = function.__globals__, function.__code__
        self.watch.function(function)
        given = is_given(names.get("__name__"))
        key.append(Identity(code))
        self.exhaustive &= given or not looks_elsewhere(code)
        for value in (function.__defaults__, function.__kwdefaults__):
            if value:
                visit(value)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            visit(content)
        self._mapping(vars(function)) if vars(function) else self.watch.mapping(vars(function))
        for name in () if given else globals_of(code):
            self.watch.lookup(names, name)
            if name in names:
                key.append(name)
                self._named(names[name], names_of(code))

    def _named(self, value: Any, used: tuple[str, ...]) -> None:
        """A global variable: of a module or class, what the code names of it."""
        if not isinstance(value, (types.ModuleType, type)):
            self.visit(value)
            return
        self.key.append(Identity(value))
        if is_library(value):
            return
        self.exhaustive &= isinstance(value, types.ModuleType)  # what a class makes, its other methods make it of
        for name in used:
            self.watch.lookup(vars(value), name)
            if name in vars(value):
                self.key.append(name)
                self.visit(vars(value)[name])


_VISITORS: tuple[tuple[Any, Callable[[Walk, Any], None]], ...] = (
    ((torch.jit.ScriptModule, torch.jit.ScriptFunction, torch._C.ScriptMethod), Walk._script),
    (nn.Module, Walk._module),
    (types.FunctionType, Walk._function),
    (types.MethodType, Walk._method),
    (functools.partial, Walk._partial),
    ((tuple, list), Walk._sequence),
    (dict, Walk._mapping),
    ((set, frozenset), Walk._set),
    (np.ndarray, Walk._array),
    (np.generic, Walk._scalar),
    (_BY_IDENTITY, Walk._by_identity),
)


@functools.lru_cache(maxsize=1024)
def _visitor(kind: type) -> Callable[[Walk, Any], None]:
    """How objects of a type are walked."""
    return next((visitor for kinds, visitor in _VISITORS if issubclass(kind, kinds)), Walk._instance)


def _is_readable(tensor: Tensor) -> bool:
    """Whether its elements lie in memory: not those of a sparse tensor, nor those that are others' negatives."""
    if tensor.is_nested or not is_dense(tensor):
        return False
    return not (tensor.is_quantized or tensor.is_neg() or tensor._is_zerotensor())


def _bytes(tensor: Tensor) -> bytes:
    try:
        return tensor.detach().cpu().resolve_conj().resolve_neg().numpy().tobytes()
    except (RuntimeError, TypeError) as error:
        raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.dtype} whose numbers cannot be read") from error


def _is_library_callable(value: Any) -> bool:
    """Whether it is a class, a module or a function in C of a library."""
    if not isinstance(value, _BY_IDENTITY):
        return False
    if isinstance(value, types.BuiltinFunctionType) and not value.__module__:  # a method: of torch's functions
        value = value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
    return is_library(value)
