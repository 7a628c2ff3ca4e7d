"""Memory for what a graph computes on the way: buffers that are not in use at the same time share it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from pyode_bridge.compiled.codegen.loops.expressions import Memory, laid_out
from pyode_bridge.compiled.codegen.scalars import julia_type
from pyode_bridge.compiled.codegen.workspace_layout import aligned

_NAME = re.compile(r"\bb\d+\b")

Statements = Sequence[Sequence[str]]


class Buffers:
    """The buffers of one graph, ``b1``, ``b2``, ...: a statement uses those that it names."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}  # in bytes
        self._types: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._placed: dict[str, str] = {}  # where those are that lie elsewhere

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> Memory:
        """One more, for an array that lies row by row."""
        layout = laid_out(shape, dtype)
        name = f"b{len(self._sizes) + 1}"
        self._sizes[name] = aligned(layout.numel() * layout.element_size())
        self._types[name] = julia_type(dtype)
        self._numbers[name] = layout.numel()
        return Memory(layout, name)

    def is_whole(self, array: Memory) -> bool:
        """Whether an array is a buffer, from its beginning to its end."""
        layout = array.layout
        return layout.is_contiguous() and not array.offset and self._numbers.get(array.name) == layout.numel()

    def place(self, name: str, where: str) -> bool:
        """Have a buffer lie elsewhere from the beginning; says whether it lay nowhere yet."""
        if name in self._placed:
            return False
        self._placed[name] = where
        return True

    def pointers(self, statements: Statements) -> list[str]:
        """Code that points to each, within ``work`` or elsewhere."""
        offsets = sorted(self._offsets(statements).items())
        within = [f"{name} = Ptr{{{self._types[name]}}}(work + {offset})" for name, offset in offsets]
        return within + [f"{name} = {where}" for name, where in self._placed.items()]

    def size(self, statements: Statements) -> int:
        """Bytes of all together."""
        return max((offset + self._sizes[name] for name, offset in self._offsets(statements).items()), default=0)

    def _offsets(self, statements: Statements) -> dict[str, int]:
        """Such that buffers in use at the same time do not overlap."""
        used = uses(statements)
        offsets: dict[str, int] = {}
        for name in sorted(used.keys() - self._placed.keys(), key=lambda name: used[name]):
            beside = [
                (offset, offset + self._sizes[other])
                for other, offset in offsets.items()
                if used[other][-1] >= used[name][0]
            ]
            offsets[name] = _gap(sorted(beside), self._sizes[name])
        return offsets


def uses(statements: Statements) -> dict[str, list[int]]:
    """The statements that name each buffer, in order."""
    found: dict[str, list[int]] = {}
    for index, statement in enumerate(statements):
        for name in set(_NAME.findall("\n".join(statement))):
            found.setdefault(name, []).append(index)
    return found


def _gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The first offset at which so many bytes are free between those that are taken."""
    offset = 0
    for begin, end in taken:
        if begin - offset >= size:
            break
        offset = max(offset, end)
    return offset
