"""Trajectories in packs, each of which is one system whose trajectories share their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyode_bridge.ensembles.kinds import Kind, Ordinary
from pyode_bridge.ensembles.likeness import order_of_likeness
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.parts import refuse_parts
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.norms import LargestOfLanes
from pyode_bridge.problem.options import NORMS
from pyode_bridge.problem.settings import SolverSettings
from pyode_bridge.problem.state import State
from pyode_bridge.problem.step_callbacks import ADJOINT, listens

ARGUMENT = "shared_steps"
LEAVE_OUT = f"Leave {ARGUMENT} out, and each trajectory has steps of its own."


@dataclass(frozen=True)
class Together:
    """The dynamics of one trajectory as those of several, which are the last dimension of every tensor."""

    func: Callable[..., State]

    def __call__(self, t: Tensor, *args: Any) -> Any:
        """Their derivatives."""
        try:
            return torch.vmap(self.func, in_dims=(None, *(-1 for _ in args)), out_dims=-1)(t, *args)
        except (RuntimeError, ValueError) as error:
            if "vmap" not in str(error):
                raise
            reason = str(error).strip().splitlines()[0]
            raise UnsupportedError(
                f"{ARGUMENT} has func computed for several trajectories at once by torch.vmap, which refused it: "
                f"{reason} Write it with operations that torch.vmap takes, such as torch.where for a condition. "
                f"{LEAVE_OUT}"
            ) from error


@dataclass(frozen=True)
class Packed(Ordinary):
    """An ordinary equation of packs."""

    members: ClassVar[str] = "packs"


@dataclass(frozen=True)
class Packs:
    """How trajectories are packed: by those that begin alike, whose steps are alike.

    Attributes:
        count: of trajectories.
        lanes: how many are in each pack; the last fills its pack up.
        order: the numbers of all trajectories, one pack after another.
    """

    count: int
    lanes: int
    order: Tensor

    @classmethod
    def of(cls, asked: object, states: Stack, params: Stack | None) -> Packs:
        """Raises InputError where what is asked for is no number of trajectories."""
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
            raise InputError(f"{ARGUMENT} is {asked!r}; expected how many trajectories share their steps, 1 or more.")
        count = states.count
        lanes = min(asked, count)
        given = [states] if params is None else [states, params]
        order = order_of_likeness(torch.cat([stack.detached().flat() for stack in given], dim=1), lanes)
        places = torch.arange(-(-count // lanes) * lanes).clamp(max=count - 1)
        return cls(count, lanes, order[places])

    def packed(self, stack: Stack) -> Stack:
        """Tensors of shape ``(B, ...)`` as such of shape ``(packs, ..., lanes)``; differentiable."""
        return replace(stack, tensors=tuple(map(self._packed, stack.tensors)))

    def _packed(self, tensor: Tensor) -> Tensor:
        rows = tensor[self.order.to(tensor.device)]
        return rows.reshape(-1, self.lanes, *tensor.shape[1:]).movedim(1, -1)

    def unpacked(self, values: State) -> State:
        """Values of shape ``(T, packs, ..., lanes)`` as those of all trajectories, ``(T, B, ...)``; differentiable."""
        stack = Stack.of(values, "y")
        made: State = stack.rebuild([self._unpacked(tensor) for tensor in stack.tensors])
        return made

    def _unpacked(self, tensor: Tensor) -> Tensor:
        places = torch.empty(self.count, dtype=torch.int64)
        places[self.order[: self.count]] = torch.arange(self.count)
        return tensor.movedim(-1, 2).flatten(1, 2).index_select(1, places.to(tensor.device))

    def chunk_size(self, trajectories: Any) -> Any:
        """In packs, what holds so many trajectories; what is no number of them stays, to be refused."""
        counted = type(trajectories) is int and trajectories > 0
        return -(-trajectories // self.lanes) if counted else trajectories

    def kind(self, one: Kind) -> Packed:
        """The equation of a pack; raises UnsupportedError where there is none."""
        if not isinstance(one, Ordinary):
            name = type(one).__name__
            raise UnsupportedError(f"{ARGUMENT} is for ordinary equations, and func is a {name}. {LEAVE_OUT}")
        func = one.func
        refuse_parts(func)
        if is_written(func):
            raise UnsupportedError(
                f"{ARGUMENT} is for dynamics that torch computes, and func is written in Julia. {LEAVE_OUT}"
            )
        if listens(func) or listens(func, ADJOINT):
            raise UnsupportedError(
                f"{ARGUMENT} is given, but func has callbacks of steps, which hear of the state of one trajectory. "
                f"{LEAVE_OUT}"
            )
        return Packed(Together(func))

    def settings(self, given: SolverSettings, states: Stack) -> SolverSettings:
        """Those of a pack, for those of a trajectory; raises UnsupportedError for what says something of one alone."""
        if any(tensor.is_complex() for tensor in states.tensors):
            raise UnsupportedError(f"{ARGUMENT} is for states of real numbers, and y0 is complex. {LEAVE_OUT}")
        for name in ("mass_matrix", "jac_sparsity"):
            if isinstance(given.get(name), Tensor):
                raise UnsupportedError(f"{ARGUMENT} is for explicit solvers, which have no use for {name}. {LEAVE_OUT}")
        for name in ("options", "adjoint_options"):
            _check_options(given.get(name), name)
        bounds: Any = {name: self._spread(given.get(name), states) for name in ("rtol", "atol")}
        return {**given, **bounds, "options": self._options(given)}

    def _options(self, given: SolverSettings) -> Any:
        """With the norm of all lanes: fixed steps have none, and what is no norm is refused later."""
        options: Any = given.get("options") or {}
        if not isinstance(options, Mapping):
            return options
        each = options.get("norm") or "rms"
        fixed = as_method(given.get("method")).fixed_step or options.get("adaptive") is False
        return options if fixed or each not in NORMS else {**options, "norm": LargestOfLanes(self.lanes, each)}

    def _spread(self, bound: Any, states: Stack) -> Any:
        """A tolerance for all lanes, behind each component."""
        if isinstance(bound, Mapping):
            return {key: self._spread(part, states) for key, part in bound.items()}
        if isinstance(bound, (tuple, list)):
            return [self._spread(part, states) for part in bound]
        return bound.unsqueeze(-1) if isinstance(bound, Tensor) and bound.ndim else bound


def _check_options(options: Any, name: str) -> None:
    """Raise UnsupportedError for functions of the state, which is another one in a pack."""
    functions = [key for key, value in options.items() if callable(value)] if isinstance(options, Mapping) else ()
    if functions:
        raise UnsupportedError(
            f"{ARGUMENT} is given, but {name}[{functions[0]!r}] is a function of the state of one trajectory. "
            f"{LEAVE_OUT}"
        )
