"""The registry of lowerings: what each ATen operator becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Lowering = Callable[..., Any]
REGISTRY: dict[Any, Lowering] = {}


def register_lowering(*operators: Any) -> Callable[[Lowering], Lowering]:
    """Register a function for operators; it is called with a `LoweringContext` and the operator's own arguments."""

    def register(lowering: Lowering) -> Lowering:
        for operator in operators:
            REGISTRY[operator] = lowering
        return lowering

    return register
