"""Dynamics as compiled C functions, with what these read and write at one solve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards, guards_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.layout import TENSORS
from pyode_bridge.compiled.errors import UnsupportedDynamicsError, UnsupportedStartError
from pyode_bridge.compiled.runtime import cache_hits as familiar
from pyode_bridge.compiled.runtime.cache import CHANGING, Home, Translation, changing
from pyode_bridge.compiled.runtime.cache_hits import Familiar
from pyode_bridge.compiled.runtime.comparison import compare
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written


def enter(dynamics: Dynamics, y0: Tensor, t: Tensor, *, products: bool, jacobian: bool, home: Home) -> Lane:
    """The lane for dynamics: translated now, or before.

    Args:
        dynamics: with the value of the right-hand side at the start in ``start``, or familiar.
        y0: the flat state at the start.
        t: times, of which the first belongs to the start.
        products: whether vector-Jacobian products are wanted too.
        jacobian: whether a Jacobian is wanted; it may be missing all the same.
        home: the Julia that compiles them.

    Raises:
        UnsupportedDynamicsError: the dynamics must stay with the callbacks; says why.
    """
    began = time.perf_counter()
    known = dynamics.familiar if isinstance(dynamics.familiar, Familiar) else None
    found = known.reach if known is not None else guards_of(dynamics.func)
    translation = known.translation_of(home.translations) if known is not None else None
    if translation is None:
        if known is not None and dynamics.start is None:  # it is to another Julia that they are familiar
            dynamics.start = dynamics.tried(t[0].item(), y0).detach()
        translation = _translation(dynamics, found, home)
    if translation.refusal is not None:
        raise UnsupportedDynamicsError(translation.refusal)
    names = ["rhs"]
    if products:
        names += ["joint", "vjp", "vjp_p"] if dynamics.parameters else ["vjp"]
    if dynamics.start is None and translation.has_all(names, jacobian=jacobian):
        return Lane(translation, dynamics, found.tensors, 0.0, home)
    before = len(translation.addresses)
    start = Start(dynamics, y0, t[0].item(), t[-1].item())
    try:
        translation.add(names, start, found.tensors, home)
        if len(translation.addresses) > before and guards_of(dynamics.func).key != found.key:
            changing.add(_code(dynamics.func))
            raise UnsupportedDynamicsError(CHANGING)
        if jacobian:
            _add_jacobian(translation, start, found.tensors, home)
        seconds = time.perf_counter() - began if len(translation.addresses) > before else 0.0
        lane = Lane(translation, dynamics, found.tensors, seconds, home)
        lane.check(start)
    except UnsupportedStartError:
        raise  # another start may do
    except UnsupportedDynamicsError as refusal:
        translation.refusal = str(refusal)
        familiar.forget(dynamics, found, home.translations)
        raise
    familiar.remember(dynamics, found, translation, home.translations)
    return lane


def _code(func: Any) -> Any:
    return func.source if is_written(func) else getattr(func, "__code__", type(func))


def _translation(dynamics: Dynamics, found: Guards, home: Home) -> Translation:
    """That of all dynamics that would be traced to the same graphs."""
    _check(dynamics)
    places = _places(dynamics.parameters, found)
    key = (found.key, dynamics.structure, dynamics.sign, places, torch.get_default_dtype())
    shapes = dynamics.structure, tuple(tensor.shape for tensor in found.tensors)
    return home.translations.of(key, _code(dynamics.func), shapes)


def _check(dynamics: Dynamics) -> None:
    structure = dynamics.structure
    if structure.is_complex:
        raise UnsupportedDynamicsError("its state is complex")
    if dynamics.start is None and not is_written(dynamics.func):
        raise UnsupportedDynamicsError("it was not evaluated at the start")


def _places(parameters: Sequence[Tensor], found: Guards) -> tuple[int, ...]:
    """Where each parameter is among the tensors that ``func`` reaches."""
    places = found.indices(parameters)
    if places is None:
        raise UnsupportedDynamicsError(
            "a parameter is not among what func reaches by its attributes, its closure or global variables"
        )
    if places and not found.computed.issubset(places):
        raise UnsupportedDynamicsError(
            "func reaches a tensor that was computed from others that require a gradient, and is no parameter itself"
        )
    return places


def _add_jacobian(translation: Translation, start: Start, tensors: Sequence[Tensor], home: Home) -> None:
    """Without one, the solver calls Python for it."""
    if "jacobian" in translation.checked:
        return
    try:
        translation.add(["jacobian"], start, tensors, home)
    except UnsupportedDynamicsError:
        translation.checked.add("jacobian")


class Lane:
    """The compiled functions of dynamics, for one solve and its gradient; keep it alive as long as Julia may call.

    Attributes:
        environment: what the functions take last.
        seconds: that were spent on translating and compiling.
    """

    def __init__(
        self, translation: Translation, dynamics: Dynamics, tensors: Sequence[Tensor], seconds: float, home: Home
    ) -> None:
        self._home = home
        self._translation = translation
        self._dynamics = dynamics
        self.seconds = seconds
        # What they were computed from is not to live as long.
        self._outside = [tensor if tensor.is_leaf else tensor.detach() for tensor in tensors]
        self._addresses = dict(translation.addresses)  # those that the environment will do for
        self._read = [*self._outside, *translation.constants]  # kept alive
        self.environment = translation.environment(dynamics, self._read, home)

    def free(self) -> None:
        """Give the environment to the next solve: Julia will not call any more."""
        self._translation.give_back(self.environment)

    def address(self, name: str) -> int | None:
        """Of a C function, or None where there is none."""
        return self._addresses.get(name)

    def place(self, first: Tensor) -> int:
        """Where in the environment the address of a tensor stands, counted from 1.

        Raises UnsupportedDynamicsError where the dynamics do not use it.
        """
        for place, tensor in enumerate(self._outside, TENSORS):
            if tensor is first:
                return place
        raise UnsupportedDynamicsError("func does not use a tensor of params")

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are to be computed at once, if there is a function for it."""
        self.environment.compute_jointly(joint and "joint" in self._addresses)

    def count(self) -> None:
        """Add the calls since the last time to the counts of the dynamics."""
        nfe, nvjp, njac = self.environment.take_counts()
        dynamics = self._dynamics
        dynamics.nfe += nfe
        dynamics.nvjp += nvjp
        dynamics.njac += njac

    def check(self, start: Start) -> None:
        """Compare with torch: the right-hand side wherever it is not known to be the same, the rest once.

        Raises UnsupportedDynamicsError where they differ.
        """
        checked = self._translation.checked
        unchecked = self._addresses.keys() - checked
        if self._dynamics.start is not None:
            compare("rhs", self._evaluated, start)
        for name in sorted(unchecked - {"rhs"}):
            self.compute_jointly(name == "joint")
            for part in ("vjp", "vjp_p") if name == "joint" else (name,):
                compare(part, self._evaluated, start)
        self.compute_jointly(False)
        checked |= unchecked
        self.environment.forget_counts()

    def _evaluated(self, name: str, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        self._home.evaluate(self._addresses[name], out, vectors, s, self.environment)
