"""What the engine asks of a Julia: the functions of its package, and that it sees tensors. This one is in this process.

A Julia in another process has the same attributes and methods; see `pyode_bridge.engines.julia.isolation.bridge`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.c_functions import ONE_INPUT, TWO_INPUTS
from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.failures import described


class InProcess:
    """The functions of the Julia package, each looked up once: a look takes as long as a call.

    Args:
        module: PyODEBridge.

    Attributes:
        translations: what was compiled so far.
        callbacks: makes the C functions of a problem.
        reads, writes: the address of a contiguous tensor whose values Julia reads, or writes, in the call that it is
            passed to.
        is_here: whether Julia is in this process.
        one_ensemble: a lock; each takes all of Julia's threads, and what ends one would end another.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._evaluated: dict[int, Any] = {}
        self.translations = Translations()
        self.callbacks = Callbacks
        self.reads = self.writes = torch.Tensor.data_ptr
        self.workspace = Workspace
        self.is_here = True
        self.one_ensemble = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        setattr(self, name, found)
        return found

    def evaluate(self, address: int, out: Tensor, vectors: Sequence[Tensor], s: float, workspace: Workspace) -> None:
        """Call a compiled function, which writes ``out``.

        At the first time by Julia, which tells what it throws; thrown through C, that would end the program.
        """
        pointers = [vector.data_ptr() for vector in vectors]
        function = self._evaluated.get(address)
        if function is not None:
            function(out.data_ptr(), *pointers, s, workspace.address)
            return
        try:
            self.call_translation(address, out.data_ptr(), pointers, s, workspace.address)
        except Exception as error:
            failure = described(error)
            if failure is None:
                raise
            raise UnsupportedDynamicsError(f"its translation failed ({failure.message.splitlines()[0]})") from error
        self._evaluated[address] = (ONE_INPUT if len(pointers) == 1 else TWO_INPUTS)(address)

    def keep(self, tensor: Tensor) -> Tensor:
        """What has the values of a tensor in Julia's memory for as long as it lives, at ``data_ptr()``."""
        return tensor

    def check_callable(self, why: str) -> None:
        """Raise UnsupportedError where Julia cannot call Python; ``why`` follows "because"."""
