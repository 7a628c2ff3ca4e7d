"""The workspaces of one translation, of which each solve has one by itself."""

from __future__ import annotations

from pyode_bridge.compiled.codegen.workspace_layout import TENSORS
from pyode_bridge.compiled.runtime.workspace import Workspace


class WorkspacePool:
    """Those that no solve has at the moment serve the next.

    Attributes:
        idle: these, by how much they hold.
        work_size: bytes that the functions so far work in.
    """

    def __init__(self) -> None:
        self.idle: dict[tuple[int, int], list[Workspace]] = {}
        self.work_size = 0

    def grow(self, work_size: int) -> None:
        """Serve further functions, which work in so many bytes: those so far may be too small for them."""
        self.work_size = max(self.work_size, work_size)
        self.idle = {}

    def take(self, tensors: int) -> Workspace | None:
        """One for functions that read so many tensors, if there is one; `give_back` it."""
        try:  # no look first whether there is one: other threads take them too
            return self._idle_of(TENSORS - 1 + tensors, self.work_size).pop()
        except IndexError:
            return None

    def give_back(self, workspace: Workspace) -> None:
        """The next solve may have it."""
        workspace.rest()
        self._idle_of(workspace.size, workspace.work_size).append(workspace)

    def _idle_of(self, size: int, work_size: int) -> list[Workspace]:
        return self.idle.setdefault((size, work_size), [])
