"""Dynamics as a pure function: the tensors that they use from outside become arguments."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.levels import plain
from pyode_bridge.problem.state import Structure


class Outside:
    """A user's function with the tensors that it uses from outside.

    Tensors of modules are known by their names there, so that they are found again when `torch.func.functional_call`
    has given the module its own tensors back; others are known by identity, and exchanged wherever torch sees them.

    Args:
        func: the function.
        arguments: makes some, with which it is called twice.

    Attributes:
        tensors: those tensors, as they were when ``func`` was looked at.
    """

    def __init__(self, func: Callable[..., Any], arguments: Callable[[], tuple[Any, ...]]) -> None:
        self._host = _Host(func)
        seen = _outside(func, arguments)
        own = isinstance(func, nn.Module)
        named = {name: tensor for name, tensor in self._host.named_tensors() if own or id(tensor) in seen}
        by_name = {id(tensor) for tensor in named.values()}
        self._loose = tuple(tensor for key, tensor in seen.items() if key not in by_name)
        self._names = tuple(named)
        self.tensors = (*named.values(), *self._loose)

    def bound(self, tensors: Sequence[Tensor]) -> Callable[..., Any]:
        """The function with ``tensors`` in place of those that were found."""
        count = len(self._names)
        swapped = dict(zip(self._names, tensors[:count], strict=True))
        host, loose, others = self._host, self._loose, tuple(tensors[count:])

        def call(*arguments: Any) -> Any:
            with _Exchange(loose, others), _evaluating():
                return torch.func.functional_call(host, swapped, arguments, tie_weights=False)

        return call

    def check_that_all_are_used(self, evaluate: Callable[[], Any]) -> None:
        """Raise UnsupportedError where ``evaluate``, at the solve's start, meets other tensors than the solve did."""
        with _noting() as used:
            evaluate()
        if not used.issuperset(map(id, self._loose)):
            raise UnsupportedError(
                "func uses other tensors now, in the backward pass, than it did in the solve: it reaches a module "
                "that was under torch.func.functional_call, and is no longer. Pass that module, or a function that "
                "refers to it by a name of its own, as func."
            )


class Captured:
    """``func`` as a function of a scalar time, a flat state and every tensor that it uses from outside.

    Attributes:
        tensors: see `Outside`.
    """

    def __init__(self, func: Callable[[Tensor, Any], Any], structure: Structure, t: Tensor, y: Tensor) -> None:
        self._structure = structure
        self._outside = Outside(func, lambda: (self._time(t).clone(), structure.unpack_copy(y)))
        self.tensors = self._outside.tensors
        self.check_that_all_are_used = self._outside.check_that_all_are_used

    def __call__(self, t: Tensor, y: Tensor, *tensors: Tensor) -> Tensor:
        """The derivative at ``t`` and flat ``y``, with ``tensors`` in place of those that were found."""
        structure = self._structure
        value = self._outside.bound(tensors)(self._time(t), structure.unpack_copy(y))
        problem = structure.mismatch(value)
        if problem is not None:
            raise InputError(f"func(t, y) at t = {plain(t).item():.6g} returned {problem}.")
        return structure.pack(value)

    def _time(self, t: Tensor) -> Tensor:
        return t.to(self._structure.device, self._structure.time_dtype)


class _Here(threading.local):
    evaluations = 0  # one within another
    used: set[int] | None = None  # identities of tensors that were exchanged, while somebody asks


_here = _Here()


def within_dynamics() -> bool:
    """Whether the caller is part of dynamics whose tensors are exchanged."""
    return _here.evaluations > 0


@contextlib.contextmanager
def _evaluating() -> Iterator[None]:
    _here.evaluations += 1
    try:
        yield
    finally:
        _here.evaluations -= 1


@contextlib.contextmanager
def _noting() -> Iterator[set[int]]:
    """Gather the identities of the tensors that are exchanged."""
    before, _here.used = _here.used, set()
    try:
        yield _here.used
    finally:
        _here.used = before


class _Host(nn.Module):
    """A function as the method of a module that holds the modules which the function refers to."""

    _func: Callable[..., Any]

    def __init__(self, func: Callable[..., Any]) -> None:
        super().__init__()
        self._found = nn.ModuleList(_modules(func))
        object.__setattr__(self, "_func", func)  # not as another submodule

    def forward(self, *arguments: Any) -> Any:
        return self._func(*arguments)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers; tied ones under each of their names."""
        yield from self.named_parameters(remove_duplicate=False)
        yield from self.named_buffers(remove_duplicate=False)


def _modules(func: Any) -> list[nn.Module]:
    """The modules that a function is, is bound to, or has among its variables from outside."""
    if isinstance(func, functools.partial):
        parts = (func.func, *func.args, *func.keywords.values())
        return [module for part in parts for module in _modules(part)]
    if inspect.ismethod(func):
        return [*_modules(func.__func__), *([func.__self__] if isinstance(func.__self__, nn.Module) else [])]
    if inspect.isfunction(func):
        variables = inspect.getclosurevars(func)
        values = [*variables.nonlocals.values(), *variables.globals.values(), *(func.__defaults__ or ())]
        return [value for value in values if isinstance(value, nn.Module)]
    return [func] if isinstance(func, nn.Module) else []


def _outside(func: Callable[..., Any], arguments: Callable[[], tuple[Any, ...]]) -> dict[int, Tensor]:
    """Tensors, by identity, that two evaluations of ``func`` have in common: none that either made for itself."""
    first, second = _Seen(), _Seen()
    with torch.no_grad():
        for seen in (first, second):
            given = arguments()
            with seen:
                func(*given)
    return {key: tensor for key, tensor in second.tensors.items() if key in first.tensors}


class _Seen(TorchFunctionMode):
    """Remembers every tensor that is an argument to torch; being kept, none of them gives its identity to another."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        _mapped((*args, *kwargs.values()), self._note)
        return func(*args, **kwargs)

    def _note(self, tensor: Tensor) -> Tensor:
        self.tensors[id(tensor)] = tensor
        return tensor


class _Exchange(TorchFunctionMode):
    """Gives torch other tensors in place of some."""

    def __init__(self, tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        super().__init__()
        self._others = {id(tensor): other for tensor, other in zip(tensors, others, strict=True)}
        self._recorded = torch.is_grad_enabled()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = _mapped(tuple(args), self._exchanged)
        return func(*args, **_mapped(kwargs or {}, self._exchanged))

    def _exchanged(self, tensor: Tensor) -> Tensor:
        other = self._others.get(id(tensor))
        if other is None:
            return tensor
        if self._recorded and other.is_floating_point() and not torch.is_grad_enabled():
            raise UnsupportedError(
                "func gives a tensor from outside to a torch.autograd.Function, or uses it under torch.no_grad(). "
                "Torch's function transforms cannot follow it there: make it a parameter or buffer of a module, and "
                "pass that as func."
            )
        if _here.used is not None:
            _here.used.add(id(tensor))
        return other


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """``value`` with the function applied to each tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if type(value) in (tuple, list):
        return type(value)(_mapped(item, function) for item in value)
    if type(value) is dict:
        return {key: _mapped(item, function) for key, item in value.items()}
    return value
