"""The shape of a state: a tensor, or a tuple or dict of tensors, and its flat, real form."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pyode_bridge.errors import InputError

State: TypeAlias = Tensor | tuple[Tensor, ...] | dict[Any, Tensor]
Times: TypeAlias = Tensor | Sequence[float]

# The dtypes that a state may have, each with the real dtype that it is computed in.
REAL_DTYPES = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}


@dataclass(frozen=True)
class Structure:
    """How a state is laid out in one flat real tensor of ``size`` elements, in order.

    A complex tensor is laid out as its real and imaginary parts side by side, so solvers see real numbers only. Half
    precision is solved in single precision, and tensors of several precisions in the finest; users see each in its own.

    Attributes:
        keys: None for a single tensor, else the positions of a tuple or the keys of a dict.
        is_dict: whether the state is a dict.
        shapes: shape of each tensor.
        dtypes: dtype of each tensor; all are complex, or none is.
        is_complex: whether the tensors are complex.
        dtype: the real dtype of the flat state.
        device: where the state lives.
    """

    keys: tuple[Hashable, ...] | None
    is_dict: bool
    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    is_complex: bool
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, state: Any, name: str = "y0") -> Structure:
        """The structure of ``state``; raises InputError if it is none that a solver can hold."""
        if isinstance(state, Tensor) and state.dtype in REAL_DTYPES and state.numel() and is_dense(state):
            return _structure_of_tensor(state.shape, state.dtype, state.device)
        keys, leaves = _leaves(state, name)
        first = leaves[0]
        for label, leaf in zip(keys or ("",), leaves, strict=True):
            where = name if keys is None else f"{name}[{label!r}]"
            if leaf.dtype not in REAL_DTYPES:
                raise InputError(
                    f"{where} has dtype {leaf.dtype}; expected one of {', '.join(map(str, REAL_DTYPES))}. Convert it, "
                    "for example with y0.double()."
                )
            if not is_dense(leaf):
                raise InputError(
                    f"{where} is a {without_memory(leaf)} tensor; expected one whose elements are in memory."
                )
            if leaf.is_complex() != first.is_complex() or leaf.device != first.device:
                raise InputError(
                    f"{where} is {leaf.dtype} on {leaf.device}, but the first tensor of {name} is {first.dtype} on "
                    f"{first.device}; a state has one device, and is all real or all complex. Convert one of them, for "
                    "example with to(torch.complex128)."
                )
        shapes = tuple(leaf.shape for leaf in leaves)
        if not sum(shape.numel() for shape in shapes):
            raise InputError(f"{name} has no elements; expected at least one.")
        dtypes = tuple(leaf.dtype for leaf in leaves)
        dtype = functools.reduce(torch.promote_types, (REAL_DTYPES[dtype] for dtype in dtypes))
        return cls(keys, isinstance(state, Mapping), shapes, dtypes, first.is_complex(), dtype, first.device)

    @property
    def sizes(self) -> list[int]:
        """Number of real elements of each tensor."""
        return [shape.numel() * (2 if self.is_complex else 1) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Number of elements of the flat state."""
        return sum(self.sizes)

    @functools.cached_property
    def solved_dtype(self) -> torch.dtype:
        """The dtype in which the state's tensors are solved."""
        return self.dtype.to_complex() if self.is_complex else self.dtype

    @functools.cached_property
    def time_dtype(self) -> torch.dtype:
        """The dtype of the time that a user's function gets: the finest of the state's own."""
        return functools.reduce(torch.promote_types, (dtype.to_real() for dtype in self.dtypes))

    def half(self) -> Structure:
        """The structure of the first tensor of a state of two alike."""
        return replace(self, keys=None, is_dict=False, shapes=self.shapes[:1], dtypes=self.dtypes[:1])

    def pack(self, state: Any) -> Tensor:
        """Flatten ``state`` to shape ``(size,)``; differentiable."""
        dtype = self.solved_dtype
        if self.keys is None:
            return flat_real(_cast(state, dtype))
        return torch.cat([flat_real(_cast(state[key], dtype)) for key in self.keys])

    def pack_rows(self, state: Any, count: int) -> Tensor:
        """States at several times, as `unpack` has them, as one tensor of shape ``(count, size)``; differentiable."""
        leaves = [state] if self.keys is None else [state[key] for key in self.keys]
        return torch.cat([flat_real(_cast(leaf, self.solved_dtype)).view(count, -1) for leaf in leaves], 1)

    def pack_returned(self, value: Any, function: str, t: float | Tensor) -> Tensor:
        """`pack` what a user's ``function`` returned at time ``t``; raises InputError where it is none of these."""
        problem = self.mismatch(value)
        if problem is not None:
            raise InputError(f"{function} at t = {t:.6g} returned {problem}.")
        return self.pack(value)

    def unpack(self, flat: Tensor) -> State:
        """The state held in ``flat`` of shape ``(*lead, size)``, each leaf of shape ``(*lead, *leaf.shape)``."""
        lead = flat.shape[:-1]
        if self.is_complex:
            flat = as_complex(flat)
        if self.keys is None:
            return _cast(flat.view((*lead, *self.shapes[0])), self.dtypes[0])
        pieces = torch.split(flat, [shape.numel() for shape in self.shapes], dim=-1)
        leaves = [
            _cast(piece.view((*lead, *shape)), dtype)
            for piece, shape, dtype in zip(pieces, self.shapes, self.dtypes, strict=True)
        ]
        return dict(zip(self.keys, leaves, strict=True)) if self.is_dict else tuple(leaves)

    def unpack_copy(self, flat: Tensor) -> State:
        """`unpack` to memory of its own, so that whoever gets the state may change it in place; differentiable."""
        return copied(self.unpack(flat))

    def mismatch(self, state: Any) -> str | None:
        """What is wrong with ``state`` as what `pack` makes a state of this structure of, or None.

        Its tensors may have another precision, and another shape of which the elements are surely the same.
        """
        if self.keys is None:
            return None if _fits(state, self.shapes[0], self) else _difference(state, 0, self)
        expected = f"a {'dict with keys' if self.is_dict else 'tuple with positions'} {list(self.keys)}"
        if not isinstance(state, dict if self.is_dict else (tuple, list)):
            return f"a {type(state).__name__}; expected {expected}"
        leaves = state if isinstance(state, dict) else dict(enumerate(state))
        if set(leaves) != set(self.keys):
            return f"tensors at {list(leaves)}; expected {expected}"
        for position, (key, shape) in enumerate(zip(self.keys, self.shapes, strict=True)):
            if not _fits(leaves[key], shape, self):
                return f"at {key!r} {_difference(leaves[key], position, self)}"
        return None


