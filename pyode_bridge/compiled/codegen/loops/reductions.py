"""Loops that combine elements along dimensions, such as sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyode_bridge.compiled.codegen.loops.expressions import Expression, Known, Memory
from pyode_bridge.compiled.codegen.loops.filling import Fresh, filled, loader
from pyode_bridge.compiled.codegen.loops.loop_nest import LoopNest
from pyode_bridge.compiled.codegen.scalars import Lines, Scalar, julia_type, literal
from pyode_bridge.compiled.lowerings.templates import ADD


@dataclass(frozen=True)
class Reduction:
    """One reduction of an array.

    Attributes:
        array: what is reduced.
        dims, kept: the dimensions that are reduced, and the others.
        template: combines the total so far with an element.
        start: the total of nothing.
        target: where the totals go, without the dims.
    """

    array: Expression
    dims: Sequence[int]
    kept: Sequence[int]
    template: str
    start: float
    target: Memory

    def text(self, fresh: Fresh, *, added: bool = False) -> list[str]:
        """The code, which writes the totals, or adds them, which have to be sums, to what is there."""
        kept, shape = self.kept, self.array.shape
        by_rows = bool(kept) and kept[-1] == len(shape) - 1 and shape[-1] > 1
        return self._by_rows(fresh, added) if by_rows else self._one_by_one(fresh, added)

    @property
    def is_sum(self) -> bool:
        """Whether the totals are sums."""
        return self.template == ADD and self.start == 0

    def _one_by_one(self, fresh: Fresh, added: bool) -> list[str]:
        """One total at a time."""
        target = self.target
        over, along = self._nest(self.kept, "i"), self._nest(self.dims, "k")
        total = fresh()
        outer, inner = Lines(fresh), Lines(fresh)
        value = self.array.value(inner, loader(over.around(along), self.array.memories(), outer, inner))
        inner.lines.append(f"{total} = {self._combined(total, value)}")
        simd, address = "@simd " if self.template == ADD else "", over.address(0, 0)
        result = f"unsafe_load({target.name}, {address}) + {total}" if added else total
        body = [
            f"{total} = {literal(self.start, target.dtype)}",
            *along.text(outer.lines, inner.lines, simd),
            f"unsafe_store!({target.name}, {result}, {address})",
        ]
        return over.text((), body, simd="")

    def _by_rows(self, fresh: Fresh, added: bool) -> list[str]:
        """All totals along the last dimension at a time."""
        target, kept = self.target, self.kept
        over, along, row = self._nest(kept[:-1], "i"), self._nest(self.dims, "k"), self._nest(kept[-1:], "j")
        whole = over.around(along).around(row)
        address = whole.address(0, 0)
        outer, inner = Lines(fresh), Lines(fresh)
        value = self.array.value(inner, loader(whole, self.array.memories(), outer, inner))
        total = inner.named(f"unsafe_load({target.name}, {address})")
        inner.lines.append(f"unsafe_store!({target.name}, {self._combined(total, value)}, {address})")
        rows = row.text(outer.lines, inner.lines)
        begun = [] if added else filled(target, Known(target.layout, self.start), fresh)
        return [*begun, *over.text((), along.text((), rows, simd=""), simd="")]

    def _nest(self, dims: Sequence[int], prefix: str) -> LoopNest:
        """Loops over dims of the totals, which stay where they are along those that are reduced, and of the array."""
        totals = self.target.layout
        for dim in sorted(self.dims):
            totals = totals.unsqueeze(dim)
        layouts = [totals.expand(self.array.shape), *(memory.layout for memory in self.array.memories())]
        return LoopNest.over(layouts, dims, prefix)

    def _combined(self, total: str, value: Scalar) -> str:
        dtype = self.target.dtype
        return self.template.format(total, literal(value, dtype), T=julia_type(dtype))
