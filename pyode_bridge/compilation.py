"""Solves in a model that ``torch.compile`` compiles: they run as they are, between the compiled graphs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

REASON = "a solver chooses its steps as it goes, so a solve runs between compiled graphs; leave fullgraph=True out"


def between_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """As ``torch.compiler.disable``, which would load the compiler, for seconds, also where nothing is compiled."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        if marked.disabled is None:
            marked.disabled = torch.compiler.disable(function)
        value: R = marked.disabled(*args, **kwargs)
        return value

    marked: Any = call
    marked.disabled = None
    # The marks of torch.compiler.disable: the compiler does not follow a call from a graph, nor compile this function.
    marked._torchdynamo_disable = True
    marked._torchdynamo_disable_msg = REASON
    torch._C._dynamo.eval_frame.skip_code(marked.__code__)
    return call
