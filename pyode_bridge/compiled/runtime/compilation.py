"""From dynamics to the compiled lane of a solve: found in the cache, or traced, written, compiled and compared now."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards, guards_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.errors import UnsupportedDynamicsError, UnsupportedStartError
from pyode_bridge.compiled.runtime import cache_hits
from pyode_bridge.compiled.runtime.cache import CachingBackend
from pyode_bridge.compiled.runtime.cache_hits import CacheHit
from pyode_bridge.compiled.runtime.checks import check_supported, parameter_indices
from pyode_bridge.compiled.runtime.comparison import compare
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.compiled.runtime.sparse_jacobian import part_of
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Beside, Part
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.sparsity import Sparsity

NOTHING_BESIDE = Beside()


def lane_for(
    dynamics: Dynamics,
    y0: Tensor,
    t: Tensor,
    *,
    products: bool,
    jacobian: bool,
    backend: CachingBackend,
    beside: Beside = NOTHING_BESIDE,
    sparsity: Sparsity | None = None,
) -> Lane:
    """The lane for dynamics, and for what their equation has beside: translated now, or before.

    Args:
        dynamics: with the value of the right-hand side at the start, or a cache hit.
        y0: the flat state at the start.
        t: times, of which the first belongs to the start.
        products: whether vector-Jacobian products are wanted too.
        jacobian: whether a Jacobian is wanted; it may be missing all the same.
        backend: the Julia that compiles them.
        beside: what else is called.
        sparsity: the pattern of that Jacobian, if it has one.

    Raises:
        UnsupportedDynamicsError: the dynamics must stay with the callbacks; says why.
    """
    began = time.perf_counter()
    wanted = _Functions.of(dynamics, beside, products=products, jacobian=jacobian)
    if sparsity is not None and jacobian:
        wanted = wanted.with_sparse_jacobian(part_of(dynamics, y0, sparsity), sparsity.name)
    translation, guards, value = _translated(dynamics, y0, t, wanted, backend)
    if value is None and wanted.has_rhs and translation.has_all(wanted.names):
        return Lane(translation, dynamics, guards.tensors, 0.0, backend)
    start = Start(dynamics, y0, t[0].item(), t[-1].item(), value if wanted.has_rhs else None, wanted.parts)
    try:
        compiled = _compile(translation, wanted, start, guards, backend)
        seconds = time.perf_counter() - began if compiled else 0.0
        lane = Lane(translation, dynamics, guards.tensors, seconds, backend)
        again = set() if guards.exhaustive else wanted.parts.keys() & wanted.required
        _compare(lane, translation, start, again)
    except UnsupportedStartError:
        raise  # another start may do
    except UnsupportedDynamicsError as refusal:
        translation.refusal = str(refusal)
        cache_hits.discard(dynamics, guards, backend.translations)
        raise
    if value is not None and wanted.source is dynamics.func:
        cache_hits.record(dynamics, guards, translation, backend.translations)
    return lane


def pattern_for(dynamics: Dynamics, y0: Tensor, t: Tensor, backend: CachingBackend) -> Sparsity | None:
    """The pattern of the Jacobian, found once in the graph of dynamics that compile; None where there is none."""
    wanted = _Functions.of(dynamics, NOTHING_BESIDE, products=False, jacobian=False)
    try:
        translation, guards, value = _translated(dynamics, y0, t, wanted, backend)
    except UnsupportedDynamicsError:
        return None
    return translation.pattern(Start(dynamics, y0, t[0].item(), t[-1].item(), value), guards.tensors)


def _translated(
    dynamics: Dynamics, y0: Tensor, t: Tensor, wanted: _Functions, backend: CachingBackend
) -> tuple[Translation, Guards, Tensor | None]:
    """What was compiled so far, what guards it, and the right-hand side at the start, where it has to be compared."""
    known = dynamics.cache_hit if wanted.source is dynamics.func else None
    hit = known if isinstance(known, CacheHit) else None
    guards = guards_of(wanted.source) if hit is None else hit.guards
    translation = None if hit is None else hit.translation_of(backend.translations)
    value = dynamics.start
    if translation is None:
        # What they hit is another Julia's cache, or that of the dynamics without what the equation has beside.
        if dynamics.cache_hit is not None and value is None:
            value = dynamics.tried(t[0].item(), y0).detach()
        translation = _translation(dynamics, value, wanted, guards, backend)
    if translation.refusal is not None:
        raise UnsupportedDynamicsError(translation.refusal)
    return translation, guards, value


@dataclass(frozen=True)
class _Functions:
    """What a solve needs.

    Attributes:
        required, optional: names of functions that have to be there, and of those that may be called back.
        parts: those that are none of the dynamics' own.
        layout: what a translation depends on beside what guards find: which vectors the equation's parts take.
        source: what guards walk through: all that the user gave.
        has_rhs: whether the dynamics' own functions are among them.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    parts: dict[str, Part]
    layout: tuple[Any, ...]
    source: Any
    has_rhs: bool

    @classmethod
    def of(cls, dynamics: Dynamics, beside: Beside, *, products: bool, jacobian: bool) -> _Functions:
        parts, given, has_rhs = dict(beside.parts), beside.functions, beside.has_rhs
        required = [name for name, part in parts.items() if not part.optional]
        optional = [name for name, part in parts.items() if part.optional]
        if has_rhs:
            required += _of_dynamics(dynamics, products=products)
            optional += ["jacobian"] if jacobian else []
        source = ((dynamics.func, *given) if has_rhs else given) if given else dynamics.func
        layout = tuple((name, part.size, *map(len, part.start)) for name, part in parts.items())
        return cls(tuple(required), tuple(optional), parts, layout, source, has_rhs)

    @property
    def names(self) -> tuple[str, ...]:
        return self.required + self.optional

    def with_sparse_jacobian(self, part: Part, name: str) -> _Functions:
        """The same with a sparse Jacobian in the place of the full one."""
        optional = tuple(name if other == "jacobian" else other for other in self.optional)
        return replace(self, optional=optional, parts={**self.parts, name: part})


