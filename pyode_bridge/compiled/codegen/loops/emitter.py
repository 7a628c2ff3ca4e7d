"""Large graphs: loops over memory, each computing a whole expression, and matrix products by BLAS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.loops.angles import quick_angles
from pyode_bridge.compiled.codegen.loops.buffers import Buffers, uses
from pyode_bridge.compiled.codegen.loops.expressions import Computed, Expression, Known, Memory, laid_out
from pyode_bridge.compiled.codegen.loops.filling import filled
from pyode_bridge.compiled.codegen.loops.loop_nest import LoopNest
from pyode_bridge.compiled.codegen.loops.reductions import Reduction
from pyode_bridge.compiled.codegen.loops.scatter import Tables, destination
from pyode_bridge.compiled.lowerings.emitter import Move
from pyode_bridge.compiled.lowerings.templates import COPY

LARGEST_EXPRESSION = 60  # operations that are computed anew rather than kept in memory


class LoopEmitter:
    """Writes a graph as loops; ``pointer_to`` names the pointer to a constant table."""

    def __init__(self, pointer_to: Callable[[Tensor], str]) -> None:
        self._pointer_to = pointer_to
        self._statements: list[list[str]] = []
        self._buffers = Buffers()
        self._adders: dict[str, tuple[int, Callable[[], list[str]]]] = {}
        self._sums: list[tuple[str, int, str]] = []
        self._count = 0

    def _fresh(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def lines(self) -> list[str]:
        """The code, which begins with where in ``work`` each buffer lies."""
        statements = self._settled()
        return self._buffers.pointers(statements) + [line for each in statements for line in quick_angles(each)]

    def work_size(self) -> int:
        """Bytes of memory that the code works in."""
        return self._buffers.size(self._settled())

    def _settled(self) -> list[list[str]]:
        """The statements; a buffer that is made for nothing but a sum of outputs is added to that where it is made."""
        used = uses(self._statements) if self._sums else {}
        for name, index, where in self._sums:
            maker, adding = self._adders[name]
            if used[name] == [maker, index]:
                self._statements[maker], self._statements[index] = adding(), []
                self._buffers.place(name, where)
        self._sums.clear()
        return self._statements

    def stop_if(self, condition: str) -> None:
        """Compute nothing more where the condition, Julia's, is true."""
        self._statements.append([f"{condition} && return Cint(0)"])

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
        return self._limited(Computed(template, compute, dtype, _spread(operands, shape)))

    def choose(
        self, condition: Expression, yes: Expression, no: Expression, dtype: torch.dtype, shape: Sequence[int]
    ) -> Expression:
        """Element by element, one of two."""
        parts = _spread([condition, self.cast(yes, dtype), self.cast(no, dtype)], shape)
        return self._limited(Computed(None, dtype, dtype, parts))

    def _limited(self, made: Computed) -> Expression:
        return self.realized(made) if made.size > LARGEST_EXPRESSION else made

    def cast(self, array: Expression, dtype: torch.dtype) -> Expression:
        """The array in another dtype."""
        return array if array.dtype == dtype else Computed(COPY, dtype, dtype, (array,))

    def realized(self, array: Expression) -> Expression:
        """The array in memory, to be used more than once, if it is more than memory."""
        return array if isinstance(array, (Memory, Known)) else self._stored(array)

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
        numbered, count = [], 1  # each element as its number, from 1 over all arrays; 0 is none
        for array in arrays:
            size = laid_out(array.shape, dtype).numel()
            numbered.append(torch.arange(count, count + size).reshape(array.shape))
            count += size
        result = move(*numbered)
        target = self._buffers.new(result.shape, dtype)
        sources = result.ravel()
        statement: list[str] = []
        if bool((sources == 0).any()):
            statement += filled(target, Known(target.layout, 0), self._fresh)
        for array, own in zip(arrays, numbered, strict=True):
            where = destination(own, sources, target.layout, first=not statement)
            if isinstance(where, Tables):
                statement += self._by_tables(array, where, target)
            elif where is not None:
                statement += filled(Memory(where, target.name), array, self._fresh)
        self._statements.append(statement)
        return target

    def _by_tables(self, array: Expression, tables: Tables, target: Memory) -> list[str]:
        flat = self._flat(array)
        to, of = self._pointer_to(tables.to), self._pointer_to(tables.of)
        load = f"unsafe_load({flat.name}, unsafe_load({of}, i) + 1)"
        store = f"unsafe_store!({target.name}, {load}, unsafe_load({to}, i) + 1)"
        return [f"for i in 1:{len(tables.to)}", store, "end"]

    def reduced(
        self, array: Expression, dims: Sequence[int], template: str, start: float, dtype: torch.dtype
    ) -> Expression:
        """Elements along dims combined by a template of two, beginning with ``start``; the dims are left out."""
        array = self.cast(array, dtype)
        kept = [dim for dim in range(len(array.shape)) if dim not in dims]
        target = self._buffers.new([array.shape[dim] for dim in kept], dtype)
        reduction = Reduction(array, dims, kept, template, start, target)
        if reduction.is_sum:
            self._can_add(target, lambda: reduction.text(self._fresh, added=True))
        self._statements.append(reduction.text(self._fresh))
        return target

    def _can_add(self, target: Memory, adding: Callable[[], list[str]]) -> None:
        """Note how the next statement would add to what is at its target."""
        self._adders[target.name] = len(self._statements), adding

    def added_at(self, array: Expression, values: Expression, indices: Tensor, dtype: torch.dtype) -> Expression:
        """The array with values added to its elements at flat indices, several to some."""
        target = self._stored(self.cast(array, dtype))
        flat, table = self._flat(self.cast(values, dtype)), self._pointer_to(indices)
        index = f"unsafe_load({table}, i) + 1"
        sum_ = f"unsafe_load({target.name}, {index}) + unsafe_load({flat.name}, i)"
        self._statements.append([f"for i in 1:{len(indices)}", f"unsafe_store!({target.name}, {sum_}, {index})", "end"])
        return target

    def product(self, a: Expression, b: Expression, dtype: torch.dtype) -> Expression:
        """Matrix products of ``(..., m, k)`` and ``(..., k, n)``."""
        *batch, m, k = a.shape
        n = b.shape[-1]
        if not m * n * k:
            return Known(laid_out([*batch, m, n], dtype), 0)
        first, second = (self._in_memory(self.cast(part, dtype)) for part in (a, b))
        target = self._buffers.new([*batch, m, n], dtype)
        matrices = (target, first, second)
        corners = [matrix.layout[..., :1, :1].expand(*batch, 1, 1) for matrix in matrices]
        nest = LoopNest.over(corners, range(len(batch)), "i")
        pointers = [
            f"{matrix.name} + ({nest.address(number, matrix.offset)} - 1) * {dtype.itemsize}"
            for number, matrix in enumerate(matrices)
        ]
        steps = (*first.layout.stride()[-2:], *second.layout.stride()[-2:])
        arguments = f"{', '.join(pointers)}, {m}, {n}, {k}, {', '.join(map(str, steps))}"
        self._can_add(target, lambda: nest.text((), [f"product!({arguments}, true)"], simd=""))
        self._statements.append(nest.text((), [f"product!({arguments})"], simd=""))
        return target

    def called(
        self,
        kernel: str,
        arrays: Sequence[Expression],
        results: Sequence[tuple[Sequence[int], torch.dtype]],
        *numbers: int,
    ) -> list[Expression]:
        """Results that a kernel writes, which is given arrays in memory row by row, and numbers."""
        given = [self._flat(array).name for array in arrays]
        targets = [self._buffers.new(shape, dtype) for shape, dtype in results]
        arguments = [*(target.name for target in targets), *given, *map(str, numbers)]
        self._statements.append([f"{kernel}({', '.join(arguments)})"])
        return list(targets)

    def store(self, array: Expression, name: str, offset: int, dtype: torch.dtype, *, may_be_null: bool) -> None:
        """Write the elements to the memory at the pointer ``name``, from an offset, one after another.

        What was to be kept in a buffer is computed there at once, unless the pointer may be null.
        """
        buffer, where = self._buffer(array, dtype), f"{name} + {offset * dtype.itemsize}"
        if buffer and not may_be_null and self._buffers.place(buffer, where):
            return
        target = Memory(laid_out(array.shape, dtype, offset=offset), name)
        self._statements.append(filled(target, self.cast(array, dtype), self._fresh))

    def add(self, array: Expression, name: str, offset: int, dtype: torch.dtype) -> None:
        """Add the elements to those in the memory at the pointer ``name`` likewise."""
        buffer, where = self._buffer(array, dtype), f"{name} + {offset * dtype.itemsize}"
        if buffer in self._adders:
            self._sums.append((buffer, len(self._statements), where))
        target = Memory(laid_out(array.shape, dtype, offset=offset), name)
        self._statements.append(filled(target, self.cast(array, dtype), self._fresh, added=True))

    def _buffer(self, array: Expression, dtype: torch.dtype) -> str:
        """The name of the buffer that an array of that dtype is the whole of; empty where it is none."""
        if isinstance(array, Memory) and array.dtype == dtype and self._buffers.is_whole(array):
            return array.name
        return ""

    def _stored(self, array: Expression) -> Memory:
        target = self._buffers.new(array.shape, array.dtype)
        self._can_add(target, lambda: filled(target, array, self._fresh, added=True))
        self._statements.append(filled(target, array, self._fresh))
        return target

    def _in_memory(self, array: Expression) -> Memory:
        return array if isinstance(array, Memory) else self._stored(array)

    def _flat(self, array: Expression) -> Memory:
        """The array in memory, its elements one after another from the pointer on."""
        if isinstance(array, Memory) and array.layout.is_contiguous() and not array.offset:
            return array
        return self._stored(array)


def _spread(operands: Sequence[Expression], shape: Sequence[int]) -> tuple[Expression, ...]:
    """Operands as arrays of the shape that they broadcast to."""
    return tuple(operand.moved(lambda layout: layout.expand(tuple(shape))) for operand in operands)
