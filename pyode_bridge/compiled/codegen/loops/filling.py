"""Loops that write an expression to memory, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyode_bridge.compiled.codegen.loops.expressions import Expression, Memory
from pyode_bridge.compiled.codegen.loops.loop_nest import LoopNest
from pyode_bridge.compiled.codegen.scalars import Lines, Scalar, literal

Fresh = Callable[[], str]  # makes names of variables


def filled(target: Memory, array: Expression, fresh: Fresh, *, added: bool = False) -> list[str]:
    """Code that writes an expression to memory of its shape, or adds it to what is there."""
    memories = array.memories()
    layouts = [target.layout, *(memory.layout for memory in memories)]
    nest = LoopNest.over(layouts, range(len(target.shape)), "i")
    outer, inner = Lines(fresh), Lines(fresh)
    value = array.value(inner, loader(nest, memories, outer, inner))
    address = nest.address(0, target.offset)
    result = literal(value, target.dtype)
    if added:
        result = f"unsafe_load({target.name}, {address}) + {result}"
    inner.lines.append(f"unsafe_store!({target.name}, {result}, {address})")
    return nest.text(outer.lines, inner.lines)


def loader(nest: LoopNest, memories: Sequence[Memory], outer: Lines, inner: Lines) -> Callable[[Memory], Scalar]:
    """What loads the current element of memories, which are the nest's arrays behind the first, the target."""
    numbers = {id(memory): number for number, memory in enumerate(memories, 1)}

    def load(memory: Memory) -> Scalar:
        number = numbers[id(memory)]
        address = nest.address(number, memory.offset)
        return (outer if nest.is_invariant(number) else inner).named(f"unsafe_load({memory.name}, {address})")

    return load
