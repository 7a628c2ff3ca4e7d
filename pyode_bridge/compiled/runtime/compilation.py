"""From dynamics to the compiled lane of a solve: found in the cache, or traced, written, compiled and compared now."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written


def lane_for(
    dynamics: Dynamics, y0: Tensor, t: Tensor, *, products: bool, jacobian: bool, backend: CachingBackend
) -> Lane:
    """The lane for dynamics: translated now, or before.

    Args:
        dynamics: with the value of the right-hand side at the start, or a cache hit.
        y0: the flat state at the start.
        t: times, of which the first belongs to the start.
        products: whether vector-Jacobian products are wanted too.
        jacobian: whether a Jacobian is wanted; it may be missing all the same.
        backend: the Julia that compiles them.

    Raises:
        UnsupportedDynamicsError: the dynamics must stay with the callbacks; says why.
    """
    began = time.perf_counter()
    hit = dynamics.cache_hit if isinstance(dynamics.cache_hit, CacheHit) else None
    guards = guards_of(dynamics.func) if hit is None else hit.guards
    translation = None if hit is None else hit.translation_of(backend.translations)
    value = dynamics.start
    if translation is None:
        if hit is not None and value is None:  # it is another Julia's cache that they hit
            value = dynamics.tried(t[0].item(), y0).detach()
        translation = _translation(dynamics, value, guards, backend)
    if translation.refusal is not None:
        raise UnsupportedDynamicsError(translation.refusal)
    names = _names(dynamics, products=products)
    if value is None and translation.has_all(names, jacobian=jacobian):
        return Lane(translation, dynamics, guards.tensors, 0.0, backend)
    start = Start(dynamics, y0, t[0].item(), t[-1].item(), value)
    try:
        compiled = _compile(translation, names, start, guards, jacobian=jacobian, backend=backend)
        seconds = time.perf_counter() - began if compiled else 0.0
        lane = _compared(Lane(translation, dynamics, guards.tensors, seconds, backend), translation, start)
    except UnsupportedStartError:
        raise  # another start may do
    except UnsupportedDynamicsError as refusal:
        translation.refusal = str(refusal)
        cache_hits.discard(dynamics, guards, backend.translations)
        raise
    if value is not None:
        cache_hits.record(dynamics, guards, translation, backend.translations)
    return lane


def _translation(dynamics: Dynamics, value: Tensor | None, guards: Guards, backend: CachingBackend) -> Translation:
    """That of all dynamics that would be traced to the same graphs."""
    check_supported(dynamics, value)
    parameters = parameter_indices(dynamics.parameters, guards)
    key = (guards.key, dynamics.structure, dynamics.direction.sign, parameters, torch.get_default_dtype())
    shapes = dynamics.structure, tuple(tensor.shape for tensor in guards.tensors)
    return backend.translations.of(key, _code(dynamics.func, guards), shapes)


def _code(func: Any, guards: Guards) -> Any:
    return func.source if is_written(func) else guards.code


def _names(dynamics: Dynamics, *, products: bool) -> list[str]:
    """Of the functions that have to be there, beside a Jacobian."""
    if not products:
        return ["rhs"]
    return ["rhs", "joint", "vjp", "vjp_p"] if dynamics.parameters else ["rhs", "vjp"]


def _compile(
    translation: Translation,
    names: Sequence[str],
    start: Start,
    guards: Guards,
    *,
    jacobian: bool,
    backend: CachingBackend,
) -> bool:
    """Add the functions that are missing; says whether any was."""
    before, func = len(translation.addresses), start.dynamics.func
    translation.add(names, start, guards.tensors, backend)
    if len(translation.addresses) > before and guards_of(func).key != guards.key:
        backend.translations.refuse_changing(_code(func, guards))
    if jacobian:
        translation.add_jacobian(start, guards.tensors, backend)
    return len(translation.addresses) > before


def _compared(lane: Lane, translation: Translation, start: Start) -> Lane:
    """The lane, compared with torch: the right-hand side wherever it is not known to be the same, the rest once.

    Raises UnsupportedDynamicsError where they differ.
    """
    unchecked = lane.names - translation.checked
    try:
        if start.value is not None:
            compare("rhs", lane.evaluate, start)
        for name in sorted(unchecked - {"rhs"}):
            lane.compute_jointly(name == "joint")
            for part in ("vjp", "vjp_p") if name == "joint" else (name,):
                compare(part, lane.evaluate, start)
    except BaseException:
        lane.release()
        raise
    lane.compute_jointly(False)
    translation.checked |= unchecked
    lane.workspace.forget_counts()
    return lane
