"""Dynamics as Julia's source and the tensors that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor

from pyode_bridge.errors import InputError

_EXPECTED = "expected a tensor of float32 or float64, a dict of such tensors by name, or None"


class JuliaSource(torch.nn.Module):
    """What is known of a `JuliaDynamics` where nothing is known of engines, which calling it takes; see there."""

    def __init__(self, source: str, p: Tensor | Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        _check_source(source)
        self.source = source
        self._names: tuple[str, ...] | None = None
        if p is None:
            self.register_buffer("p", None)
        elif isinstance(p, Tensor):
            _register(self, "p", p, "p")
        else:
            self._names = _names(p)
            self.p = torch.nn.Module()
            for name, tensor in p.items():
                _register(self.p, name, tensor, f"p[{name!r}]")

    def values(self) -> Tensor | dict[str, Tensor] | None:
        """``p`` as it was given, with the tensors that the module has now."""
        if self._names is None:
            return self.p  # type: ignore[return-value]
        return {name: getattr(self.p, name) for name in self._names}

    def tensors(self) -> list[Tensor]:
        """Those of ``p``."""
        values = self.values()
        if values is None:
            return []
        return [values] if isinstance(values, Tensor) else list(values.values())

    def extra_repr(self) -> str:
        """The source, in what is printed of the module."""
        return repr(self.source)


def is_written(func: Any) -> TypeGuard[JuliaSource]:
    """Whether ``func`` is Julia's function of given tensors and nothing else: a `JuliaDynamics`.

    What a subclass of that, or hooks, make of it is Python's.
    """
    written = isinstance(func, JuliaSource) and JuliaSource in type(func).__bases__
    return written and not func._forward_hooks and not func._forward_pre_hooks


def _check_source(source: object) -> None:
    if not isinstance(source, str) or not source.strip():
        raise InputError(
            f"source is {source!r}; expected Julia code whose last value is a function, such as '(u, p, t) -> -p .* u'."
        )


def _names(p: Any) -> tuple[str, ...]:
    if not isinstance(p, Mapping):
        raise InputError(f"p is a {type(p).__name__}; {_EXPECTED}.")
    for name in p:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"p has the key {name!r}; expected names that Julia and Python know, such as 'k1'.")
    return tuple(p)


def _register(module: torch.nn.Module, name: str, tensor: Any, where: str) -> None:
    """As a parameter or buffer."""
    if not isinstance(tensor, Tensor) or tensor.dtype not in (torch.float32, torch.float64):
        kind = f"a tensor of {tensor.dtype}" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise InputError(f"{where} is {kind}; {_EXPECTED}.")
    if not tensor.is_contiguous():
        raise InputError(f"{where} has strides {tensor.stride()}; expected a contiguous tensor; see .contiguous().")
    try:
        if isinstance(tensor, torch.nn.Parameter):
            module.register_parameter(name, tensor)
        else:
            module.register_buffer(name, tensor)
    except KeyError:
        raise InputError(f"{where}: torch's modules have an attribute {name!r} already; choose another name.") from None
