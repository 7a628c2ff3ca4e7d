"""Large graphs: loops over memory, each computing a whole expression, and matrix products by BLAS."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.layout import aligned
from pyode_bridge.compiled.codegen.loops.angles import quick_angles
from pyode_bridge.compiled.codegen.loops.expressions import Computed, Expression, Known, Memory, Move, laid_out
from pyode_bridge.compiled.codegen.loops.nests import Nest, loops, nest
from pyode_bridge.compiled.codegen.scalars import Lines, julia_type, literal
from pyode_bridge.compiled.lowerings.templates import COPY

LARGEST_EXPRESSION = 60  # operations that are computed anew rather than kept
_BUFFER = re.compile(r"\bb\d+\b")


class ByLoops:
    """Writes a graph as loops; ``pointer_to`` names the pointer to a constant table."""

    def __init__(self, pointer_to: Callable[[Tensor], str]) -> None:
        self._pointer_to = pointer_to
        self._statements: list[list[str]] = []
        self._buffers: dict[str, tuple[int, str]] = {}  # bytes and type, by name
        self._count = 0

    def _fresh(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def lines(self) -> list[str]:
        """The code, which begins with where in ``work`` each buffer lies."""
        offsets, _ = self._allocated()
        placed = [
            f"{name} = Ptr{{{self._buffers[name][1]}}}(work + {offset})" for name, offset in sorted(offsets.items())
        ]
        return placed + [line for statement in self._statements for line in quick_angles(statement)]

    def work_size(self) -> int:
        """Bytes of memory that the code works in."""
        return self._allocated()[1]

    def _allocated(self) -> tuple[dict[str, int], int]:
        """An offset for each buffer, such that those in use at the same time do not overlap, and the whole size."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for place, statement in enumerate(self._statements):
            for name in set(_BUFFER.findall("\n".join(statement))):
                first.setdefault(name, place)
                last[name] = place
        offsets: dict[str, int] = {}
        total = 0
        for name in sorted(first, key=lambda name: first[name]):
            size = self._buffers[name][0]
            beside = sorted(
                (offsets[other], offsets[other] + self._buffers[other][0])
                for other in offsets
                if last[other] >= first[name]
            )
            offset = 0
            for begin, end in beside:
                if begin - offset >= size:
                    break
                offset = max(offset, end)
            offsets[name] = offset
            total = max(total, offset + size)
        return offsets, total

    def input(self, name: str, layout: Tensor) -> Expression:
        """An array in memory at the pointer ``name``, laid out as a tensor is."""
        return Memory(laid_out(layout.shape, layout.dtype, layout.stride()), name)

    def scalar(self, name: str, dtype: torch.dtype) -> Expression:
        """A scalar variable."""
        return Known(laid_out((), dtype), name)

    def constant(self, tensor: Tensor) -> Expression:
        """Numbers that are known: one for all, or a table."""
        if tensor.numel() and bool((tensor == tensor.ravel()[0]).all()):
            return Known(laid_out(tensor.shape, tensor.dtype), tensor.ravel()[0].item())
        table = tensor.contiguous()
        return Memory(laid_out(table.shape, table.dtype), self._pointer_to(table))

    def pointwise(
        self,
        template: str,
        compute: torch.dtype,
        dtype: torch.dtype,
        shape: Sequence[int],
        operands: Sequence[Expression],
    ) -> Expression:
        """A template over broadcast operands, computed in one dtype with a result of another."""
        return self._limited(Computed(template, compute, dtype, self._spread(operands, shape)))

    def choose(
        self, condition: Expression, yes: Expression, no: Expression, dtype: torch.dtype, shape: Sequence[int]
    ) -> Expression:
        """Element by element, one of two."""
        parts = self._spread([condition, self.cast(yes, dtype), self.cast(no, dtype)], shape)
        return self._limited(Computed(None, dtype, dtype, parts))

    def _spread(self, operands: Sequence[Expression], shape: Sequence[int]) -> tuple[Expression, ...]:
        return tuple(operand.moved(lambda layout: layout.expand(tuple(shape))) for operand in operands)

    def _limited(self, made: Computed) -> Expression:
        return self.kept(made) if made.size > LARGEST_EXPRESSION else made

    def cast(self, array: Expression, dtype: torch.dtype) -> Expression:
        """The array in another dtype."""
        return array if array.dtype == dtype else Computed(COPY, dtype, dtype, (array,))

    def kept(self, array: Expression) -> Expression:
        """The array in memory, to be used more than once, if it is more than memory."""
        return array if isinstance(array, (Memory, Known)) else self._stored(array)

    def _stored(self, array: Expression) -> Memory:
        target = self._buffer(array.shape, array.dtype)
        self._store(array, target)
        return target

    def _buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Memory:
        layout = laid_out(shape, dtype)
        name = f"b{len(self._buffers) + 1}"
        self._buffers[name] = (aligned(layout.numel() * layout.element_size()), julia_type(dtype))
        return Memory(layout, name)

    def _store(self, array: Expression, target: Memory) -> None:
        self._statements.append(self._filling(array, target))

    def _filling(self, array: Expression, target: Memory) -> list[str]:
        """Code that writes an expression to memory of its shape."""
        memories = array.memories()
        found = nest([target.layout, *(memory.layout for memory in memories)], range(len(target.shape)), "i")
        outer, inner = Lines(self._fresh), Lines(self._fresh)
        value = array.value(inner, _loader(found, memories, 1, outer, inner))
        address = found.address(0, target.offset)
        inner.lines.append(f"unsafe_store!({target.name}, {literal(value, target.dtype)}, {address})")
        return loops(found, outer.lines, inner.lines)

    def moved(self, move: Move, arrays: Sequence[Expression], dtype: torch.dtype) -> Expression:
        """The elements of arrays where ``move``, which only moves elements, puts them; what it adds are zeros."""
        if len(arrays) == 1:
            for array in (arrays[0], None):
                try:
                    return (array or self._stored(arrays[0])).moved(move)
                except RuntimeError:
                    if isinstance(arrays[0], Memory) and arrays[0].layout.is_contiguous():
                        break
        return self._scattered(move, [self.cast(array, dtype) for array in arrays], dtype)

    def _scattered(self, move: Move, arrays: Sequence[Expression], dtype: torch.dtype) -> Expression:
        places, found = [], 1
        for array in arrays:
            count = laid_out(array.shape, dtype).numel()
            places.append(torch.arange(found, found + count).reshape(array.shape))
            found += count
        result = move(*places)
        target = self._buffer(result.shape, dtype)
        sources = result.ravel()
        statement: list[str] = []
        if bool((sources == 0).any()):
            statement += self._filling(Known(target.layout, 0), target)
        for array, own in zip(arrays, places, strict=True):
            statement += self._pasted(array, own.ravel(), sources, target, first=not statement)
        self._statements.append(statement)
        return target

    def _pasted(self, array: Expression, own: Tensor, sources: Tensor, target: Memory, *, first: bool) -> list[str]:
        """Code that writes those elements of an array to memory that belong there, after which others are written."""
        if not len(own):
            return []
        mine = (sources >= own[0]) & (sources <= own[-1])
        to = torch.nonzero(mine).ravel()
        of = sources[to] - own[0]
        if tuple(array.shape) == target.shape and torch.equal(to, of) and (first or len(to) == len(own)):
            return self._filling(array, target)  # with what others overwrite
        if len(to) == len(own) and bool((of.sort().values == torch.arange(len(own))).all()):
            regular = _regular(to[of.argsort()].reshape(array.shape))
            if regular is not None:
                view = laid_out(array.shape, target.dtype, *regular)
                return self._filling(array, Memory(view, target.name))
        flat = self._flat(array)
        tables = [self._pointer_to(table) for table in (to, of)]
        return [
            f"for i in 1:{len(to)}",
            f"unsafe_store!({target.name}, unsafe_load({flat.name}, unsafe_load({tables[1]}, i) + 1), "
            f"unsafe_load({tables[0]}, i) + 1)",
            "end",
        ]

    def _flat(self, array: Expression) -> Memory:
        """The array in memory, its elements one after another from the pointer on."""
        if isinstance(array, Memory) and array.layout.is_contiguous() and not array.offset:
            return array
        return self._stored(array)

    def reduced(
        self, array: Expression, dims: Sequence[int], template: str, start: float, dtype: torch.dtype
    ) -> Expression:
        """Elements along dims combined by a template of two, beginning with ``start``; the dims are left out."""
        array = self.cast(array, dtype)
        kept = [dim for dim in range(len(array.shape)) if dim not in dims]
        target = self._buffer([array.shape[dim] for dim in kept], dtype)
        beside = target.layout
        for dim in sorted(dims):
            beside = beside.unsqueeze(dim)
        spread = Memory(beside.expand(array.shape), target.name)
        by_rows = bool(kept) and kept[-1] == len(array.shape) - 1 and array.shape[-1] > 1
        write = self._summed_by_rows if by_rows else self._summed
        self._statements.append(write(array, spread, target, kept, list(dims), template, start))
        return target

    def _summed(
        self, array: Expression, spread: Memory, target: Memory, kept: Any, dims: Any, template: str, start: float
    ) -> list[str]:
        """One total at a time."""
        memories = array.memories()
        layouts = [spread.layout, *(memory.layout for memory in memories)]
        over, along = nest(layouts, kept, "i"), nest(layouts, dims, "k")
        both = Nest(
            (*over.sizes, *along.sizes),
            (*over.variables, *along.variables),
            tuple((*a, *b) for a, b in zip(over.strides, along.strides, strict=True)),
        )
        total = self._fresh()
        outer, inner = Lines(self._fresh), Lines(self._fresh)
        value = array.value(inner, _loader(both, memories, 1, outer, inner))
        inner.lines.append(
            f"{total} = {template.format(total, literal(value, target.dtype), T=julia_type(target.dtype))}"
        )
        body = [f"{total} = {literal(start, target.dtype)}"]
        body += loops(along, outer.lines, inner.lines, "@simd " if template == "{0} + {1}" else "")
        body.append(f"unsafe_store!({target.name}, {total}, {over.address(0, 0)})")
        return loops(over, (), body, simd="")

    def _summed_by_rows(
        self, array: Expression, spread: Memory, target: Memory, kept: Any, dims: Any, template: str, start: float
    ) -> list[str]:
        """All totals along the last dimension at a time."""
        memories = array.memories()
        layouts = [spread.layout, *(memory.layout for memory in memories)]
        over, along, row = nest(layouts, kept[:-1], "i"), nest(layouts, dims, "k"), nest(layouts, kept[-1:], "j")
        both = Nest(
            (*over.sizes, *along.sizes, *row.sizes),
            (*over.variables, *along.variables, *row.variables),
            tuple((*a, *b, *c) for a, b, c in zip(over.strides, along.strides, row.strides, strict=True)),
        )
        outer, inner = Lines(self._fresh), Lines(self._fresh)
        value = array.value(inner, _loader(both, memories, 1, outer, inner))
        total = inner.named(f"unsafe_load({target.name}, {both.address(0, 0)})")
        inner.lines.append(
            f"unsafe_store!({target.name}, "
            f"{template.format(total, literal(value, target.dtype), T=julia_type(target.dtype))}, {both.address(0, 0)})"
        )
        summing = loops(over, (), loops(along, (), loops(row, outer.lines, inner.lines), simd=""), simd="")
        return [*self._filling(Known(target.layout, start), target), *summing]

    def added_at(self, array: Expression, values: Expression, places: Tensor, dtype: torch.dtype) -> Expression:
        """The array with values added to its elements at places, several to some."""
        target = self._stored(self.cast(array, dtype))
        flat, table = self._flat(self.cast(values, dtype)), self._pointer_to(places)
        place = f"unsafe_load({table}, i) + 1"
        sum_ = f"unsafe_load({target.name}, {place}) + unsafe_load({flat.name}, i)"
        self._statements.append([f"for i in 1:{len(places)}", f"unsafe_store!({target.name}, {sum_}, {place})", "end"])
        return target

    def product(self, a: Expression, b: Expression, dtype: torch.dtype) -> Expression:
        """Matrix products of ``(..., m, k)`` and ``(..., k, n)``."""
        *batch, m, k = a.shape
        n = b.shape[-1]
        if not m * n * k:
            return Known(laid_out([*batch, m, n], dtype), 0)
        first, second = (self._placed(self.cast(part, dtype)) for part in (a, b))
        target = self._buffer([*batch, m, n], dtype)
        layouts = [target.layout, first.layout, second.layout]
        corner = [layout[..., :1, :1].expand(*batch, 1, 1) for layout in layouts]
        found = nest(corner, range(len(batch)), "i")
        pointers = [
            f"{memory.name} + ({found.address(place, memory.offset)} - 1) * {dtype.itemsize}"
            for place, memory in enumerate((target, first, second))
        ]
        steps = (*first.layout.stride()[-2:], *second.layout.stride()[-2:])
        call = f"product!({', '.join(pointers)}, {m}, {n}, {k}, {', '.join(map(str, steps))})"
        self._statements.append(loops(found, (), [call], simd=""))
        return target

    def _placed(self, array: Expression) -> Memory:
        return array if isinstance(array, Memory) else self._stored(array)

    def stop_if(self, condition: str) -> None:
        """Compute nothing more where the condition, Julia's, is true."""
        self._statements.append([f"{condition} && return Cint(0)"])

    def store(self, array: Expression, name: str, offset: int, dtype: torch.dtype) -> None:
        """Write the elements to the memory at the pointer ``name``, from an offset, one after another."""
        strides = laid_out(array.shape, dtype).stride()
        self._store(self.cast(array, dtype), Memory(laid_out(array.shape, dtype, strides, offset), name))


def _loader(found: Nest, memories: Sequence[Memory], first: int, outer: Lines, inner: Lines) -> Callable[[Memory], Any]:
    """What loads the current element of memories, which are the nest's arrays from ``first`` on."""
    places = {id(memory): place for place, memory in enumerate(memories, first)}

    def load(memory: Memory) -> Any:
        place = places[id(memory)]
        address = found.address(place, memory.offset)
        return (outer if found.is_still(place) else inner).named(f"unsafe_load({memory.name}, {address})")

    return load


def _regular(places: Tensor) -> tuple[tuple[int, ...], int] | None:
    """Strides and offset of places that are evenly spaced along each dimension, or None."""
    offset = int(places.ravel()[0])
    strides = []
    for dim, size in enumerate(places.shape):
        step = places.select(dim, 1).ravel()[0].item() - offset if size > 1 else 0
        strides.append(int(step))
    if min(strides, default=0) < 0:
        return None
    even = torch.full((), offset)
    for size, stride in zip(places.shape, strides, strict=True):
        even = even[..., None] + stride * torch.arange(size)
    return (tuple(strides), offset) if torch.equal(even.reshape(places.shape), places) else None
