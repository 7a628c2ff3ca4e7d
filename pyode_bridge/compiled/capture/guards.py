"""What a function depends on: a key of all that it can reach, and the tensors on the way.

A translation holds for as long as the function would be traced to the same graph. Everything that tracing reads is
either in the key (code, attributes, closures, global variables, shapes) or handed over anew at each solve (the values
of tensors), so a changed attribute gives another key and changed weights do not.
"""

from __future__ import annotations

import collections
import enum
import functools
import operator
import types
import weakref
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyode_bridge.compiled.capture.bytecode import looks_elsewhere, names_of
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.state import is_dense

# Their code is taken as given: what it does may depend on arguments, attributes and closures, which may hold a user's
# functions and objects, but on no global variable that changes.
_GIVEN = frozenset(
    {
        "torch",
        "numpy",
        "math",
        "cmath",
        "builtins",
        "functools",
        "operator",
        "itertools",
        "typing",
        "contextlib",
        "pyode_bridge",
    }
)
LARGEST_ARRAY = 4096  # elements of a NumPy array that is part of a key
LARGEST_REACH = 20_000  # parts of a key

_PLAIN = frozenset(
    {int, bool, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size, range, type(...)}
)
_BY_IDENTITY = (enum.Enum, type, types.ModuleType, types.BuiltinFunctionType)
_UNCHANGING = (enum.Enum, slice, np.ufunc, np.dtype)
_DESCRIPTORS = (types.FunctionType, property, staticmethod, classmethod, types.GetSetDescriptorType)
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


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Reach:
    """What was found.

    Attributes:
        key: hashable; equal for functions that are traced to the same graph.
        tensors: those of floating-point numbers, in the order of the walk, each once.
        whole: whether nothing can change what the function computes without changing the key, as far as can be told;
            else it reaches an object of which the key knows the identity alone.
        complexes: tensors of complex numbers that require a gradient; their values are in the key.
    """

    key: tuple[Any, ...]
    tensors: tuple[Tensor, ...]
    whole: bool
    complexes: tuple[Tensor, ...] = ()

    @property
    def computed(self) -> set[int]:
        """Places of the tensors that were computed from others that require a gradient."""
        return {place for place, tensor in enumerate(self.tensors) if tensor.grad_fn is not None}

    def places(self, tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
        """Where each of them is among those that were found; None where one is not."""
        by_identity = {id(tensor): place for place, tensor in enumerate(self.tensors)}
        try:
            return tuple(by_identity[id(tensor)] for tensor in tensors)
        except KeyError:
            return None


def reach(func: Callable[..., Any]) -> Reach:
    """Walk ``func``; raises UnsupportedDynamicsError where it reaches something that no key can hold."""
    walk = _Walk()
    try:
        walk.visit(func)
    except RecursionError as error:
        raise UnsupportedDynamicsError("func reaches objects within objects, too many levels of them") from error
    return Reach(tuple(walk.key), tuple(walk.tensors), walk.whole, tuple(walk.complexes))


def _bytes(tensor: Tensor) -> bytes:
    try:
        return tensor.detach().cpu().resolve_conj().resolve_neg().numpy().tobytes()
    except (RuntimeError, TypeError) as error:
        raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.dtype} whose numbers cannot be read") from error


