"""Solves in a model that ``torch.compile`` compiles: they run as they are, between the compiled graphs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch._C._dynamo.eval_frame import get_eval_frame_callback

P = ParamSpec("P")
R = TypeVar("R")

REASON = "a solver chooses its steps as it goes, so a solve runs between compiled graphs; leave fullgraph=True out"


def between_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """As ``torch.compiler.disable``, which would load the compiler, for seconds, also where nothing is compiled."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if "torch._dynamo" not in sys.modules or get_eval_frame_callback() is None:
            return function(*args, **kwargs)  # the compiler is not there, or not at work
        if marked.disabled is None:
            marked.disabled = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        value: R = marked.disabled(*args, **kwargs)
        return value

    marked: Any = call
    marked.disabled = None
    # The marks of torch.compiler.disable, at which the compiler ends a graph.
    marked._torchdynamo_disable = True
    marked._torchdynamo_disable_msg = REASON
    # Nor does it compile this function itself, which claims to be the compiler's own, as that of torch.compiler is.
    marked.__code__ = marked.__code__.replace(co_filename=torch._compile.__file__)
    return call
