"""Sums, products, powers and what compares or rounds."""

from __future__ import annotations

from typing import Any

import torch

from pyode_bridge.compiled.lowerings.registry import Call, lowers
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY, SUBTRACT

aten, prims = torch.ops.aten, torch.ops.prims

LARGEST_WHOLE_POWER = 32  # beyond, multiplying is no more exact than a logarithm


@lowers(aten.add.Tensor, aten.add.Scalar, prims.add.default)
def add(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    return call.pointwise(ADD, a, b if alpha == 1 else call.within(MULTIPLY, b, alpha))


@lowers(aten.sub.Tensor, aten.sub.Scalar, prims.sub.default)
def sub(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    return call.pointwise(SUBTRACT, a, b if alpha == 1 else call.within(MULTIPLY, b, alpha))


@lowers(aten.rsub.Tensor, aten.rsub.Scalar)
def rsub(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    return sub(call, b, a, alpha)


@lowers(aten.mul.Tensor, aten.mul.Scalar, prims.mul.default)
def mul(call: Call, a: Any, b: Any) -> Any:
    return call.pointwise(MULTIPLY, a, b)


ROUNDED = {None: "{0} / {1}", "floor": "floor_divide({0}, {1})", "trunc": "truncate_divide({0}, {1})"}


@lowers(aten.div.Tensor, aten.div.Scalar, aten.div.Tensor_mode, aten.div.Scalar_mode, prims.div.default)
def div(call: Call, a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    return call.pointwise(ROUNDED[rounding_mode], a, b)


@lowers(aten.floor_divide.default)
def floor_divide(call: Call, a: Any, b: Any) -> Any:
    return div(call, a, b, "floor")


@lowers(aten.pow.Tensor_Scalar)
def pow_number(call: Call, a: Any, exponent: float) -> Any:
    whole = isinstance(exponent, int) or float(exponent).is_integer()
    if exponent == 0.5:
        return call.pointwise("sqrt({0})", a)
    if exponent == 2:
        return call.pointwise("{0} * {0}", a)
    if whole and abs(exponent) <= LARGEST_WHOLE_POWER and (exponent >= 0 or call.dtype.is_floating_point):
        return call.pointwise(f"whole_power({{0}}, Val({int(exponent)}))", a)
    return call.pointwise("pow({0}, {1})", a, exponent)


@lowers(aten.pow.Tensor_Tensor, aten.pow.Scalar)
def pow_tensor(call: Call, a: Any, exponent: Any) -> Any:
    return call.pointwise("pow({0}, {1})", a, exponent)


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


def _enter(template: str, operations: tuple[Any, ...], compute: str) -> None:
    @lowers(*operations)
    def lowering(call: Call, *operands: Any) -> Any:
        dtype = {"result": call.dtype, "promoted": call.promoted(), "bool": torch.bool}[compute]
        return call.pointwise(template, *operands, compute=dtype)


for table, compute in ((BINARY, "result"), (COMPARISONS, "promoted"), (LOGICAL, "bool"), (BITWISE, "result")):
    for template, operations in table.items():
        _enter(template, operations, compute)


@lowers(aten.where.self, prims.where.default)
def where(call: Call, condition: Any, yes: Any, no: Any) -> Any:
    parts = (call.array(part) for part in (condition, yes, no))
    return call.builder.choose(*parts, call.dtype, call.shape)


@lowers(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def masked_fill(call: Call, a: Any, mask: Any, value: Any) -> Any:
    return where(call, mask, value, a)


@lowers(aten.clamp.default, aten.clamp.Tensor, aten.hardtanh.default)
def clamp(call: Call, a: Any, min: Any = None, max: Any = None) -> Any:
    if call.operation is aten.hardtanh.default:
        min, max = (-1 if min is None else min), (1 if max is None else max)
    if max is None:
        return call.pointwise("maximum({0}, {1})", a, min)
    if min is None:
        return call.pointwise("minimum({0}, {1})", a, max)
    return call.pointwise("minimum(maximum({0}, {1}), {2})", a, min, max)


@lowers(aten.clamp_min.default, aten.clamp_min.Tensor)
def clamp_min(call: Call, a: Any, min: Any) -> Any:
    return clamp(call, a, min)


@lowers(aten.clamp_max.default, aten.clamp_max.Tensor)
def clamp_max(call: Call, a: Any, max: Any) -> Any:
    return clamp(call, a, None, max)
