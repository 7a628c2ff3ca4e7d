"""Whether a translation computes what torch does, at the start of a solve.

Where terms cancel, as at an equilibrium, what is left is rounding, which no two computations share. So what differs at
the start is computed beside it too, where the terms have the same size and do not cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.compiled.refusals import RefusedHereError, UntranslatableError
from pyode_bridge.dynamics import Dynamics

# How far apart a function and its translation may be, relative to the largest element, beside rounding.
_AGREEMENT = {torch.float64: 1e-8, torch.float32: 1e-3}
_GOLDEN = 0.6180339887498949  # its multiples are spread evenly, modulo 1, and lie on no line

_WHAT = {"rhs": "the right-hand side", "jacobian": "the Jacobian"}

Evaluate = Callable[[str, Tensor, Sequence[Tensor], float], None]


@dataclass(frozen=True)
class Start:
    """Dynamics at the start of a solve: the flat state there, and the time in the solver's direction."""

    dynamics: Dynamics
    y: Tensor
    s: float


def compare(name: str, evaluate: Evaluate, start: Start) -> None:
    """Compare a function with torch's.

    Args:
        name: ``"rhs"``, ``"vjp"``, ``"vjp_p"`` or ``"jacobian"``.
        evaluate: has the function of a name write to a tensor what it makes of vectors and the time.
        start: with the value of the right-hand side there.

    Raises:
        UntranslatableError: they differ.
        RefusedHereError: they differ, which may be due to this start.
    """
    y = start.y.contiguous()
    true = start.dynamics.start if name == "rhs" and start.dynamics.start is not None else _by_torch(name, start, y)
    found = _found(name, evaluate, true, y, start.s)
    if _agree(found, true, size := _size(true)):
        return
    error = f"{_WHAT.get(name, 'the vector-Jacobian product')} at the start is off by {_error(found, true):.2g} of "
    error += f"{size:.2g} when compiled"
    beside = _beside(y)
    try:
        other = _by_torch(name, start, beside)
    except Exception as refused:  # func is the solver's to call, along the solution, and nobody else's
        raise RefusedHereError(error) from refused
    found_beside = _found(name, evaluate, other, beside, start.s)
    if not _agree(found_beside, other, _size(other)):
        raise UntranslatableError(f"{error}: func may depend on something that changes from call to call")
    if not _agree(found, true, max(size, _size(other))):
        raise RefusedHereError(f"{error}, though not beside it: func may bend or jump there")


def _by_torch(name: str, start: Start, y: Tensor) -> Tensor:
    from pyode_bridge.compiled.decompositions import Decomposing  # torch's tracing takes a while to load

    dynamics = start.dynamics
    if name == "rhs":
        with torch.no_grad():
            return dynamics.trial(start.s, y)
    with Decomposing():  # type: ignore[no-untyped-call]
        if name == "jacobian":
            return dynamics.jacobian(start.s, y).mT.reshape(-1)
        products = dynamics.vjp(start.s, y, _direction(y), state=True, parameters=True)
    return products[0] if name == "vjp" else products[1]


def _found(name: str, evaluate: Evaluate, like: Tensor, y: Tensor, s: float) -> Tensor:
    out = torch.empty_like(like)
    evaluate(name, out, (y,) if name in _WHAT else (_direction(y), y), s)
    return out


def _direction(y: Tensor) -> Tensor:
    return torch.linspace(0.5, 1.5, len(y), dtype=y.dtype)


def _beside(y: Tensor) -> Tensor:
    """A point at a distance of the state's own size, where each number has the sign that it has in ``y``, if any."""
    size = y.abs()
    size = torch.where(size > 0, size, size.max() if size.any() else 1.0)
    return y + size * (torch.arange(1, len(y) + 1, dtype=y.dtype) * _GOLDEN % 1 / 2)


def _size(true: Tensor) -> float:
    """The largest element that is finite."""
    return float(true.abs().nan_to_num(0.0, 0.0).max()) if len(true) else 0.0


def _agree(found: Tensor, true: Tensor, size: float) -> bool:
    return _error(found, true) <= _AGREEMENT[true.dtype] * size + torch.finfo(true.dtype).tiny


def _error(found: Tensor, true: Tensor) -> float:
    """The largest; none where both are infinite, or no number."""
    same = (found == true) | (found.isnan() & true.isnan())
    return float((found - true).abs().masked_fill(same, 0.0).max()) if len(true) else 0.0
