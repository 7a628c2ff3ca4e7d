"""The dynamics as C function pointers that Julia calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.runtime.c_functions import COUNT, EMPTY_PRODUCT, ONE_INPUT, TWO_INPUTS, address_of
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia.evaluations import Evaluations, Views
from pyode_bridge.engines.julia.guard import Guard, Raised, RaisedHere
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.options import Predicate
from pyode_bridge.problem.predicates import holds
from pyode_bridge.problem.sparsity import Sparsity

_PREDICATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double)
# A solver's state and its size; for a step, its start and its length between.
_NORM = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_ssize_t)
_STEP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_ssize_t)

# Adjoints of a state, or the state, then what a backward solve has beside, of the parameters and the state.
Parts = tuple[Tensor, Tensor | None, Tensor | None]


class Callbacks:
    """C functions for one problem; keep it alive as long as Julia may call.

    Those of the dynamics are Python callbacks, or, in a ``lane``, compiled.

    An exception in a callback is kept, and Julia is told to stop; `raised` raises it again.

    Nothing that C functions call holds this: it ends with its last user, not when cycles are collected.
    """

    def __init__(self, dynamics: Dynamics, lane: Lane | None = None) -> None:
        self.lane = lane
        self._dynamics = dynamics
        self._guard = Guard()
        self._evaluations = Evaluations(dynamics)
        if lane is not None:
            lane.workspace.on_tick = self._guard.act(dynamics.visit)
            lane.workspace.on_jacobian = self._guard.act(self._evaluations.jacobian)
        self._thunks: list[Any] = []

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are computed at once, the second to be asked for at the same point."""
        self._evaluations.joint_products = joint
        if self.lane is not None:
            self.lane.compute_jointly(joint)

    def functions(self, sparsity: Sparsity | None = None, *, products: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Addresses and environments of the dynamics, both their vector-Jacobian products and their Jacobian.

        Zeros stand for the products if there are to be no ``products``. The Jacobian is always there: beside implicit
        solvers, exponential ones and forward sensitivities ask for it. ``sparsity`` thins it.
        """
        dynamics = self._dynamics
        callbacks: dict[str, Callable[[], int]] = {
            "rhs": lambda: self._one_input(dynamics, dynamics.size),
            "vjp": lambda: self._pointer(TWO_INPUTS(self._guard.act(self._evaluations.vjp))),
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

    def empty_product(self) -> int:
        """Address of a product with no parameters."""
        return address_of(EMPTY_PRODUCT) if self.lane is None else self.lane.workspace.empty_product

    def _parameter_product_pointer(self) -> int:
        if not self._dynamics.parameter_size:
            return self.empty_product()
        return self._pointer(TWO_INPUTS(self._guard.act(self._evaluations.vjp_p)))

    def _jacobian_pointer(self, sparsity: Sparsity | None) -> int:
        if sparsity is not None:
            dynamics = self._dynamics
            return self._one_input(lambda s, y: dynamics.sparse_jacobian(s, y, sparsity), len(sparsity.rows))
        if self.lane is not None:
            return self.lane.workspace.jacobian
        return self._pointer(ONE_INPUT(self._guard.act(self._evaluations.jacobian)))

    def _compiled(self, name: str, sparsity: Sparsity | None) -> tuple[int, int] | None:
        if self.lane is None:
            return None
        address = self.lane.address(sparsity.name if name == "jacobian" and sparsity is not None else name)
        return None if address is None else (address, self.lane.workspace.address)

    def part(self, name: str, part: Part) -> tuple[int, int]:
        """Address and environment of a function of the equation beside the dynamics."""
        return self._compiled(name, None) or (self._called_part(part), 0)

    def _called_part(self, part: Part) -> int:
        dynamics = self._dynamics
        values, *vectors = (Views(size, dynamics.structure.dtype) for size in (part.size, *map(len, part.start)))

        def write(out: int, *rest: Any) -> None:
            *addresses, s, _ = rest
            found = (view(address) for view, address in zip(vectors, addresses, strict=True))
            values(out).copy_(dynamics.part(part, s, *found))

        return self._pointer((ONE_INPUT if len(vectors) == 1 else TWO_INPUTS)(self._guard.act(write)))

    def _one_input(self, function: Callable[[float, Tensor], Tensor], size: int) -> int:
        """Address of a C function that writes ``size`` values of the dynamics."""
        values, state = Views(size, self._dynamics.structure.dtype), self._evaluations.state

        def write(out: int, y: int, s: float, env: int) -> None:
            values(out).copy_(function(s, state(y)))

        return self._pointer(ONE_INPUT(self._guard.act(write)))

    def listener(self, function: Callable[[int], None]) -> int:
        """Address of a C function that passes a number on."""
        return self._pointer(COUNT(self._guard.act(function)))

    def predicate(self, name: str, function: Predicate) -> tuple[int, int]:
        """Address and environment of a C function that says whether ``function(t, y)`` is true.

        A compiled one writes 1 or 0; without an environment, it is asked as `question` is.
        """
        return self._compiled(name, None) or (self._asked(function), 0)

    def _asked(self, function: Predicate) -> int:
        return self.question(lambda s, y: holds(function, self._dynamics, s, y))

    def question(self, function: Callable[[float, Tensor], bool]) -> int:
        """Address of a C function that says whether a function of time and flat state is true (1) or false (0)."""
        state = self._evaluations.state
        return self._pointer(_PREDICATE(self._guard.answer(lambda y, t: function(t, state(y)))))

    def norm(self, function: Callable[[Parts], float]) -> int:
        """Address of a C function that makes a number of a solver's state, in the parts that `AdjointState` takes."""
        parts = self._evaluations.parts
        return self._pointer(_NORM(self._guard.answer(lambda u, size: function(parts(u, size)), float)))

    def step_listener(self, function: Callable[[float, Parts, float], None]) -> int:
        """Address of a C function that passes on a step's start, the state there, in parts, and its length."""
        parts = self._evaluations.parts
        return self._pointer(_STEP(self._guard.act(lambda u, s, h, size: function(s, parts(u, size), h))))

    def raised(self) -> Raised:
        """Run Julia code: an exception that the callbacks kept replaces whatever Julia made of it."""
        return RaisedHere(self._guard, self.lane)

    def _pointer(self, thunk: Any) -> int:
        self._thunks.append(thunk)
        return address_of(thunk)