class _Identity:
    """An object as itself, kept alive so that no other takes its place."""

    __slots__ = ("_held",)

    def __init__(self, held: Any) -> None:
        self._held = held

    def __hash__(self) -> int:
        return id(self._held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._held is self._held


class _Walk:
    def __init__(self) -> None:
        self.key: list[Any] = []
        self.tensors: list[Tensor] = []
        self.complexes: list[Tensor] = []
        self.whole = True
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no identity is given away during the walk

    def visit(self, value: Any) -> None:
        kind = type(value)
        key = self.key
        if kind in _PLAIN:
            key.append(kind)
            key.append(value)
            return
        if kind is float:
            key.append(kind)
            key.append(value if value == value else "nan")
            return
        place = self._seen.get(id(value))
        if place is not None:
            key.append(("again", place))
            return
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if len(key) > LARGEST_REACH:
            raise UnsupportedDynamicsError(f"func reaches more than {LARGEST_REACH} objects")
        if isinstance(value, Tensor):
            self._tensor(value)
        else:
            self._object(value, kind)

    def _tensor(self, tensor: Tensor) -> None:
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
            raise UnsupportedDynamicsError(f"func uses a {type(tensor).__name__}, a tensor of a kind of its own")
        if not _is_readable(tensor):
            raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.dtype} whose numbers cannot be read")
        self.key += (Tensor, tensor.shape, tensor.stride(), tensor.dtype, tensor.device.type)
        if tensor.is_floating_point():
            self.tensors.append(tensor)
        elif tensor.numel() > LARGEST_ARRAY:
            raise UnsupportedDynamicsError(f"func uses a tensor of {tensor.numel()} whole or complex numbers")
        else:  # an index or a mask: which operations follow may depend on it
            if tensor.requires_grad:
                self.complexes.append(tensor)
            self.key.append(_bytes(tensor))

    def _object(self, value: Any, kind: type) -> None:
        self.key.append(kind)
        if kind not in _CONTAINERS and issubclass(kind, _CONTAINERS):
            self.whole = False  # it may have more than its items
        _way(kind)(self, value)

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
        if len(self.key) + items > LARGEST_REACH:
            raise UnsupportedDynamicsError(f"func reaches more than {LARGEST_REACH} objects")

    def _sequence(self, sequence: Sequence[Any]) -> None:
        self._count(len(sequence))
        for item in sequence:
            self.visit(item)

    def _set(self, items: Set[Any]) -> None:
        self._count(len(items))
        for item in sorted(items, key=repr):
            self.visit(item)

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if array.size > LARGEST_ARRAY:
            raise UnsupportedDynamicsError(f"func uses a NumPy array of {array.size} elements; make it a tensor")
        self.key += (array.shape, array.dtype.str, array.tobytes())

    def _scalar(self, scalar: np.generic) -> None:
        self.key.append(scalar.tobytes())

    def _by_identity(self, value: Any) -> None:
        self.key.append(_Identity(value))
        if isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, Tensor):
            self.visit(value.__self__)
        self.whole &= isinstance(value, _UNCHANGING) or _is_library_callable(value)

    def _mapping(self, mapping: Any) -> None:
        self._count(len(mapping))
        for name, item in mapping.items():
            self.visit(name)
            self.visit(item)

    def _module(self, module: nn.Module) -> None:
        own = vars(module)
        for name in _MODULE_PARTS:
            part = own.get(name)
            if part or part is False:
                self.key.append(name)
                self._mapping(part) if isinstance(part, dict) else self.key.append(part)
        if _ORIGINAL in own:
            self.visit(own[_ORIGINAL])
            return
        for name in sorted(own.keys() - _EMPTY_MODULE):
            self.key.append(name)
            self.visit(own[name])
        self._methods(type(module))

    def _instance(self, value: Any) -> None:
        if not hasattr(value, "__dict__"):
            self._by_identity(value)
            return
        self._mapping(vars(value))
        self._methods(type(value))

    def _methods(self, kind: type) -> None:
        """The code of a class, and what it uses; once in a walk."""
        if id(kind) in self._seen:
            return
        self._seen[id(kind)] = len(self._seen)
        self.whole &= not _hides_state(kind)
        for base in _own_classes(kind):
            members = _members_of(base)
            self.key += members.variables
            self.whole &= members.plain
            for function in members.functions:
                self.visit(function)

    def _function(self, function: types.FunctionType) -> None:
        key, visit = self.key, self.visit
        if _ORIGINAL in vars(function):
            visit(vars(function)[_ORIGINAL])
            return
        names, code = function.__globals__, function.__code__
        given = _is_given(names.get("__name__"))
        key.append(_Identity(code))
        self.whole &= given or not looks_elsewhere(code)
        for value in (function.__defaults__, function.__kwdefaults__):
            if value:
                visit(value)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            visit(content)
        if vars(function):
            self._mapping(vars(function))
        used = () if given else names_of(code)
        for name in used:
            if name in names:
                key.append(name)
                self._named(names[name], used)

    def _named(self, value: Any, used: tuple[str, ...]) -> None:
        """A global variable: of a module or class, what the code names of it."""
        if not isinstance(value, (types.ModuleType, type)):
            self.visit(value)
            return
        self.key.append(_Identity(value))
        if _is_library(value):
            return
        self.whole &= isinstance(value, types.ModuleType)  # what a class makes, its other methods make it of
        for name in used:
            if name in vars(value):
                self.key.append(name)
                self.visit(vars(value)[name])


