"""Training steps with SciML's own gradients, timed inside Julia: see `gradients.jl`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from . import handwritten
from .cases import Case
from .entry import Entry, SkipError
from .needs import need_of_julia


@functools.cache
def module() -> Any:
    """Compile the source in the running Julia."""
    need_of_julia("SciMLSensitivity", "Zygote")
    from juliacall import Main

    handwritten.module()
    Main.seval((Path(__file__).parent / "gradients.jl").read_text(encoding="utf-8"))
    return Main.Gradients


def entry(case: Case, *, products: str) -> Entry:
    """``products`` names who makes the vector-Jacobian products: the function in Julia."""
    if case.kind != "training":
        raise SkipError("it is for training")
    julia, cubed = module(), case.side.__name__ == "spiral"
    arrays = tuple(weight.numpy() for weight in case.weights)
    step = julia.step(
        getattr(julia, products), cubed, case.y0.numpy(), arrays, case.t.numpy(), case.method, case.rtol, case.atol
    )
    return Entry(
        case.method,
        lambda: [np.array(gradient) for gradient in step()],
        lambda calls: handwritten.module().seconds(step, calls),
    )
