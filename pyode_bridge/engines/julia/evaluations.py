"""What Julia asks of dynamics in Python, written into its memory, of which tensors here are views."""

from __future__ import annotations

import ctypes
import functools

import torch
from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics

_C_TYPES = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}

# A solver works in a fixed set of buffers, so views are kept by address; an adjoint solve may allocate more of them.
MAX_VIEWS = 512


class Views:
    """Tensors of one size over foreign memory, made once per address."""

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        self._array = _C_TYPES[dtype] * size
        self._dtype = dtype
        self._views: dict[int, Tensor] = {}

    def __call__(self, address: int) -> Tensor:
        if not ctypes.sizeof(self._array):
            return torch.empty(0, dtype=self._dtype)  # of no memory there is no view
        view = self._views.get(address)
        if view is None:
            if len(self._views) >= MAX_VIEWS:
                self._views.clear()
            view = torch.frombuffer(self._array.from_address(address), dtype=self._dtype)
            self._views[address] = view
        return view


class Evaluations:
    """Derivatives of dynamics, by functions that take addresses as C functions do: where to write, vectors, time.

    Attributes:
        joint_products: whether both vector-Jacobian products are computed at once, the second to be asked for at the
            same point.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self._dynamics = dynamics
        self._dtype = dynamics.structure.dtype
        self._remembered: _Product | None = None
        self.joint_products = False

    @functools.cached_property
    def state(self) -> Views:
        """Of states, and of vectors of their size."""
        return Views(self._dynamics.size, self._dtype)

    @functools.cached_property
    def _matrix(self) -> Views:
        return Views(self._dynamics.size**2, self._dtype)

    @functools.cached_property
    def _parameters(self) -> Views:
        return Views(self._dynamics.parameter_size, self._dtype)

    def parts(self, address: int, size: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Copies of what a solver's state consists of: a state or its adjoint, the state beside, parameters' adjoints.

        Sensitivity algorithms have the last two, in the other order, the last, or neither.
        """
        n, parameters = self._dynamics.size, self._dynamics.parameter_size
        whole = Views(size, self._dtype)(address).clone()
        after = min(n + parameters, size)
        y = whole[after:] if size - after == n else None
        return whole[:n], y, whole[n:after] if after > n or y is not None else None

    def jacobian(self, out: int, y: int, t: float, env: int) -> None:
        """``∂f/∂y``, column by column."""
        self._matrix(out).copy_(self._dynamics.jacobian(t, self.state(y)).mT.reshape(-1))

    def vjp(self, out: int, v: int, y: int, t: float, env: int) -> None:
        """``vᵀ ∂f/∂y``."""
        state, cotangent = self.state(y), self.state(v)
        to_state, to_parameters = self._dynamics.vjp(t, state, cotangent, state=True, parameters=self.joint_products)
        self.state(out).copy_(to_state)
        if self.joint_products:
            self._remembered = _Product(t, state.clone(), cotangent.clone(), to_parameters)

    def vjp_p(self, out: int, v: int, y: int, t: float, env: int) -> None:
        """``vᵀ ∂f/∂θ``."""
        state, cotangent = self.state(y), self.state(v)
        remembered, self._remembered = self._remembered, None
        if remembered is not None and remembered.is_at(t, state, cotangent):
            to_parameters = remembered.to_parameters
        else:
            _, to_parameters = self._dynamics.vjp(t, state, cotangent, state=False, parameters=True)
        self._parameters(out).copy_(to_parameters)


class _Product:
    """A parameter gradient that came with a state gradient, and the point it belongs to."""

    def __init__(self, t: float, y: Tensor, v: Tensor, to_parameters: Tensor) -> None:
        self._t, self._y, self._v = t, y, v
        self.to_parameters = to_parameters

    def is_at(self, t: float, y: Tensor, v: Tensor) -> bool:
        return t == self._t and torch.equal(y, self._y) and torch.equal(v, self._v)