_WAYS: tuple[tuple[Any, Callable[[_Walk, Any], None]], ...] = (
    ((torch.jit.ScriptModule, torch.jit.ScriptFunction, torch._C.ScriptMethod), _Walk._script),
    (nn.Module, _Walk._module),
    (types.FunctionType, _Walk._function),
    (types.MethodType, _Walk._method),
    (functools.partial, _Walk._partial),
    ((tuple, list), _Walk._sequence),
    (dict, _Walk._mapping),
    ((set, frozenset), _Walk._set),
    (np.ndarray, _Walk._array),
    (np.generic, _Walk._scalar),
    (_BY_IDENTITY, _Walk._by_identity),
)


@functools.lru_cache(maxsize=1024)
def _way(kind: type) -> Callable[[_Walk, Any], None]:
    """How objects of a type are walked."""
    return next((way for kinds, way in _WAYS if issubclass(kind, kinds)), _Walk._instance)


def _is_readable(tensor: Tensor) -> bool:
    """Whether its elements lie in memory: not those of a sparse tensor, nor those that are others' negatives."""
    if tensor.is_nested or not is_dense(tensor):
        return False
    return not (tensor.is_quantized or tensor.is_neg() or tensor._is_zerotensor())


def _is_library(value: Any) -> bool:
    return _is_given(value.__name__ if isinstance(value, types.ModuleType) else value.__module__)


@functools.lru_cache(maxsize=1024)
def _is_given(name: Any) -> bool:
    """Whether a module belongs to a library, or is one of this package's own."""
    return str(name).partition(".")[0] in _GIVEN


def _is_library_callable(value: Any) -> bool:
    """Whether it is a class, a module or a function in C of a library."""
    if not isinstance(value, _BY_IDENTITY):
        return False
    if isinstance(value, types.BuiltinFunctionType) and value.__module__ is None:  # a method: of torch's functions
        value = value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
    return _is_library(value)


@functools.lru_cache(maxsize=1024)
def _own_classes(kind: type) -> tuple[type, ...]:
    """A class and its bases, but for those of libraries."""
    return tuple(base for base in kind.__mro__ if base is not object and not _is_library(base))


@functools.lru_cache(maxsize=1024)
def _hides_state(kind: type) -> bool:
    """Whether objects of a class may keep more than their ``__dict__`` shows: in slots, or in C."""
    slots = any(vars(base).get("__slots__") for base in _own_classes(kind))
    return slots or kind.__basicsize__ > _WithDict.__basicsize__ or bool(kind.__itemsize__)


class _WithDict:
    """What a class defined in Python takes."""


@dataclass(frozen=True)
class _Members:
    """What a class defines.

    Attributes:
        values: all of it; other ones mean that the class was changed.
        functions: methods and properties, but for what only makes or shows an object.
        variables: names, types and values of those that a key can hold.
        plain: whether these are all.
    """

    values: tuple[Any, ...]
    functions: tuple[types.FunctionType, ...]
    variables: tuple[Any, ...]
    plain: bool


_members: weakref.WeakKeyDictionary[type, _Members] = weakref.WeakKeyDictionary()


def _members_of(kind: type) -> _Members:
    values = tuple(vars(kind).values())
    known = _members.get(kind)
    if known is None or len(values) != len(known.values) or not all(map(operator.is_, values, known.values)):
        known = _members[kind] = _looked_through(kind, values)
    return known


def _looked_through(kind: type, values: tuple[Any, ...]) -> _Members:
    functions: list[types.FunctionType] = []
    variables: list[Any] = []
    plain = True
    for name, value in vars(kind).items():
        if isinstance(value, _DESCRIPTORS):
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(function, types.FunctionType) and name not in ("__init__", "__repr__", "extra_repr"):
                functions.append(function)
        elif not name.startswith("__"):
            if type(value) in _PLAIN or type(value) is float:
                variables += (name, type(value), value)
            else:
                plain = False
    return _Members(values, tuple(functions), tuple(variables), plain)
