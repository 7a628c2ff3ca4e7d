"""What was made of dynamics: compiled functions, for all dynamics that are traced to the same graphs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.entry_points import memory_size, signatures
from pyode_bridge.compiled.codegen.written_functions import WrittenFunctions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime import sparse_jacobian
from pyode_bridge.compiled.runtime.backend import Backend
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.compiled.runtime.workspace_pool import WorkspacePool
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.sparsity import Sparsity

if TYPE_CHECKING:
    from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions

_tracing = threading.RLock()  # torch traces in one thread at a time


class Translation:
    """The functions that were compiled of dynamics so far.

    Attributes:
        addresses: of the C functions, by name.
        constants: tensors that they read, beside those from outside.
        workspaces: that they work in.
        checked: names of the functions that were compared with torch.
        refusal: why the callbacks are used after all, or None.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.constants: list[Tensor] = []
        self.workspaces = WorkspacePool()
        self.checked: set[str] = set()
        self.refusal: str | None = None
        self._patterns: list[Sparsity | None] = []
        self._adding = threading.RLock()

    def has_all(self, names: Sequence[str]) -> bool:
        """Whether these functions are compiled and compared, or known not to be had."""
        return self.checked.issuperset(names)

    def add(self, names: Sequence[str], start: Start, tensors: Sequence[Tensor], backend: Backend) -> None:
        """Compile the functions of those names that are missing."""
        if all(name in self.addresses for name in names):
            return
        with self._adding:
            self._add([name for name in names if name not in self.addresses], start, tensors, backend)

    def try_to_add(self, name: str, start: Start, tensors: Sequence[Tensor], backend: Backend) -> None:
        """The same for a Jacobian; where it cannot be had, the solver calls Python for it."""
        if name in self.checked:
            return
        try:
            self.add([name], start, tensors, backend)
        except UnsupportedDynamicsError:
            self.checked.add(name)

    def pattern(self, start: Start, tensors: Sequence[Tensor]) -> Sparsity | None:
        """That of the Jacobian, found in the graph at the first time; None where there is none."""
        with self._adding:
            if not self._patterns:
                with _tracing:
                    self._patterns.append(sparse_jacobian.found(start, tensors))
            return self._patterns[0]

    def _add(self, missing: Sequence[str], start: Start, tensors: Sequence[Tensor], backend: Backend) -> None:
        if not missing:
            return  # another thread has added them
        dynamics = start.dynamics
        functions = self._functions(start, tensors)
        with _tracing:
            text = "\n".join(_text(functions, name) for name in missing)
        called = signatures(missing, start.parts)
        found = backend.compile(text, str(dynamics.structure.dtype).removeprefix("torch."), called)
        self.workspaces.grow(functions.work_size)
        if is_written(dynamics.func):
            self.checked.update(missing)  # torch has nothing to compare with
        # The last: what another thread finds here, it calls with a workspace that it makes then.
        addresses = {name: int(address) for (name, _), address in zip(called, found, strict=True)}
        self.addresses.update({name: addresses.get(name, 0) for name in missing})

    def _functions(self, start: Start, tensors: Sequence[Tensor]) -> TracedFunctions | WrittenFunctions:
        if is_written(start.dynamics.func):
            return WrittenFunctions(start.dynamics, tensors)
        from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions  # torch's tracing is slow to load

        return TracedFunctions(start, tensors, self.constants)

    def workspace(self, dynamics: Dynamics, read: Sequence[Tensor], backend: Backend) -> Workspace:
        """One that no other solve has, for functions that read these tensors; give it back to `workspaces`."""
        workspace = self.workspaces.take(len(read))
        if workspace is None:
            memory = memory_size(dynamics.size, dynamics.parameter_size, dynamics.structure.dtype)
            workspace = backend.workspace(len(read), self.workspaces.work_size, memory)
        workspace.begin(read)
        return workspace


def _text(functions: TracedFunctions | WrittenFunctions, name: str) -> str:
    """The text of a function; whatever goes wrong with it, the callbacks can serve."""
    try:
        return functions.text(name)
    except UnsupportedDynamicsError:
        raise
    except Exception as error:
        raise UnsupportedDynamicsError(f"its translation failed ({type(error).__name__}: {error})") from error
