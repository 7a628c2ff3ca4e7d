"""The Julia functions of one translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pyode_bridge.compiled.layout import JACOBIAN_CALLS, JOINT, MEMORY, RHS_CALLS, TENSORS, VJP_CALLS, WORK
from pyode_bridge.compiled.scalars import julia_type

if TYPE_CHECKING:
    from pyode_bridge.compiled.translation import Code, Names

COUNTED = {"rhs": RHS_CALLS, "vjp": VJP_CALLS, "jacobian": JACOBIAN_CALLS}
PRODUCTS = ("vjp", "vjp_p", "joint")


def function(name: str, code: Code, dtype: torch.dtype, sign: float, names: Names, size: int, parameters: int) -> str:
    """The text of one function: ``name`` is that of the C function, or ``"joint"`` for both products at once."""
    kind = julia_type(dtype)
    vectors = ("out", "v", "y") if name in PRODUCTS else ("out", "y")
    signature = ", ".join([*(f"{vector}::Ptr{{{kind}}}" for vector in vectors), "s::Float64", "env::Ptr{Int}"])
    body = [*_beginning(name, size, parameters, kind), f"t = {kind}({'' if sign > 0 else '-'}s)"]
    if code.work_size:
        body.append(f"work = unsafe_load(env, {WORK})")
    body += [
        f"p{place} = Ptr{{{julia_type(own)}}}(unsafe_load(env, {TENSORS + place - 1}))"
        for place, own in sorted(names.used.items())
    ]
    lines = [*body, *code.lines, "return Cint(0)"]
    return "\n".join([f"function {name}({signature})::Cint", *lines, "end", ""])


def _beginning(name: str, size: int, parameters: int, kind: str) -> list[str]:
    if name == "joint":
        product = f"Ptr{{{kind}}}(unsafe_load(env, {MEMORY}))"
        return [
            f"memory = {product}",
            f"remember!(memory, v, y, s, {size})",
            f"dp = memory + {remembered_at(size, kind)}",
        ]
    counted = [f"begin_call(env, {COUNTED[name]}, s) || return Cint(-1)"]
    if name == "vjp" and parameters:
        return [*counted, f"unsafe_load(env, {JOINT}) == 0 || return joint(out, v, y, s, env)"]
    return counted


def parameter_product(dtype: torch.dtype, size: int, parameters: int) -> str:
    """The text of ``vjp_p``: what ``joint`` remembers, computed now where it was for another point.

    The product with the state that comes along costs little: it is the last step of the way back to the parameters.
    """
    kind = julia_type(dtype)
    pointer = f"Ptr{{{kind}}}"
    at = remembered_at(size, kind)
    lines = [
        f"memory = {pointer}(unsafe_load(env, {MEMORY}))",
        f"if !recalled(memory, v, y, s, {size})",
        f"begin_call(env, {VJP_CALLS}, s) || return Cint(-1)",
        f"joint(memory + {at + parameters * dtype.itemsize}, v, y, s, env)",
        "end",
        f"unsafe_copyto!(out, memory + {at}, {parameters})",
        "return Cint(0)",
    ]
    signature = f"out::{pointer}, v::{pointer}, y::{pointer}, s::Float64, env::Ptr{{Int}}"
    return "\n".join([f"function vjp_p({signature})::Cint", *lines, "end", ""])


def remembered_at(size: int, kind: str) -> int:
    """Where in the memory of products the parameters' part begins, in bytes."""
    return 8 + 2 * size * (8 if kind == "Float64" else 4)


def memory_size(size: int, parameters: int, dtype: torch.dtype) -> int:
    """Bytes of the memory of products: the point, the product with the parameters, that with the state."""
    return remembered_at(size, julia_type(dtype)) + (parameters + size) * dtype.itemsize