def _of_dynamics(dynamics: Dynamics, *, products: bool) -> list[str]:
    if not products:
        return ["rhs"]
    return ["rhs", "joint", "vjp", "vjp_p"] if dynamics.parameters else ["rhs", "vjp"]


def _translation(
    dynamics: Dynamics, value: Tensor | None, wanted: _Functions, guards: Guards, backend: CachingBackend
) -> Translation:
    """That of all dynamics that would be traced to the same graphs."""
    check_supported(dynamics, value if wanted.has_rhs else dynamics.start)
    if wanted.layout and is_written(dynamics.func):
        raise UnsupportedDynamicsError("it is written in Julia, and other parts of the equation are not")
    parameters = parameter_indices(dynamics.parameters, guards)
    default = torch.get_default_dtype()
    key = (guards.key, dynamics.structure, dynamics.direction.sign, parameters, default, wanted.layout)
    shapes = dynamics.structure, tuple(tensor.shape for tensor in guards.tensors)
    return backend.translations.of(key, _code(dynamics.func, guards), shapes)


def _code(func: Any, guards: Guards) -> Any:
    return func.source if is_written(func) else guards.code


def _compile(
    translation: Translation, wanted: _Functions, start: Start, guards: Guards, backend: CachingBackend
) -> bool:
    """Add the functions that are missing; says whether any was."""
    before = len(translation.addresses)
    translation.add(wanted.required, start, guards.tensors, backend)
    if len(translation.addresses) > before and guards_of(wanted.source).key != guards.key:
        backend.translations.refuse_changing(_code(start.dynamics.func, guards))
    for name in wanted.optional:
        translation.try_to_add(name, start, guards.tensors, backend)
    return len(translation.addresses) > before


def _compare(lane: Lane, translation: Translation, start: Start, again: Set[str]) -> None:
    """Compare a lane with torch: the right-hand side wherever it is not known to be the same, the rest once.

    Parts to be compared ``again`` are those of an equation of which not all that they read is known.

    Raises UnsupportedDynamicsError where they differ.
    """
    unchecked = set(lane.names - translation.checked)
    try:
        if start.value is not None:
            compare("rhs", lane.evaluate, start)
        for name in sorted((unchecked | again) - {"rhs"}):
            lane.compute_jointly(name == "joint")
            for part in ("vjp", "vjp_p") if name == "joint" else (name,):
                compare(part, lane.evaluate, start)
    except BaseException:
        lane.release()
        raise
    lane.compute_jointly(False)
    translation.checked |= unchecked
    lane.workspace.forget_counts()
