"""Sums, products, powers and what compares or rounds."""

from __future__ import annotations

from typing import Any

import torch

from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY, SUBTRACT

aten, prims = torch.ops.aten, torch.ops.prims

LARGEST_WHOLE_POWER = 32  # beyond, multiplying is no more exact than a logarithm


@register_lowering(aten.add.Tensor, aten.add.Scalar, prims.add.default)
def add(ctx: LoweringContext, a: Any, b: Any, alpha: float = 1) -> Any:
    return ctx.pointwise(ADD, a, b if alpha == 1 else ctx.within(MULTIPLY, b, alpha))


@register_lowering(aten.sub.Tensor, aten.sub.Scalar, prims.sub.default)
def sub(ctx: LoweringContext, a: Any, b: Any, alpha: float = 1) -> Any:
    return ctx.pointwise(SUBTRACT, a, b if alpha == 1 else ctx.within(MULTIPLY, b, alpha))


@register_lowering(aten.rsub.Tensor, aten.rsub.Scalar)
def rsub(ctx: LoweringContext, a: Any, b: Any, alpha: float = 1) -> Any:
    return sub(ctx, b, a, alpha)


@register_lowering(aten.mul.Tensor, aten.mul.Scalar, prims.mul.default)
def mul(ctx: LoweringContext, a: Any, b: Any) -> Any:
    return ctx.pointwise(MULTIPLY, a, b)


ROUNDED = {None: "{0} / {1}", "floor": "floor_divide({0}, {1})", "trunc": "truncate_divide({0}, {1})"}


@register_lowering(aten.div.Tensor, aten.div.Scalar, aten.div.Tensor_mode, aten.div.Scalar_mode, prims.div.default)
def div(ctx: LoweringContext, a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    return ctx.pointwise(ROUNDED[rounding_mode], a, b)


@register_lowering(aten.floor_divide.default)
def floor_divide(ctx: LoweringContext, a: Any, b: Any) -> Any:
    return div(ctx, a, b, "floor")


@register_lowering(aten.pow.Tensor_Scalar)
def pow_number(ctx: LoweringContext, a: Any, exponent: float) -> Any:
    whole = isinstance(exponent, int) or float(exponent).is_integer()
    if exponent == 0.5:
        return ctx.pointwise("sqrt({0})", a)
    if exponent == 2:
        return ctx.pointwise("{0} * {0}", a)
    if whole and abs(exponent) <= LARGEST_WHOLE_POWER and (exponent >= 0 or ctx.dtype.is_floating_point):
        return ctx.pointwise(f"whole_power({{0}}, Val({int(exponent)}))", a)
    return ctx.pointwise("pow({0}, {1})", a, exponent)


@register_lowering(aten.pow.Tensor_Tensor, aten.pow.Scalar)
def pow_tensor(ctx: LoweringContext, a: Any, exponent: Any) -> Any:
    return ctx.pointwise("pow({0}, {1})", a, exponent)


BINARY = {
    "maximum({0}, {1})": (aten.maximum.default,),
    "minimum({0}, {1})": (aten.minimum.default,),
    "fmod({0}, {1})": (aten.fmod.Tensor, aten.fmod.Scalar),
    "remainder({0}, {1})": (aten.remainder.Tensor, aten.remainder.Scalar),
    "atan({0}, {1})": (aten.atan2.default,),
    "hypot({0}, {1})": (aten.hypot.default,),
    "copysign({0}, {1})": (aten.copysign.Tensor, aten.copysign.Scalar),
    "logaddexp({0}, {1})": (aten.logaddexp.default,),
}
COMPARISONS = {
    "{0} == {1}": (aten.eq.Tensor, aten.eq.Scalar, prims.eq.default),
    "{0} != {1}": (aten.ne.Tensor, aten.ne.Scalar, prims.ne.default),
    "{0} < {1}": (aten.lt.Tensor, aten.lt.Scalar, prims.lt.default),
    "{0} <= {1}": (aten.le.Tensor, aten.le.Scalar, prims.le.default),
    "{0} > {1}": (aten.gt.Tensor, aten.gt.Scalar, prims.gt.default),
    "{0} >= {1}": (aten.ge.Tensor, aten.ge.Scalar, prims.ge.default),
}
LOGICAL = {
    "{0} & {1}": (aten.logical_and.default,),
    "{0} | {1}": (aten.logical_or.default,),
    "xor({0}, {1})": (aten.logical_xor.default,),
    "!{0}": (aten.logical_not.default,),
}
BITWISE = {
    "{0} & {1}": (aten.bitwise_and.Tensor, aten.bitwise_and.Scalar),
    "{0} | {1}": (aten.bitwise_or.Tensor, aten.bitwise_or.Scalar),
    "xor({0}, {1})": (aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar),
    "~{0}": (aten.bitwise_not.default,),
}


def _register(template: str, operators: tuple[Any, ...], compute: str) -> None:
    @register_lowering(*operators)
    def lowering(ctx: LoweringContext, *operands: Any) -> Any:
        dtype = {"result": ctx.dtype, "promoted": ctx.promoted(), "bool": torch.bool}[compute]
        return ctx.pointwise(template, *operands, compute=dtype)


for table, compute in ((BINARY, "result"), (COMPARISONS, "promoted"), (LOGICAL, "bool"), (BITWISE, "result")):
    for template, operators in table.items():
        _register(template, operators, compute)


@register_lowering(aten.where.self, prims.where.default)
def where(ctx: LoweringContext, condition: Any, yes: Any, no: Any) -> Any:
    condition, yes, no = (ctx.array(part) for part in (condition, yes, no))
    return ctx.emitter.choose(condition, yes, no, ctx.dtype, ctx.shape)


@register_lowering(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def masked_fill(ctx: LoweringContext, a: Any, mask: Any, value: Any) -> Any:
    return where(ctx, mask, value, a)


@register_lowering(aten.clamp.default, aten.clamp.Tensor, aten.hardtanh.default)
def clamp(ctx: LoweringContext, a: Any, min: Any = None, max: Any = None) -> Any:
    if ctx.operator is aten.hardtanh.default:
        min, max = (-1 if min is None else min), (1 if max is None else max)
    if max is None:
        return ctx.pointwise("maximum({0}, {1})", a, min)
    if min is None:
        return ctx.pointwise("minimum({0}, {1})", a, max)
    return ctx.pointwise("minimum(maximum({0}, {1}), {2})", a, min, max)


@register_lowering(aten.clamp_min.default, aten.clamp_min.Tensor)
def clamp_min(ctx: LoweringContext, a: Any, min: Any) -> Any:
    return clamp(ctx, a, min)


@register_lowering(aten.clamp_max.default, aten.clamp_max.Tensor)
def clamp_max(ctx: LoweringContext, a: Any, max: Any) -> Any:
    return clamp(ctx, a, None, max)
