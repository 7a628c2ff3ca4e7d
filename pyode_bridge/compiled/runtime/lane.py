"""The compiled lane of one solve: compiled functions, with the workspace that they read and write."""

from __future__ import annotations

import weakref
from collections.abc import Sequence, Set
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.codegen.workspace_layout import TENSORS
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.backend import Backend
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.problem.dynamics import Dynamics


class Lane:
    """The compiled functions of dynamics, for one solve and its gradient; keep it alive as long as Julia may call.

    The next solve may have the workspace at the end of a ``with`` block, unless the lane is kept for longer.

    Attributes:
        translation: what they are part of.
        workspace: what the functions take last.
        read: the tensors that they read.
        seconds: that were spent on translating and compiling.
    """

    def __init__(
        self, translation: Translation, dynamics: Dynamics, tensors: Sequence[Tensor], seconds: float, backend: Backend
    ) -> None:
        self._backend = backend
        self.translation = translation
        self._dynamics = dynamics
        self.seconds = seconds
        # What they were computed from is not to live as long.
        self._outside = [tensor if tensor.is_leaf else tensor.detach() for tensor in tensors]
        self._addresses = dict(translation.addresses)  # those that the workspace will do for
        self.read = [*self._outside, *translation.constants]  # kept alive
        self.workspace = translation.workspace(dynamics, self.read, backend)
        self._is_kept = False

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not self._is_kept:
            self.release()

    def keep_for(self, owner: object) -> None:
        """Have the workspace beyond the block, until ``owner``, on whose behalf Julia may call, is gone."""
        self._is_kept = True
        weakref.finalize(owner, self.release)

    def release(self) -> None:
        """Give the workspace to the next solve, once: Julia will not call any more."""
        self.translation.workspaces.give_back(self.workspace)

    @property
    def names(self) -> Set[str]:
        """Of the functions that there are."""
        return self._addresses.keys()

    def address(self, name: str) -> int | None:
        """Of a C function, or None where there is none."""
        return self._addresses.get(name)

    def slot(self, tensor: Tensor) -> int:
        """The slot of the workspace, counted from 1, in which the address of a tensor stands.

        Raises UnsupportedDynamicsError where the dynamics do not use it.
        """
        for slot, other in enumerate(self._outside, TENSORS):
            if other is tensor and not tensor.is_complex():
                return slot
        raise UnsupportedDynamicsError("func does not use a tensor of params")

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are to be computed at once, if there is a function for it."""
        self.workspace.compute_jointly(joint and "joint" in self._addresses)

    def count(self) -> None:
        """Add the calls since the last time to the counts of the dynamics."""
        nfe, nvjp, njac = self.workspace.take_counts()
        dynamics = self._dynamics
        dynamics.nfe += nfe
        dynamics.nvjp += nvjp
        dynamics.njac += njac

    def evaluate(self, name: str, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        """Call a function, which writes ``out``."""
        self._backend.evaluate(self._addresses[name], out, vectors, s, self.workspace)
