"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import torch

from pyode_bridge.compiled.lowerings.registry import Call, lowers
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY

aten = torch.ops.aten


@lowers(aten.mm.default, aten.bmm.default)
def mm(call: Call, a: Any, b: Any) -> Any:
    return call.product(a, b)


@lowers(aten.mv.default)
def mv(call: Call, a: Any, x: Any) -> Any:
    column = call.product(a, call.reshaped(call.array(x), (call.array(x).shape[0], 1)))
    return call.reshaped(column, call.shape)


@lowers(aten.dot.default, aten.vdot.default)
def dot(call: Call, x: Any, y: Any) -> Any:
    size = call.array(x).shape[0]
    return call.reshaped(
        call.product(call.reshaped(call.array(x), (1, size)), call.reshaped(call.array(y), (size, 1))), ()
    )


@lowers(aten.addmm.default, aten.baddbmm.default)
def addmm(call: Call, c: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    return _sum(call, c, call.product(a, b), beta, alpha)


@lowers(aten.addmv.default)
def addmv(call: Call, c: Any, a: Any, x: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    return _sum(call, c, mv(call, a, x), beta, alpha)


def _sum(call: Call, c: Any, product: Any, beta: float, alpha: float) -> Any:
    scaled = product if alpha == 1 else call.within(MULTIPLY, product, alpha)
    return call.pointwise(ADD, scaled, c if beta == 1 else call.within(MULTIPLY, c, beta))
