"""Loop nests over arrays in memory, with as few loops as their layouts allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Nest:
    """Loops over dimensions that several arrays share.

    Attributes:
        sizes: iterations of each loop, outermost first.
        variables: names of their counters, from 0.
        strides: for each array, how far apart its elements are along each loop.
    """

    sizes: tuple[int, ...]
    variables: tuple[str, ...]
    strides: tuple[tuple[int, ...], ...]

    def address(self, array: int, offset: int) -> str:
        """The place of the current element of an array, from 1, for an offset in elements."""
        terms = [str(offset + 1)]
        for variable, stride in zip(self.variables, self.strides[array], strict=True):
            if stride:
                terms.append(variable if stride == 1 else f"{variable} * {stride}")
        return " + ".join(terms)

    def is_still(self, array: int) -> bool:
        """Whether an array stays at one place in the innermost loop."""
        return not self.strides[array] or self.strides[array][-1] == 0


def nest(layouts: Sequence[Tensor], dims: Sequence[int], prefix: str) -> Nest:
    """The loops over some dimensions of arrays of one shape; neighbouring dimensions are one loop where they can be."""
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
    return Nest(sizes, variables, tuple(zip(*(strides for _, strides in columns), strict=True)) or ((),) * len(layouts))


def loops(found: Nest, outer: Sequence[str], inner: Sequence[str], simd: str = "@simd ivdep ") -> list[str]:
    """The text: ``outer`` runs before the innermost loop, ``inner`` within it."""
    depth = len(found.sizes)
    text: list[str] = []
    for level, (size, variable) in enumerate(zip(found.sizes, found.variables, strict=True)):
        innermost = level == depth - 1
        if innermost:
            text += outer
        text.append(f"{simd if innermost else ''}for {variable} in 0:{size - 1}")
    if not depth:
        text += outer
    return [*text, *inner, *["end"] * depth]