@functools.lru_cache(maxsize=256)
def _structure_of_tensor(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Structure:
    return Structure(None, False, (shape,), (dtype,), dtype.is_complex, REAL_DTYPES[dtype], device)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor if tensor.dtype is dtype else tensor.to(dtype)


def copied(state: State) -> State:
    """The same in memory of its own; differentiable."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: leaf.clone() for key, leaf in state.items()}
    return tuple(leaf.clone() for leaf in state)


def flat_real(tensor: Tensor) -> Tensor:
    """The elements as one real vector; a complex element becomes its real and its imaginary part."""
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).reshape(-1)


def as_complex(flat: Tensor) -> Tensor:
    """Real and imaginary parts side by side, shape ``(*lead, 2 n)``, as complex numbers, shape ``(*lead, n)``."""
    pairs = flat.reshape(*flat.shape[:-1], -1, 2)
    # Part of a larger vector may begin in the middle of a complex number's memory.
    return torch.view_as_complex(pairs.clone() if pairs.storage_offset() % 2 else pairs)


def is_dense(tensor: Tensor) -> bool:
    """Whether its elements lie in memory, each at its place."""
    return tensor.layout is torch.strided and not tensor.is_meta


def without_memory(tensor: Tensor) -> str:
    """What a tensor that is not dense is called."""
    return "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")


def flat_gradients(grads: Sequence[Tensor | None], tensors: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """`flat_real` of the gradient of each tensor, zeros where there is none; of the dtype of ``like``."""
    return [
        like.new_zeros(real_size(tensor)) if grad is None else flat_real(grad).to(like.dtype)
        for grad, tensor in zip(grads, tensors, strict=True)
    ]


def real_size(tensor: Tensor) -> int:
    """The length of `flat_real`."""
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def shaped_like(tensor: Tensor, flat: Tensor) -> Tensor:
    """A flat real vector as a tensor of the shape and dtype of another."""
    if tensor.is_complex():
        flat = as_complex(flat)
    return flat.view(tensor.shape).to(tensor.dtype)


def split_like(tensors: Sequence[Tensor], flat: Tensor) -> list[Tensor]:
    """Cut a flat real vector into tensors of the shapes and dtypes of others."""
    dtype = flat.dtype
    if all(tensor.dtype is dtype for tensor in tensors):  # as at each training step of most networks
        return list(map(Tensor.view_as, flat.split_with_sizes(list(map(Tensor.numel, tensors))), tensors))
    pieces = flat.split_with_sizes([real_size(tensor) for tensor in tensors])
    return [shaped_like(tensor, piece) for tensor, piece in zip(tensors, pieces, strict=True)]


def _leaves(state: Any, name: str) -> tuple[tuple[Hashable, ...] | None, list[Tensor]]:
    keys: tuple[Hashable, ...] | None
    if isinstance(state, Tensor):
        return None, [state]
    if isinstance(state, Mapping):
        keys = tuple(state)
    elif isinstance(state, (tuple, list)):
        keys = tuple(range(len(state)))
    else:
        raise InputError(f"{name} is a {type(state).__name__}; expected a tensor, or a tuple or dict of tensors.")
    if not keys:
        raise InputError(f"{name} is empty; expected at least one tensor.")
    leaves = [state[key] for key in keys]
    for key, leaf in zip(keys, leaves, strict=True):
        if not isinstance(leaf, Tensor):
            raise InputError(f"{name}[{key!r}] is a {type(leaf).__name__}; expected a tensor.")
    return keys, leaves


def _fits(leaf: Any, shape: torch.Size, structure: Structure) -> bool:
    return (
        isinstance(leaf, Tensor)
        and (leaf.shape == shape or _is_reshaped(leaf.shape, shape))
        and (leaf.is_floating_point() or (structure.is_complex and leaf.is_complex()))
        and leaf.device == structure.device
        and leaf.layout is torch.strided
    )


def _is_reshaped(given: torch.Size, shape: torch.Size) -> bool:
    """Whether it is the same shape but for dimensions of size 1, or flat."""
    long = [length for length in shape if length != 1]
    return [length for length in given if length != 1] == long or given == (shape.numel(),)


def _difference(leaf: Any, position: int, structure: Structure) -> str:
    shape, dtype = structure.shapes[position], structure.dtypes[position]
    if not isinstance(leaf, Tensor):
        return f"a {type(leaf).__name__}; expected a tensor of shape {tuple(shape)}"
    layout = "" if leaf.layout is torch.strided else f"{without_memory(leaf)}, "
    given = f"shape {tuple(leaf.shape)}, {leaf.dtype}, {layout}on {leaf.device}"
    return f"{given}; expected shape {tuple(shape)}, {dtype}, on {structure.device}, as y0 has"
