"""Calls that differ from one before in values alone: what was checked and chosen for that one holds for them.

It is kept with the function, for as long as all that this reaches is seen to be as it was, by the settings, the shape
of the state, and what else around the caller has a say. Values of states, times and weights are looked at anew.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, NoReturn

import torch
from torch import Tensor

from pyode_bridge.derivatives import captures
from pyode_bridge.derivatives.parameters import notes_of
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.engines import ENGINE_VARIABLE
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamic, Dynamics, Hit
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure, Times

LEFT_OPEN = None, "auto"  # what leaves a choice to a variable
VARIABLES = {"engine": ENGINE_VARIABLE, "isolation": checks.ISOLATION_VARIABLE, "lane": checks.LANE_VARIABLE}
MOST = 64  # of one function: by then a setting changes at each call
_KINDS = Tensor, torch.nn.Parameter
_requires_grad = attrgetter("requires_grad")


@dataclass(slots=True)
class Kept:
    """What was found for a call.

    Attributes:
        engine, structure: as it was prepared.
        like: the problem without its function and its values.
        cache_hit: what the compiled lane knows of the function.
    """

    engine: Engine
    structure: Structure
    like: Problem
    cache_hit: Hit

    def prepared(self, func: Dynamic, y0: Tensor, t: Times) -> Prepared | None:
        """The same with other values; None where the times go the other way."""
        structure, like = self.structure, self.like
        times, values = checks.times(t, structure, least=1)
        direction = like.dynamics.direction
        if Direction.of(values) != direction:
            return None
        flat_y0 = structure.pack(y0)
        settled = like.settled
        looked_at = settled is not None and settled.standing is not None and len(values) > 1  # where it is solved
        if not looked_at:
            checks.finite(flat_y0, "y0")
        problem = Problem(
            dynamics=Dynamics(func, structure, like.dynamics.wanted, direction, cache_hit=self.cache_hit),
            y0=flat_y0.detach(),
            t=direction.solver_time(torch.tensor(values, dtype=torch.float64)),  # sooner made than converted
            method=like.method,
            tolerances=like.tolerances,
            options=like.options,
            sensitivity=like.sensitivity,
            find_sparsity=like.find_sparsity,
            dense=like.dense,
            progress=like.progress,
            lane=like.lane,
        )
        problem.settled = settled
        return Prepared(self.engine, problem, flat_y0, times, structure)


def prepared(func: Dynamic, y0: State, t: Times, settings: Settings, asked: Hashable) -> Prepared | None:
    """What a call like one before comes to; None where everything has to be looked at.

    Args:
        func, y0, t, settings: as the user gave them.
        asked: the settings as a key.
    """
    noted = notes_of(func) if _is_plain(y0, t) else None
    if noted is None:
        return None
    tensors, notes = noted
    kept: Kept | None = notes.get(_key(tensors, y0, t, settings, asked))
    return None if kept is None else kept.prepared(func, y0, t)  # type: ignore[arg-type]


def keep(found: Prepared, func: Dynamic, y0: State, t: Times, settings: Settings, asked: Hashable) -> None:
    """Have what was prepared serve calls that differ in values alone, if it may."""
    problem, hit = found.problem, found.problem.dynamics.cache_hit
    if hit is None or problem.form is not None or not _is_plain(y0, t):
        return
    if checks.isolation(settings["isolation"]) != "none":  # whose engine is another one where a worker has ended
        return
    noted = notes_of(func)
    if noted is None or len(noted[1]) >= MOST:
        return
    tensors, notes = noted
    dynamics, nothing = problem.dynamics, problem.t.new_empty(0)
    without = Dynamics(_nobody, dynamics.structure, dynamics.wanted, dynamics.direction)
    like = replace(problem, dynamics=without, y0=nothing, t=nothing)
    like.settled = problem.settled
    notes[_key(tensors, y0, t, settings, asked)] = Kept(found.engine, found.structure, like, hit)


def _is_plain(y0: Any, t: Any) -> bool:
    """Whether arguments are what they seem to be, and nothing around the caller changes what torch's functions do."""
    return (
        type(y0) in _KINDS
        and y0.layout is torch.strided
        and (type(t) is Tensor or not isinstance(t, Tensor))
        and not (levels.is_redirected() or levels.active() or captures.within_dynamics())
    )


def _key(tensors: Sequence[Tensor], y0: Any, t: Any, settings: Any, asked: Hashable) -> Hashable:
    recorded = torch.is_grad_enabled()
    wanted = (y0.requires_grad, isinstance(t, Tensor) and t.requires_grad, *map(_requires_grad, tensors))
    around = tuple([os.environ.get(variable) for name, variable in VARIABLES.items() if settings[name] in LEFT_OPEN])
    return asked, y0.shape, y0.dtype, y0.device, torch.get_default_dtype(), recorded and wanted, around


def _nobody(t: Tensor, y: Any) -> NoReturn:
    """In place of a function, which is not to live longer for a call of it."""
    raise AssertionError
