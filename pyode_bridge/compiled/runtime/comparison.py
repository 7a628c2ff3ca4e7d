"""Whether a translation computes what torch does, at the start of a solve.

Where terms cancel, as at an equilibrium, what is left is rounding, which no two computations share. So what differs at
the start is computed beside it too, where the terms have the same size and do not cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.errors import UnsupportedDynamicsError, UnsupportedStartError

# How far apart a function and its translation may be, relative to the largest element, beside rounding.
_AGREEMENT = {torch.float64: 1e-8, torch.float32: 1e-3}
_COARSE = 1e-6  # how far off torch's own derivatives may be: some have constants in single precision

_WHAT = {"rhs": "the right-hand side", "jacobian": "the Jacobian"}

Evaluate = Callable[[str, Tensor, Sequence[Tensor], float], None]


def compare(name: str, evaluate: Evaluate, start: Start) -> None:
    """Compare a function with torch's.

    Args:
        name: ``"rhs"``, ``"vjp"``, ``"vjp_p"``, ``"jacobian"`` or that of a part.
        evaluate: has the function of a name write to a tensor what it makes of vectors and the time.
        start: where.

    Raises:
        UnsupportedDynamicsError: they differ.
        UnsupportedStartError: they differ, which may be due to this start.
    """
    true = start.value if name == "rhs" and start.value is not None else _by_torch(name, start)
    found = _found(name, evaluate, true, start)
    if _agree(found, true, size := _size(true)):
        return
    error = f"{_what(name, start)} at the start is off by {_error(found, true):.2g} of "
    error += f"{size:.2g} when compiled"
    beside = start.beside()
    try:
        other = _by_torch(name, beside)
    except Exception as refused:  # func is the solver's to call, along the solution, and nobody else's
        raise UnsupportedStartError(error) from refused
    if not _agree(_found(name, evaluate, other, beside), other, _size(other)):
        raise UnsupportedDynamicsError(f"{error}: func may depend on something that changes from call to call")
    if not _agree(found, true, max(size, _size(other))):
        raise UnsupportedStartError(f"{error}, though not beside it: func may bend or jump there")


def _what(name: str, start: Start) -> str:
    return name.replace("_", " ") if name in start.parts else _WHAT.get(name, "the vector-Jacobian product")


def _by_torch(name: str, start: Start) -> Tensor:
    from pyode_bridge.compiled.capture.decompositions.table import Decomposing  # torch's tracing takes a while to load

    if name == "rhs":
        with torch.no_grad():
            return start.dynamics.evaluate(start.s, start.y)
    own = _derivative(name, start)
    with Decomposing():  # type: ignore[no-untyped-call]
        finer = _derivative(name, start)
    return finer if _error(finer, own) <= _COARSE * _size(own) else own


def _derivative(name: str, start: Start) -> Tensor:
    dynamics, vectors = start.dynamics, start.vectors(name)
    if name in start.parts:
        return dynamics.part(start.parts[name], start.s, *vectors)
    if name == "jacobian":
        return dynamics.jacobian(start.s, *vectors).mT.reshape(-1)
    v, y = vectors
    products = dynamics.vjp(start.s, y, v, state=True, parameters=True)
    return products[0] if name == "vjp" else products[1]


def _found(name: str, evaluate: Evaluate, like: Tensor, start: Start) -> Tensor:
    out = torch.empty_like(like)
    evaluate(name, out, [vector.contiguous() for vector in start.vectors(name)], start.s)
    return out


def _size(true: Tensor) -> float:
    """The largest element that is finite."""
    return float(true.abs().nan_to_num(0.0, 0.0).max()) if len(true) else 0.0


def _agree(found: Tensor, true: Tensor, size: float) -> bool:
    return _error(found, true) <= _AGREEMENT[true.dtype] * size + torch.finfo(true.dtype).tiny


def _error(found: Tensor, true: Tensor) -> float:
    """The largest; none where both are infinite, or no number."""
    same = (found == true) | (found.isnan() & true.isnan())
    return float((found - true).abs().masked_fill(same, 0.0).max()) if len(true) else 0.0
