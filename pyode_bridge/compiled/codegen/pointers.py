"""The pointers by which one function reads tensors: by the workspace's slots, in which their addresses stand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Pointers:
    """The pointers to tensors that one function reads: those from outside by slot, counted from 1, then constants.

    Args:
        outside: tensors that may have other values at each solve.
        constants: of the functions so far; those of this one are added.

    Attributes:
        used: slots of the tensors that the function reads, with their dtypes.
    """

    def __init__(self, outside: Sequence[Tensor], constants: list[Tensor]) -> None:
        self._slots = {id(tensor): slot for slot, tensor in enumerate(outside, 1)}
        self._outside = len(outside)
        self._constants = constants
        self.used: dict[int, torch.dtype] = {}

    def of(self, tensor: Tensor) -> str | None:
        """The pointer to a tensor from outside, or None for another."""
        slot = self._slots.get(id(tensor))
        return None if slot is None else self._name(slot, tensor)

    def constant(self, tensor: Tensor) -> str:
        """The pointer to a constant."""
        for slot, other in enumerate(self._constants, self._outside + 1):
            if other.dtype == tensor.dtype and torch.equal(other, tensor):
                return self._name(slot, tensor)
        self._constants.append(tensor)
        return self._name(self._outside + len(self._constants), tensor)

    def _name(self, slot: int, tensor: Tensor) -> str:
        self.used[slot] = tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype
        return f"p{slot}"
