"""The dynamics as C function pointers that Julia calls, over views of Julia's memory."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of its answers, which takes too long
import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.runtime.c_functions import COUNT, EMPTY_PRODUCT, ONE_INPUT, TWO_INPUTS, address_of
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia import forks
from pyode_bridge.errors import WorkerError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import OneInput, TwoInputs
from pyode_bridge.problem.sparsity import Sparsity

_POINTER = ctypes.c_void_p
_PREDICATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_double)
_C_TYPES = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}

# A solver works in a fixed set of buffers, so views are kept by address; an adjoint solve may allocate more of them.
MAX_VIEWS = 512

FAILED = -1  # what a callback returns after an exception


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


class Callbacks:
    """C functions for one problem; keep it alive as long as Julia may call.

    Those of the dynamics are Python callbacks, or, in a ``lane``, compiled.

    An exception in a callback is kept in ``error`` and Julia is told to stop; `raised` raises it again, unchanged.

    Attributes:
        error: what a callback raised, or None.
        lock: held by the thread whose call into Julia may call back.
    """

    def __init__(self, dynamics: Dynamics, lane: Lane | None = None) -> None:
        dtype = dynamics.structure.dtype
        self.lane = lane
        if lane is not None:
            lane.workspace.on_tick = self._guarded(dynamics.visit)
            lane.workspace.on_jacobian = self._guarded(self._jacobian)
        self._dynamics = dynamics
        self._dtype = dtype
        self._remembered: _Product | None = None
        self._joint_products = False
        self.error: BaseException | None = None
        self.lock = threading.RLock()
        self._thunks: list[Any] = []

    @functools.cached_property
    def _state(self) -> Views:
        return Views(self._dynamics.size, self._dtype)

    @functools.cached_property
    def _matrix(self) -> Views:
        return Views(self._dynamics.size**2, self._dtype)

    @functools.cached_property
    def _parameters(self) -> Views:
        return Views(self._dynamics.parameter_size, self._dtype)

    @property
    def joint_products(self) -> bool:
        """Whether both vector-Jacobian products are computed at once, the second to be asked for at the same point."""
        return self._joint_products

    @joint_products.setter
    def joint_products(self, joint: bool) -> None:
        self._joint_products = joint
        if self.lane is not None:
            self.lane.compute_jointly(joint)

    def functions(self, sparsity: Sparsity | None = None, *, products: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Addresses and workspaces of the dynamics, both their vector-Jacobian products and their Jacobian.

        Zeros stand for the products if there are to be no ``products``. The Jacobian is always there: beside implicit
        solvers, exponential ones and forward sensitivities ask for it. ``sparsity`` thins it; then it is not compiled.
        """
        dynamics = self._dynamics
        callbacks: dict[str, Callable[[], int]] = {
            "rhs": lambda: self.one_input(dynamics, dynamics.size),
            "vjp": lambda: self._pointer(TWO_INPUTS(self._guarded(self._vjp))),
            "vjp_p": self._parameter_product_pointer,
            "jacobian": lambda: self._jacobian_pointer(sparsity),
        }
        unused = set() if products else {"vjp", "vjp_p"}
        found = [
            (0, 0) if name in unused else self._compiled(name, sparsity) or (make(), 0)
            for name, make in callbacks.items()
        ]
        # Tuples: they reach Julia with the types of their elements, as lists do not.
        return tuple(address for address, _ in found), tuple(env for _, env in found)

    def compiled(self, *, products: bool) -> tuple[int, ...]:
        """Addresses of the same functions, which any thread may call; 0 for what is not compiled, or not asked for."""
        assert self.lane is not None
        unused = set() if products else {"vjp", "vjp_p"}
        names = "rhs", "vjp", "vjp_p", "jacobian"
        return tuple(0 if name in unused else self.lane.address(name) or 0 for name in names)

    def _parameter_product_pointer(self) -> int:
        if not self._dynamics.parameter_size:
            return address_of(EMPTY_PRODUCT) if self.lane is None else self.lane.workspace.empty_product
        return self._pointer(TWO_INPUTS(self._guarded(self._vjp_p)))

    def _jacobian_pointer(self, sparsity: Sparsity | None) -> int:
        if sparsity is not None:
            return self.one_input(lambda s, y: self._dynamics.sparse_jacobian(s, y, sparsity), len(sparsity.rows))
        if self.lane is not None:
            return self.lane.workspace.jacobian
        return self._pointer(ONE_INPUT(self._guarded(self._jacobian)))

    def _compiled(self, name: str, sparsity: Sparsity | None) -> tuple[int, int] | None:
        if self.lane is None or (name == "jacobian" and sparsity is not None):
            return None
        address = self.lane.address(name)
        return None if address is None else (address, self.lane.workspace.address)

    def one_input(self, function: OneInput, size: int, dtype: torch.dtype | None = None) -> int:
        """Address of a C function that writes ``function(s, y)``, ``size`` values of the state's dtype or another."""
        values, state = Views(size, dtype or self._dtype), self._state

        def write(out: int, y: int, t: float, env: int) -> None:
            values(out).copy_(function(t, state(y)).detach())  # a part that switches autograd on has a graph

        return self._pointer(ONE_INPUT(self._guarded(write)))

    def two_inputs(self, function: TwoInputs, size: int, first: int, second: int) -> int:
        """Address of a C function that writes ``size`` values of a function of vectors of two sizes."""
        values, firsts, seconds = (Views(length, self._dtype) for length in (size, first, second))

        def write(out: int, a: int, b: int, t: float, env: int) -> None:
            values(out).copy_(function(t, firsts(a), seconds(b)).detach())

        return self._pointer(TWO_INPUTS(self._guarded(write)))

    def listener(self, function: Callable[[int], None]) -> int:
        """Address of a C function that passes a number on."""
        return self._pointer(COUNT(self._guarded(function)))

    def predicate(self, function: Callable[[Tensor, Any], Any] | None) -> int:
        """Address of a C function that says whether ``function(t, y)`` is true; 0 for None."""
        return 0 if function is None else self.question(lambda s, y: self._dynamics.holds(function, s, y))

    def question(self, function: Callable[[float, Tensor], bool]) -> int:
        """Address of a C function that says whether a function of time and flat state is true (1) or false (0)."""

        def holds(y: int, t: float) -> int:
            if self.error is not None:
                return FAILED
            try:
                return int(function(t, self._state(y)))
            except BaseException as error:
                self.error = error
                return FAILED

        return self._pointer(_PREDICATE(holds))

    def raised(self) -> Raised:
        """Run Julia code: an exception that the callbacks kept replaces whatever Julia made of it."""
        return _RaisedHere(self)

    def _pointer(self, thunk: Any) -> int:
        self._thunks.append(thunk)
        return address_of(thunk)

    def _jacobian(self, out: int, y: int, t: float, env: int) -> None:
        self._matrix(out).copy_(self._dynamics.jacobian(t, self._state(y)).mT.reshape(-1))  # column by column

    def _vjp(self, out: int, v: int, y: int, t: float, env: int) -> None:
        state, cotangent = self._state(y), self._state(v)
        to_state, to_parameters = self._dynamics.vjp(t, state, cotangent, state=True, parameters=self.joint_products)
        self._state(out).copy_(to_state)
        if self.joint_products:
            self._remembered = _Product(t, state.clone(), cotangent.clone(), to_parameters)

    def _vjp_p(self, out: int, v: int, y: int, t: float, env: int) -> None:
        state, cotangent = self._state(y), self._state(v)
        remembered, self._remembered = self._remembered, None
        if remembered is not None and remembered.is_at(t, state, cotangent):
            to_parameters = remembered.to_parameters
        else:
            _, to_parameters = self._dynamics.vjp(t, state, cotangent, state=False, parameters=True)
        self._parameters(out).copy_(to_parameters)

    def _guarded(self, function: Callable[..., None]) -> Callable[..., int]:
        def call(*args: Any) -> int:
            if self.error is not None:
                return FAILED
            try:
                function(*args)
            except BaseException as error:
                self.error = error
                return FAILED
            return 0

        return call


