"""What an ensemble has a row of for each trajectory: tensors that share a leading dimension."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import flat_real, is_dense, without_memory


@dataclass(frozen=True)
class Stack:
    """Tensors that share a leading dimension ``B``, in the form that the user gave them.

    Attributes:
        tensors: each of shape ``(B, ...)``.
        single: whether they are one tensor, not a tuple or dict of such.
        keys: of a dict, else None.
    """

    tensors: tuple[Tensor, ...]
    single: bool = False
    keys: tuple[Hashable, ...] | None = None

    @classmethod
    def of(cls, given: Any, name: str) -> Stack:
        """Raises InputError for anything but a tensor, or a tuple or dict of such, of one leading dimension."""
        if isinstance(given, Tensor):
            made = cls((given,), single=True)
        elif isinstance(given, Mapping):
            made = cls(tuple(given.values()), keys=tuple(given))
        elif isinstance(given, (tuple, list)):
            made = cls(tuple(given))
        else:
            raise InputError(f"{name} is a {type(given).__name__}; expected a tensor, or a tuple or dict of tensors.")
        for place, part in enumerate(made.tensors):
            if not isinstance(part, Tensor):
                raise InputError(f"{name}[{place}] is a {type(part).__name__}; expected a tensor.")
            if not is_dense(part):
                raise InputError(
                    f"{name}[{place}] is a {without_memory(part)} tensor; expected its elements in memory."
                )
        counts = {tensor.shape[:1] for tensor in made.tensors}
        if len(counts) != 1 or not next(iter(counts)) or not next(iter(counts))[0]:
            shapes = [tuple(tensor.shape) for tensor in made.tensors]
            raise InputError(f"{name} has shapes {shapes}; expected one leading dimension, of all trajectories.")
        return made

    @property
    def count(self) -> int:
        """``B``."""
        return len(self.tensors[0])

    def flat(self) -> Tensor:
        """All flat states, shape ``(B, n)``; differentiable."""
        return torch.cat([flat_real(tensor).view(self.count, -1) for tensor in self.tensors], dim=1)

    def rebuild(self, parts: Sequence[Any]) -> Any:
        """One part for each tensor, in the user's form."""
        if self.single:
            return parts[0]
        return tuple(parts) if self.keys is None else dict(zip(self.keys, parts, strict=True))

    def row(self, place: int) -> Any:
        """What one trajectory has."""
        return self.rebuild([tensor[place] for tensor in self.tensors])

    def detached(self) -> Stack:
        """The same without autograd."""
        return replace(self, tensors=tuple(tensor.detach() for tensor in self.tensors))

    def copy(self, rows: slice) -> Stack:
        """Some rows, as leaves of autograd that share no memory with these."""
        copies = (tensor[rows].detach().clone().requires_grad_(tensor.requires_grad) for tensor in self.tensors)
        return replace(self, tensors=tuple(copies))
