"""Memory that two processes share. It has no name, so that nothing is left of it however they end."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile

from pyode_bridge.compiled.codegen.workspace_layout import aligned

SMALLEST = 1 << 16  # bytes
LARGEST_KEPT = 1 << 26  # bytes that stay reserved between calls


class Mailbox:
    """Arrays on their way from one process to another, each at an offset, until it is cleared.

    Args:
        descriptor: of a mailbox's file that another process made; None makes one.

    Attributes:
        descriptor: of its file, for the process that is to share it.
        size: bytes; the process that takes memory makes it grow, and the other one follows.
        address: where it lies in this process, until it grows.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _file() if descriptor is None else descriptor
        self.size = 0
        self._taken = 0
        if descriptor is None:
            self._resize(SMALLEST)

    def take(self, size: int) -> int:
        """The offset of so many bytes that nobody has taken."""
        offset = self._taken
        self._taken = aligned(offset + size)
        if self._taken > self.size:
            self._resize(max(self._taken, 2 * self.size))
        return offset

    def clear(self) -> None:
        """Take everything back."""
        self._taken = 0
        if self.size > LARGEST_KEPT:
            self._resize(LARGEST_KEPT)

    def follow(self, size: int) -> None:
        """See all of it, where the other process made it so large."""
        if size != self.size:
            self._map(size)

    def close(self) -> None:
        """Let go of the file; what this process sees of it stays as long as this object."""
        os.close(self.descriptor)

    def _resize(self, size: int) -> None:
        os.ftruncate(self.descriptor, size)
        self._map(size)

    def _map(self, size: int) -> None:
        self._memory = mmap.mmap(self.descriptor, size)
        self.size = size
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))


def _file() -> int:
    if hasattr(os, "memfd_create"):  # on Linux; containers may have little room in /dev/shm
        return os.memfd_create("pyode_bridge")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
