"""The entry points of a translation: Julia functions that C calls, with the workspace as their last argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from pyode_bridge.compiled.codegen.scalars import julia_type
from pyode_bridge.compiled.codegen.workspace_layout import (
    JACOBIAN_CALLS,
    JOINT,
    MEMORY,
    PART_CALLS,
    RHS_CALLS,
    TENSORS,
    VJP_CALLS,
    WORK,
    aligned,
)
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.forms import Part

if TYPE_CHECKING:
    from pyode_bridge.compiled.codegen.graph_lowering import Code
    from pyode_bridge.compiled.codegen.pointers import Pointers

PRODUCTS = "vjp", "delayed_vjp", "residual_vjp_p"
COUNTED = {"rhs": RHS_CALLS, "jacobian": JACOBIAN_CALLS, **dict.fromkeys(PRODUCTS, VJP_CALLS)}
# What each function takes before the time: where its results go, the vector of a product, the state. ``joint`` adds the
# product with the parameters to what is at ``dp``, and writes the other one, unless ``out`` is null.
OF_THE_STATE, OF_TWO = ("out", "y"), ("out", "v", "y")
VECTORS = {
    "rhs": OF_THE_STATE,
    "jacobian": OF_THE_STATE,
    "vjp": OF_TWO,
    "vjp_p": OF_TWO,
    "joint": ("out", "dp", "v", "y"),
}


def function_text(
    name: str,
    code: Code,
    dtype: torch.dtype,
    direction: Direction,
    pointers: Pointers,
    size: int,
    parameters: int,
    vectors: Sequence[str] = (),
) -> str:
    """The text of one function: ``name`` is that of the C function, or ``"joint"`` for both products at once.

    ``vectors`` are those of a part of an equation, as `VECTORS` has them of others.
    """
    kind = julia_type(dtype)
    body = [*_beginning(name, size, parameters, kind), f"t = {kind}({'-' if direction.decreases else ''}s)"]
    if code.work_size:
        body.append(f"work = unsafe_load(env, {WORK})")
    body += [
        f"p{slot} = Ptr{{{julia_type(own)}}}(unsafe_load(env, {TENSORS + slot - 1}))"
        for slot, own in sorted(pointers.used.items())
    ]
    return _defined(name, kind, [*body, *code.lines], vectors or VECTORS[name])


def signatures(names: Sequence[str], parts: Mapping[str, Part]) -> list[tuple[str, int]]:
    """C functions, with how many vectors each takes; ``joint`` is none, as the others alone call it."""
    return [(name, len(vectors_of(name, parts))) for name in names if name != "joint"]


def vectors_of(name: str, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """What a function takes before the time, as `VECTORS`, with those of the parts of an equation."""
    if name not in parts:
        return VECTORS[name]
    return OF_THE_STATE if len(parts[name].start) == 1 else OF_TWO


def _defined(name: str, kind: str, body: Sequence[str], vectors: Sequence[str]) -> str:
    signature = ", ".join([*(f"{vector}::Ptr{{{kind}}}" for vector in vectors), "s::Float64", "env::Ptr{Int}"])
    return "\n".join([f"function {name}({signature})::Cint", *body, "return Cint(0)", "end", ""])


def _beginning(name: str, size: int, parameters: int, kind: str) -> list[str]:
    if name == "joint":
        return []
    counted = [f"begin_call(env, {COUNTED.get(name, PART_CALLS)}, s) || return Cint(-1)"]
    if name == "vjp" and parameters:
        return [
            *counted,
            *_remembered(size, kind),
            "if mode != 0",
            f"begin_product!(memory, product, mode, v, y, s, {size}, {parameters})",
            "return joint(out, product, v, y, s, env)",
            "end",
        ]
    return counted


def parameter_product(dtype: torch.dtype, size: int, parameters: int) -> str:
    """The text of ``vjp_p``: what ``vjp`` left in memory, or computed now."""
    kind = julia_type(dtype)
    lines = [
        *_remembered(size, kind),
        f"known_product!(out, memory, product, mode, v, y, s, {size}, {parameters}) && return Cint(0)",
        f"begin_call(env, {VJP_CALLS}, s) || return Cint(-1)",
        f"zero!(out, {parameters})",
        f"joint(Ptr{{{kind}}}(C_NULL), out, v, y, s, env)",
    ]
    return _defined("vjp_p", kind, lines, VECTORS["vjp_p"])


def _remembered(size: int, kind: str) -> list[str]:
    """How products are computed, and where in memory."""
    return [
        f"mode = unsafe_load(env, {JOINT})",
        f"memory = Ptr{{{kind}}}(unsafe_load(env, {MEMORY}))",
        f"product = memory + {remembered_at(size, kind)}",
    ]


def remembered_at(size: int, kind: str) -> int:
    """Where in the memory of products the parameters' part begins, in bytes."""
    return aligned(8 + 2 * size * (8 if kind == "Float64" else 4))


def memory_size(size: int, parameters: int, dtype: torch.dtype) -> int:
    """Bytes of the memory of products: the point, and the product with the parameters."""
    return remembered_at(size, julia_type(dtype)) + parameters * dtype.itemsize
