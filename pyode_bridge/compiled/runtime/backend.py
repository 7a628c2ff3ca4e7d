"""What the runtime asks of whoever compiles Julia's text and runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from pyode_bridge.compiled.runtime.workspace import Workspace


class Backend(Protocol):
    """A Julia, in this process or another."""

    def compile(self, source: str, dtype: str, signatures: list[tuple[str, int]]) -> Sequence[int]:
        """The addresses of functions, whose names come with their numbers of vectors."""

    def workspace(self, tensors: int, work_size: int, memory_size: int) -> Workspace:
        """A workspace of functions that read so many tensors."""

    def evaluate(self, address: int, out: Tensor, vectors: Sequence[Tensor], s: float, workspace: Workspace) -> None:
        """Call the function at an address, which writes ``out``."""
