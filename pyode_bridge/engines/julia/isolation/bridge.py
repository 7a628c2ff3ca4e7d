"""The Julia of a worker, as the engine knows one: compiled dynamics alone, since it cannot call this process."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.failures import JuliaRaisedError
from pyode_bridge.engines.julia.guard import Raised
from pyode_bridge.engines.julia.isolation.messages import JULIA, SERVICE
from pyode_bridge.engines.julia.isolation.transfer import Reads, Remote, Writes
from pyode_bridge.engines.julia.isolation.worker import Worker
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics

REFUSAL = (
    "isolation='process' is for dynamics that are translated to Julia, with nothing that calls Python, but {}. "
    "isolation='none' solves in this process (and PYODE_BRIDGE_ISOLATION=none, where a function has no such argument)."
)


class Isolated:
    """As `InProcess`, in a worker.

    Args:
        worker: one that has started.

    Attributes:
        worker: the same.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.translations = Translations()
        self.callbacks = functools.partial(CompiledAlone, worker)
        self.reads, self.writes = Reads, Writes
        self.is_here = False
        self.one_ensemble = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        found = functools.partial(self.worker.call, JULIA, name)
        setattr(self, name, found)
        return found

    def workspace(self, tensors: int, work_size: int, memory_size: int) -> RemoteWorkspace:
        """A workspace in the worker."""
        return RemoteWorkspace(self.worker, tensors, work_size, memory_size)

    def evaluate(self, address: int, out: Tensor, vectors: Sequence[Tensor], s: float, workspace: Workspace) -> None:
        """Call a compiled function, which writes ``out``."""
        inputs = list(map(Reads, vectors))
        try:
            self.worker.call(SERVICE, "evaluate", address, Writes(out), inputs, s, workspace.address)
        except JuliaRaisedError as failure:
            raise UnsupportedDynamicsError(f"its translation failed ({failure.message.splitlines()[0]})") from failure

    def keep(self, tensor: Tensor) -> Kept:
        """The values that a tensor has now, in the worker, for as long as this lives."""
        array = Reads(tensor)
        return Kept(*self.worker.call(SERVICE, "keep", array, array.size))

    def check_callable(self, why: str) -> None:
        """Raise UnsupportedError; ``why`` says what would have to be called."""
        raise UnsupportedError(REFUSAL.format(why))


class Kept:
    """An array in the worker."""

    def __init__(self, remote: Remote, address: int) -> None:
        self._remote, self._address = remote, address

    def data_ptr(self) -> int:
        """Where it lies there."""
        return self._address


class RemoteWorkspace(Workspace):
    """A workspace in a worker; this has its addresses, and asks there for the rest."""

    def __init__(self, worker: Worker, tensors: int, work_size: int, memory_size: int) -> None:
        self._worker = worker
        self.work_size, self.memory_size = work_size, memory_size
        self._remote, found = worker.call(SERVICE, "workspace", worker.listen(self), tensors, work_size, memory_size)
        self.address, self.size, self.empty_product = found["address"], found["size"], found["empty_product"]
        self._jacobian_address: int = found["jacobian"]
        self.rest()

    def begin(self, tensors: Sequence[Any]) -> None:
        """Be as new, for functions that read copies of ``tensors`` as they are now."""
        arrays = [Reads(tensor) for tensor in tensors]
        self._worker.post(self._remote, "begin_with", [(array, array.size) for array in arrays])

    @property
    def jacobian(self) -> int:
        """The address of a function that fails: there is no Jacobian but a compiled one."""
        return self._jacobian_address

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are to be computed at once, by a function for that."""
        self._worker.post(self._remote, "compute_jointly", joint)

    def take_counts(self) -> tuple[int, int, int]:
        """Calls of the right-hand side, of products and of the Jacobian since the last time."""
        counts: tuple[int, int, int] = self._worker.call(self._remote, "take_counts")
        return counts

    def forget_counts(self) -> None:
        """Count from 0."""
        self._worker.post(self._remote, "forget_counts")

    def hear(self, value: float) -> None:
        """Be told the time."""
        self.on_tick(value)


class CompiledAlone(Callbacks):
    """Addresses of compiled functions in a worker, and refusals for all others."""

    def __init__(self, worker: Worker, dynamics: Dynamics, lane: Lane | None = None) -> None:
        super().__init__(dynamics, lane)
        self._worker = worker
        self._heard: list[Any] = []

    def listener(self, function: Callable[[int], None]) -> int:
        """Address of a C function that passes a number on."""
        heard = _Heard(self._guard.act(function))
        remote, address = self._worker.call(SERVICE, "listener", self._worker.listen(heard))
        self._heard.append((heard, remote))
        return int(address)

    def raised(self) -> Raised:
        """Ask the worker: an exception that was kept meanwhile comes after it."""
        return Raised(self._guard, self.lane)

    def _pointer(self, thunk: Any) -> int:
        raise UnsupportedError(
            REFUSAL.format(
                "a solve calls Python for a norm that is a function, for callbacks of steps, and for what is not "
                "translated of jac_sparsity, isoutofdomain, unstable_check or parts of its own"
            )
        )


class _Heard:
    def __init__(self, function: Callable[[int], int]) -> None:
        self._function = function

    def hear(self, value: float) -> None:
        self._function(int(value))
