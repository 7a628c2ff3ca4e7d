"""How errors of a state's components become one number, where that is a function of the user's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import Structure, split_like

FlatNorm = Callable[[Tensor], float]


def rms(tensor: Tensor) -> Tensor:
    """The root mean square; of no elements, zero."""
    return tensor.abs().square().mean().sqrt() if tensor.numel() else tensor.new_zeros(())


def mixed(tensors: Sequence[Tensor]) -> Tensor:
    """The largest of the tensors' root mean squares."""
    return torch.stack([rms(tensor) for tensor in tensors]).amax() if tensors else torch.zeros(())


def of_state(norm: Callable[[Any], Any], structure: Structure) -> FlatNorm:
    """A user's function of the state, as one of the flat state."""

    def flat(errors: Tensor) -> float:
        with torch.no_grad():
            return number(norm(structure.unpack(errors)))

    return flat


def number(value: Any) -> float:
    """What a user's norm returned."""
    try:
        return abs(float(value))
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"The option norm returned {value!r}; expected one real number.") from None


class AdjointState:
    """The state of a backward solve as torchdiffeq lays it out: ``(t, y, adjoint of y, *adjoints of parameters)``.

    Sensitivity algorithms solve for part of it; the rest is zero: it has no error. Where the state is a tuple or a
    dict, its tensors stand in place of ``y``, and theirs in place of its adjoint.
    """

    def __init__(self, structure: Structure, parameters: Sequence[Tensor]) -> None:
        self._structure, self._parameters = structure, tuple(parameters)

    def unpack(self, a: Tensor, y: Tensor | None = None, g: Tensor | None = None) -> tuple[Tensor, ...]:
        """The tensors of the flat adjoints of state and parameters, and of the state."""
        states = (torch.zeros_like(a) if y is None else y, a)
        of_parameters = (
            [torch.zeros_like(p) for p in self._parameters] if g is None else split_like(self._parameters, g)
        )
        return (a.new_zeros(()), *(part for flat in states for part in self._parts(flat)), *of_parameters)

    def _parts(self, flat: Tensor) -> tuple[Tensor, ...]:
        state = self._structure.unpack(flat)
        return (state,) if isinstance(state, Tensor) else tuple(state.values() if isinstance(state, dict) else state)


@dataclass(frozen=True)
class LargestOfLanes:
    """The largest of several trajectories' norms, each of which is taken as for a solve of it alone.

    Attributes:
        lanes: how many there are, the last dimension of each of the state's tensors.
        each: the norm of one: ``"rms"`` or ``"max"``.
    """

    lanes: int
    each: str = "rms"

    def __call__(self, state: Any) -> Tensor:
        """Of the errors of a state."""
        tensors = state.values() if isinstance(state, dict) else (state,) if isinstance(state, Tensor) else state
        return torch.stack([self._largest(tensor) for tensor in tensors]).amax()

    def _largest(self, tensor: Tensor) -> Tensor:
        if self.each == "max":
            return tensor.abs().amax() if tensor.numel() else tensor.new_zeros(())
        return tensor.reshape(-1, self.lanes).square().mean(0).sqrt().amax() if tensor.numel() else rms(tensor)


@dataclass(frozen=True)
class AdjointNorm:
    """The norm of a backward solve as torchdiffeq's: for the parameters `mixed`, for the rest that of the state.

    Attributes:
        of_state: that of the state.
        structure: of the state.
        seminorm: whether the parameters are left out.
    """

    of_state: Callable[[Any], Any]
    structure: Structure
    seminorm: bool

    def __call__(self, tensors: tuple[Tensor, ...]) -> float:
        """Of the errors of an `AdjointState`."""
        rest, count = tensors[1:], len(self.structure.shapes)
        states = (rest[:count], rest[count : 2 * count])
        of_parameters = 0.0 if self.seminorm else self._of_parameters(rest[2 * count :])
        return max(of_parameters, *(number(self.of_state(_state(tensors, self.structure))) for tensors in states))

    def _of_parameters(self, tensors: Sequence[Tensor]) -> float:
        """Of several trajectories, the largest element: which belong to one of them is not known."""
        if lanes_of(self.of_state) is None:
            return mixed(tensors).item()
        return max((tensor.abs().amax().item() for tensor in tensors if tensor.numel()), default=0.0)


def of_lanes(norm: object) -> LargestOfLanes | None:
    """The norm of several trajectories that a norm is, or is made of; an engine may have it without Python."""
    if isinstance(norm, AdjointNorm):
        return of_lanes(norm.of_state)
    return norm if isinstance(norm, LargestOfLanes) else None


def lanes_of(norm: object) -> int | None:
    """How many trajectories a norm takes apart, if it is that of several."""
    found = of_lanes(norm)
    return None if found is None else found.lanes


def _state(tensors: Sequence[Tensor], structure: Structure) -> Any:
    if structure.keys is None:
        return tensors[0]
    return dict(zip(structure.keys, tensors, strict=True)) if structure.is_dict else tuple(tensors)
