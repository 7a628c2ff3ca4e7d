"""Loop nests over arrays in memory, with as few loops as their layouts allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LoopNest:
    """Loops over dimensions that several arrays share.

    Attributes:
        sizes: iterations of each loop, outermost first.
        variables: names of their counters, from 0.
        strides: for each array, how far apart its elements are along each loop.
    """

    sizes: tuple[int, ...]
    variables: tuple[str, ...]
    strides: tuple[tuple[int, ...], ...]

    @staticmethod
    def over(layouts: Sequence[Tensor], dims: Sequence[int], prefix: str) -> LoopNest:
        """The loops over dimensions of arrays of one shape; neighbouring dimensions are one loop if they can be."""
        columns: list[tuple[int, tuple[int, ...]]] = []
        for dim in dims:
            size = layouts[0].shape[dim]
            if size == 1:
                continue
            strides = tuple(layout.stride(dim) for layout in layouts)
            if columns:
                outer, steps = columns[-1]
                if all(step == stride * size for step, stride in zip(steps, strides, strict=True)):
                    columns[-1] = (outer * size, strides)
                    continue
            columns.append((size, strides))
        sizes = tuple(size for size, _ in columns)
        variables = tuple(f"{prefix}{level}" for level in range(1, len(columns) + 1))
        by_array = tuple(zip(*(strides for _, strides in columns), strict=True))
        return LoopNest(sizes, variables, by_array or ((),) * len(layouts))

    def around(self, inner: LoopNest) -> LoopNest:
        """These loops with those of ``inner``, over the same arrays, within them."""
        strides = tuple((*outer, *own) for outer, own in zip(self.strides, inner.strides, strict=True))
        return LoopNest((*self.sizes, *inner.sizes), (*self.variables, *inner.variables), strides)

    def address(self, array: int, offset: int) -> str:
        """Where the current element of an array lies, from 1, for an offset in elements."""
        terms = [str(offset + 1)]
        for variable, stride in zip(self.variables, self.strides[array], strict=True):
            if stride:
                terms.append(variable if stride == 1 else f"{variable} * {stride}")
        return " + ".join(terms)

    def is_invariant(self, array: int) -> bool:
        """Whether the innermost loop stays at one element of an array."""
        return not self.strides[array] or self.strides[array][-1] == 0

    def text(self, outer: Sequence[str], inner: Sequence[str], simd: str = "@simd ivdep ") -> list[str]:
        """The loops: ``outer`` runs before the innermost, ``inner`` within it."""
        depth = len(self.sizes)
        text: list[str] = []
        for level, (size, variable) in enumerate(zip(self.sizes, self.variables, strict=True)):
            innermost = level == depth - 1
            if innermost:
                text += outer
            text.append(f"{simd if innermost else ''}for {variable} in 0:{size - 1}")
        if not depth:
            text += outer
        return [*text, *inner, *["end"] * depth]
