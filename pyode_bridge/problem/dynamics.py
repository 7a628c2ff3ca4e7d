"""The dynamics as an engine sees them: a function of a flat state, with derivatives taken by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import autocast, checks, grad_mode, jacobians
from pyode_bridge.problem.direction import INCREASING, Direction
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.graph import depends_on_all, lost_leaves
from pyode_bridge.problem.sparsity import Sparsity
from pyode_bridge.problem.state import State, Structure, flat_gradients, real_size, split_like
from pyode_bridge.problem.wanted import UnmetError, Wanted

Dynamic = Callable[[Tensor, Any], State]  # a user's function, whose state is of the type that the user gives it


class Hit(Protocol):
    """What the compiled lane knows of a function."""

    def still_holds(self, func: Dynamic) -> bool:
        """Whether all that the function reaches is seen to be as it was."""


class Dynamics:
    """``dy/ds = sign * func(sign * s, y)`` over a flat state; engines see ``s`` alone, which increases.

    ============================= ============================================ ============== ======= ===========
    evaluation                    for                                          autograd       counts  lost leaves
    ============================= ============================================ ============== ======= ===========
    `__call__`                    a solver's stages                            off            `nfe`   no matter
    `evaluate`                    a look at the start (`tried`), slopes at     as the caller  nothing no matter
                                  saved times
    `recorded`                    a discrete adjoint's stages; products        as the caller  nothing are refused
    `value_and_vjp`, `vjp`        an adjoint's stages                          on within      `nvjp`  are refused
    `jacobian`, `sparse_jacobian` implicit solvers                             on within      `njac`  no matter
    ============================= ============================================ ============== ======= ===========

    All are at a time ``s``; `evaluate` takes the user's ``t`` beside, where it is to be differentiated. A leaf is lost
    that requires a gradient and is not `wanted`. What is ``on within`` leaves no graph, unless asked to.

    Attributes:
        direction: of the user's time.
        nfe: evaluations by solvers so far; others are part of a product or a Jacobian.
        nvjp, njac: vector-Jacobian products and Jacobians so far.
        on_time: told each time ``s`` at which the dynamics are evaluated; None for nobody.
        func: the user's function.
        name: of it, in messages.
        start: the right-hand side at the solve's start, shape ``(n,)``, detached; None where nobody looked.
        wanted: the tensors of which gradients are wanted.
        parameters: those with respect to which there are products.
        cache_hit: what the compiled lane knows of ``func`` from solves before; None where it has to be looked at.
        autocast_dtype: of the autocast around whoever made this; None where it was off.
    """

    def __init__(
        self,
        func: Dynamic,
        structure: Structure,
        wanted: Wanted,
        direction: Direction = INCREASING,
        name: str = "func(t, y)",
        start: Tensor | None = None,
        cache_hit: Hit | None = None,
    ) -> None:
        self.func = func
        self.name = name
        self.start = start
        self.cache_hit = cache_hit
        self.autocast_dtype = autocast.around(structure.device)
        self._differentiates = False  # whether func asks autograd for gradients within
        self.structure = structure
        self.wanted = wanted
        self.parameters = tuple(wanted.parameters)
        self.direction = direction
        self.nfe = 0
        self.nvjp = 0
        self.njac = 0
        self.on_time: Callable[[float], None] | None = None

    @property
    def size(self) -> int:
        """Number of state components."""
        return self.structure.size

    @property
    def parameter_size(self) -> int:
        """Number of real scalar parameters."""
        return sum(map(real_size, self.parameters))

    def __call__(self, s: float, y: Tensor) -> Tensor:
        """The right-hand side at time ``s`` and flat state ``y``, without autograd."""
        self.nfe += 1
        with torch.no_grad():
            return self.evaluate(s, y).detach()  # it has a graph where func switches autograd on

    def evaluate(self, s: float, y: Tensor, t: Tensor | None = None) -> Tensor:
        """The right-hand side under the caller's grad mode; ``t`` is the user's time, where it is differentiated."""
        self.visit(s)
        structure = self.structure
        time = self.time(s) if t is None else t.to(structure.device, structure.time_dtype, copy=True)
        return self.direction.turned(self.at(time, y))

    def at(self, time: Tensor, y: Tensor) -> Tensor:
        """`evaluate` of the user's ``time``, as a trace needs it."""
        if not self._differentiates:
            try:
                return self._called(time, y)
            except RuntimeError as error:
                if not grad_mode.lacks_graph(error):
                    raise
        value = grad_mode.recorded(lambda y: self._called(time, y), y)
        self._differentiates = True
        return value

    def _called(self, time: Tensor, y: Tensor) -> Tensor:
        return self._value(time, self.structure.unpack_copy(y))

    def _value(self, time: Tensor, *given: Any) -> Tensor:
        """What the user's function returns for a time and a state, and what else a kind of dynamics gives it, flat."""
        if self.autocast_dtype is None:
            return self._flat(time, self.func(time, *given))
        with autocast.again(self.structure.device, self.autocast_dtype):
            return self._flat(time, self.func(time, *given))

    def tried(self, s: float, y: Tensor) -> Tensor:
        """`evaluate` at the start of a solve; raises InputError where it is not finite."""
        value = self.evaluate(s, y)
        checks.finite(value, f"func(t, y) at t = {self.direction.user_time(s):.6g}, y = y0,")
        return value

    def check_start(self, s: float, y: Tensor) -> None:
        """Raise InputError where dynamics from the cache, at whose start nobody looked, are not finite there."""
        if self.cache_hit is not None and self.start is None:
            self.tried(s, y)

    def check_still_uses_leaves(self, s: float, y: Tensor) -> None:
        """Raise UnsupportedError where ``func`` no longer uses a tensor of which the solve's gradient is wanted."""
        if self.cache_hit is not None and self.cache_hit.still_holds(self.func):
            return
        own = self.func.parameters() if isinstance(self.func, torch.nn.Module) else ()
        used = self.wanted.used or ()
        if {id(tensor) for tensor in used} <= {id(parameter) for parameter in own}:
            return
        with torch.enable_grad():
            value = self.evaluate(s, y)
        if not depends_on_all(value, used):
            raise UnsupportedError(
                "func uses other tensors now, in the backward pass, than it did in the solve: its module was under "
                "torch.func.functional_call, and is no longer. Call functional_call within func, or differentiate by "
                "torch.func.grad."
            )

    def recorded(self, s: float, y: Tensor, t: Tensor | None = None) -> Tensor:
        """`evaluate`, for a gradient; raises UnsupportedError where that of a tensor would be lost."""
        value = self.evaluate(s, y, t)
        if self.wanted.complete or not value.requires_grad:
            return value
        known = (*self.parameters, *self.wanted.unmet, y)
        for leaf in lost_leaves(value, known, lambda: self.evaluate(s, y, t)):
            raise UnsupportedError(self._lost(leaf))
        return value

    def vjp(self, s: float, y: Tensor, v: Tensor, *, state: bool, parameters: bool) -> tuple[Tensor, Tensor]:
        """``(vᵀ ∂f/∂y, vᵀ ∂f/∂θ)`` by one backward pass; a part not asked for comes back empty."""
        return self.value_and_vjp(s, y, v, state=state, parameters=parameters)[1:]

    def value_and_vjp(
        self,
        s: float,
        y: Tensor,
        v: Tensor,
        *,
        state: bool = True,
        parameters: bool = True,
        create_graph: bool = False,
        t: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(f, vᵀ ∂f/∂y, vᵀ ∂f/∂θ)`` by one evaluation and one backward pass; differentiable with ``create_graph``.

        ``t`` is as for `evaluate`.
        """
        self.nvjp += 1
        wanted = self.parameters if parameters else ()
        with torch.enable_grad():
            y = y if create_graph and y.requires_grad else y.detach().requires_grad_(state)
            value = self.recorded(s, y, t)
            inputs = ((y,) if state else ()) + wanted
            grads: Sequence[Tensor | None] = [None] * len(inputs)
            if inputs and value.requires_grad:
                grads = self.pulled_back(value, inputs, v, create_graph=create_graph)
        filled = flat_gradients(grads, inputs, y)
        empty = y.new_empty(0)
        state_part = filled[0] if state else empty
        parameter_part = torch.cat(filled[int(state) :]) if wanted else empty
        return value if create_graph else value.detach(), state_part, parameter_part

    def pulled_back(
        self, value: Tensor, inputs: tuple[Tensor, ...], v: Tensor, *, create_graph: bool = False
    ) -> Sequence[Tensor | None]:
        """The gradients of what was evaluated; raises UnmetError where it depends on more than was met at the start."""
        unmet = self.wanted.unmet
        # The graph is kept: it may reach into one that belongs to the caller (that of a captured tensor).
        grads = torch.autograd.grad(
            value, (*inputs, *unmet), v, allow_unused=True, retain_graph=True, create_graph=create_graph
        )
        for tensor, grad in zip(unmet, grads[len(inputs) :], strict=True):
            if grad is not None:
                raise UnmetError(self._lost(tensor))
        return grads[: len(inputs)]

    def widened(self) -> Dynamics:
        """The same, for which what was not met at the start is among the parameters."""
        made = Dynamics(self.func, self.structure, self.wanted.widened(), self.direction, self.name, self.start)
        made.autocast_dtype = self.autocast_dtype
        return made

    def jacobian(self, s: float, y: Tensor) -> Tensor:
        """``∂f/∂y``, shape ``(n, n)``, rows are components of the right-hand side."""
        return self._products(s, y, torch.eye(self.size, dtype=y.dtype, device=y.device))

    def sparse_jacobian(self, s: float, y: Tensor, sparsity: Sparsity) -> Tensor:
        """The entries of ``∂f/∂y`` on a pattern, shape ``(nnz,)``, column by column."""
        return sparsity.entries(self._products(s, y, sparsity.seeds(y)))

    def _products(self, s: float, y: Tensor, vs: Tensor) -> Tensor:
        self.njac += 1
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            value = self.evaluate(s, y)
        return jacobians.products(value, y, vs)

    def part(self, part: Part, s: float, *vectors: Tensor) -> Tensor:
        """A function of the equation beside these, at time ``s``, without autograd."""
        self.visit(s)
        with torch.no_grad():
            return part.at(s, self.time(s), *vectors).detach()  # it has a graph where the user's switches autograd on

    def split_parameters(self, flat: Tensor) -> list[Tensor]:
        """Cut a flat vector over all parameters into pieces with the parameters' shapes and dtypes."""
        return split_like(self.parameters, flat)

    def _lost(self, tensor: Tensor) -> str:
        return (
            f"{self.name} comes to use a tensor of shape {tuple(tensor.shape)} whose gradient would be lost: it does "
            "not at the start, nor is the tensor seen among its attributes, its closure or global variables. Pass a "
            "module that has it as a parameter, or list every tensor whose gradient you want in adjoint_params."
        )

    def _flat(self, time: Tensor, value: Any) -> Tensor:
        """What the user's function returned at a time, checked, as a vector."""
        return self.structure.pack_returned(value, self.name, time)

    def visit(self, s: float) -> None:
        """Tell whoever listens that the dynamics, or a part of them, are evaluated at time ``s``."""
        if self.on_time is not None:
            self.on_time(s)

    def time(self, s: float) -> Tensor:
        """The user's time at ``s``, a scalar tensor."""
        # torch.tensor takes twice as long.
        return torch.full(
            (), self.direction.user_time(s), dtype=self.structure.time_dtype, device=self.structure.device
        )
