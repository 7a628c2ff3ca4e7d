"""Functions of one number, the activations of neural networks among them."""

from __future__ import annotations

import math
from typing import Any

import torch

from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering

aten, prims = torch.ops.aten, torch.ops.prims

ONE_ARGUMENT = {
    "-{0}": (aten.neg.default, prims.neg.default),
    "abs({0})": (aten.abs.default, prims.abs.default),
    "sign({0})": (aten.sign.default, aten.sgn.default, prims.sign.default),
    "{T}(1) / {0}": (aten.reciprocal.default, prims.reciprocal.default),
    "sqrt({0})": (aten.sqrt.default, prims.sqrt.default),
    "{T}(1) / sqrt({0})": (aten.rsqrt.default, prims.rsqrt.default),
    "exp({0})": (aten.exp.default, prims.exp.default),
    "exp2({0})": (aten.exp2.default,),
    "expm1({0})": (aten.expm1.default,),
    "log({0})": (aten.log.default, prims.log.default),
    "log2({0})": (aten.log2.default,),
    "log10({0})": (aten.log10.default,),
    "log1p({0})": (aten.log1p.default,),
    "sin({0})": (aten.sin.default, prims.sin.default),
    "cos({0})": (aten.cos.default, prims.cos.default),
    "tan({0})": (aten.tan.default,),
    "asin({0})": (aten.asin.default,),
    "acos({0})": (aten.acos.default,),
    "atan({0})": (aten.atan.default,),
    "sinh({0})": (aten.sinh.default,),
    "cosh({0})": (aten.cosh.default,),
    "tanh({0})": (aten.tanh.default, prims.tanh.default),
    "asinh({0})": (aten.asinh.default,),
    "acosh({0})": (aten.acosh.default,),
    "atanh({0})": (aten.atanh.default,),
    "erf({0})": (aten.erf.default,),
    "erfc({0})": (aten.erfc.default,),
    "erfcx({0})": (aten.special_erfcx.default,),
    "log_ndtr({0})": (aten.special_log_ndtr.default,),
    "floor({0})": (aten.floor.default,),
    "ceil({0})": (aten.ceil.default,),
    "round({0})": (aten.round.default,),
    "trunc({0})": (aten.trunc.default,),
    "{0} - trunc({0})": (aten.frac.default,),
    "sigmoid({0})": (aten.sigmoid.default,),
    "{0} * sigmoid({0})": (aten.silu.default,),
    "{0} * tanh(softplus({0}))": (aten.mish.default,),
    "{0} * clamp01({0} / {T}(6) + {T}(0.5))": (aten.hardswish.default,),
    "clamp01({0} / {T}(6) + {T}(0.5))": (aten.hardsigmoid.default,),
}
TESTS = {
    "isnan({0})": (aten.isnan.default,),
    "isinf({0})": (aten.isinf.default,),
}


def _register(template: str, operators: tuple[Any, ...], of_operand: bool) -> None:
    @register_lowering(*operators)
    def lowering(ctx: LoweringContext, a: Any) -> Any:
        return ctx.pointwise(template, a, compute=ctx.promoted() if of_operand else None)


for table, of_operand in ((ONE_ARGUMENT, False), (TESTS, True)):
    for template, operators in table.items():
        _register(template, operators, of_operand)


@register_lowering(aten.relu.default)
def relu(ctx: LoweringContext, a: Any) -> Any:
    return ctx.pointwise("relu({0})", a) if ctx.dtype.is_floating_point else ctx.pointwise("maximum({0}, {1})", a, 0)


@register_lowering(aten.softplus.default)
def softplus(ctx: LoweringContext, a: Any, beta: float = 1, threshold: float = 20) -> Any:
    bent = ctx.within("softplus({0} * {1}) / {1}", a, beta)
    beyond = ctx.emitter.pointwise(
        "{0} * {1} > {2}", ctx.dtype, torch.bool, ctx.shape, [ctx.array(x) for x in (a, beta, threshold)]
    )
    return ctx.emitter.choose(beyond, ctx.array(a), bent, ctx.dtype, ctx.shape)


# With the sigmoid of twice the argument for (1 + tanh) / 2, which cancels.
GELU_TANH = f"{{0}} * sigmoid({{T}}({math.sqrt(8 / math.pi)!r}) * ({{0}} + {{T}}(0.044715) * {{0}} * {{0}} * {{0}}))"


@register_lowering(aten.gelu.default)
def gelu(ctx: LoweringContext, a: Any, approximate: str = "none") -> Any:
    return ctx.pointwise(GELU_TANH if approximate == "tanh" else "{0} * ndtr({0})", a)


@register_lowering(aten.leaky_relu.default)
def leaky_relu(ctx: LoweringContext, a: Any, negative_slope: float = 0.01) -> Any:
    return ctx.pointwise("ifelse({0} > {T}(0), {0}, {1} * {0})", a, negative_slope)


@register_lowering(aten.elu.default)
def elu(ctx: LoweringContext, a: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    template = "ifelse({0} > {T}(0), {2} * {0}, {2} * {1} * expm1({3} * {0}))"
    return ctx.pointwise(template, a, alpha, scale, input_scale)
