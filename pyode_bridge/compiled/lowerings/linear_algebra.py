"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import torch

from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY

aten = torch.ops.aten


@register_lowering(aten.mm.default, aten.bmm.default)
def mm(ctx: LoweringContext, a: Any, b: Any) -> Any:
    return ctx.product(a, b)


@register_lowering(aten.mv.default)
def mv(ctx: LoweringContext, a: Any, x: Any) -> Any:
    column = ctx.product(a, ctx.reshaped(ctx.array(x), (ctx.array(x).shape[0], 1)))
    return ctx.reshaped(column, ctx.shape)


@register_lowering(aten.dot.default, aten.vdot.default)
def dot(ctx: LoweringContext, x: Any, y: Any) -> Any:
    size = ctx.array(x).shape[0]
    return ctx.reshaped(ctx.product(ctx.reshaped(ctx.array(x), (1, size)), ctx.reshaped(ctx.array(y), (size, 1))), ())


@register_lowering(aten.addmm.default, aten.baddbmm.default)
def addmm(ctx: LoweringContext, c: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    return _sum(ctx, c, ctx.product(a, b), beta, alpha)


@register_lowering(aten.addmv.default)
def addmv(ctx: LoweringContext, c: Any, a: Any, x: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    return _sum(ctx, c, mv(ctx, a, x), beta, alpha)


def _sum(ctx: LoweringContext, c: Any, product: Any, beta: float, alpha: float) -> Any:
    scaled = product if alpha == 1 else ctx.within(MULTIPLY, product, alpha)
    return ctx.pointwise(ADD, scaled, c if beta == 1 else ctx.within(MULTIPLY, c, beta))