_running: list[Callbacks] = []  # in the main thread, a solve before the one that its dynamics call for


def _note_interrupt(signum: int, frame: Any) -> None:
    for callbacks in _running:
        callbacks.error = KeyboardInterrupt()


class Raised:
    """Raises what callbacks have kept, after the block."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks

    def __enter__(self) -> None:
        self._callbacks.lock.acquire()
        self._callbacks.error = None

    def __exit__(self, kind: Any, raised: BaseException | None, trace: Any) -> None:
        callbacks = self._callbacks
        try:
            # A worker that has ended, or was ended by Ctrl-C, counts no more.
            if callbacks.lane is not None and not isinstance(raised, (WorkerError, KeyboardInterrupt)):
                callbacks.lane.count()
        finally:
            error, callbacks.error = callbacks.error, None
            callbacks.lock.release()
        if error is not None:
            context = error.__context__
            try:
                raise error
            finally:
                error.__context__ = context  # not what Julia made of it


class _RaisedHere(Raised):
    """Notes Ctrl-C as a kept KeyboardInterrupt, which ends the solve at its next callback, and raises what was kept.

    Where the user has a handler of his own, that one decides, and what it raises in a callback is kept like any
    exception.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        super().__init__(callbacks)
        self._in_main = threading.current_thread() is threading.main_thread()
        self._noting = False

    def __enter__(self) -> None:
        forks.refuse()
        super().__enter__()
        if self._in_main:
            _running.append(self._callbacks)
            if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
                _signal.signal(_signal.SIGINT, _note_interrupt)
                self._noting = True

    def __exit__(self, kind: Any, raised: BaseException | None, trace: Any) -> None:
        if self._noting:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        if self._in_main:
            _running.pop()
        super().__exit__(kind, raised, trace)


class _Product:
    """A parameter gradient that came with a state gradient, and the point it belongs to."""

    def __init__(self, t: float, y: Tensor, v: Tensor, to_parameters: Tensor) -> None:
        self._t, self._y, self._v = t, y, v
        self.to_parameters = to_parameters

    def is_at(self, t: float, y: Tensor, v: Tensor) -> bool:
        return t == self._t and torch.equal(y, self._y) and torch.equal(v, self._v)
