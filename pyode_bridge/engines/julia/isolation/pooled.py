"""An ensemble in chunks for a pool. A chunk whose worker ended is done again by a fresh one."""

from __future__ import annotations

import collections
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.engines.julia.engine import JuliaEngine
from pyode_bridge.engines.julia.ensemble import Ensemble, Solved
from pyode_bridge.engines.julia.isolation.places import Place
from pyode_bridge.engines.julia.isolation.pool import Act, Pool
from pyode_bridge.problem.problem import Problem, SolverStats
from pyode_bridge.problem.trajectories import Moving, Notify

CHUNKS_A_WORKER = 4  # so that workers end at about the same time, and little is lost with one of them


class PooledEngine(JuliaEngine):
    """That of a pool's worker; an ensemble, it shares out to all of them."""

    def __init__(self, pool: Pool, bridge: Any) -> None:
        super().__init__(bridge)
        self._pool = pool

    def _shared_out(self, problem: Problem, notify: Notify) -> PooledEnsemble:
        return PooledEnsemble(self._pool, problem, notify)


_pools: dict[int, Pool] = {}


def pool_of(count: int) -> Pool:
    """The pool of this process, which is made anew for another number of workers."""
    if count not in _pools:
        for other in _pools.values():
            other.close()
        _pools.clear()
        _pools[count] = Pool(count, PooledEngine)
    return _pools[count]


@dataclass(eq=False)
class Chunk:
    """Some trajectories, the place where they were solved, and what came of it.

    Attributes:
        rows: which.
        y0s: their states at the start.
        moving: their tensors.
        count: of all trajectories.
    """

    rows: slice
    y0s: Tensor
    moving: Sequence[Moving]
    count: int
    place: Place | None = None
    ensemble: Ensemble | None = None
    solved: Solved | None = None

    def solve(self, ensemble: Ensemble) -> Solved:
        """Solve, and remember by what."""
        self.ensemble = ensemble
        self.solved = ensemble.solve(self.y0s, self.moving, first=self.rows.start, count=self.count)
        return self.solved


class PooledEnsemble:
    """As `Ensemble`, on a pool.

    Args:
        pool: whose workers solve.
        problem: the first.
        notify: told now and then how many solves are done.

    Raises:
        UnsupportedDynamicsError: the dynamics do not compile.
    """

    def __init__(self, pool: Pool, problem: Problem, notify: Notify) -> None:
        self._pool, self._problem = pool, problem
        self._progress = _Progress(notify)
        self._known: dict[Place, tuple[JuliaEngine, Ensemble]] = {}
        self._at(pool.places[0])

    def solve(self, y0s: Tensor, moving: Sequence[Moving]) -> Solved:
        """Solve from each row of ``y0s``, shape ``(B, n)``."""
        count = len(y0s)
        parts = min(count, CHUNKS_A_WORKER * len(self._pool.places))
        ends = [count * part // parts for part in range(parts + 1)]
        chunks = [_chunk(slice(*rows), y0s, moving) for rows in itertools.pairwise(ends)]
        queue = collections.deque(self._solving(chunk) for chunk in chunks)
        self._progress.begin()
        self._pool.run([queue] * len(self._pool.places))
        done = [chunk.solved for chunk in chunks if chunk.solved is not None]
        ys = torch.cat([one.ys for one in done])
        return Solved(ys, _total([one.stats for one in done]), chunks, (), (0, count), done[0].sensealg, done[0].reason)

    def pull_back(self, solved: Solved, grads: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with respect to each state, ``(B, n)``, and to all parameters, ``(B, p)``, for ``(B, T, n)``."""
        chunks: Sequence[Chunk] = solved.julia
        count, _, n = grads.shape
        dy0s, dps = grads.new_empty(count, n), grads.new_empty(count, self._problem.dynamics.parameter_size)
        queues = [
            collections.deque(self._pulling(chunk, grads, dy0s, dps) for chunk in chunks if chunk.place is place)
            for place in self._pool.places
        ]
        self._progress.begin()
        self._pool.run(queues)
        return dy0s, dps

    def _solving(self, chunk: Chunk) -> Act:
        def act(place: Place) -> None:
            chunk.place = place
            chunk.solve(self._at(place))
            self._progress.add(place, len(chunk.y0s))

        return act

    def _pulling(self, chunk: Chunk, grads: Tensor, dy0s: Tensor, dps: Tensor) -> Act:
        def act(place: Place) -> None:
            ensemble = self._at(place)
            solved = chunk.solved
            if solved is None or chunk.ensemble is not ensemble:  # the worker that solved it has ended
                solved = chunk.solve(ensemble)
            dy0s[chunk.rows], dps[chunk.rows] = ensemble.pull_back(solved, grads[chunk.rows])
            self._progress.add(place, len(chunk.y0s))

        return act

    def _at(self, place: Place) -> Ensemble:
        """The ensemble of the worker that lives at a place."""
        engine = place.engine()
        known = self._known.get(place)
        if known is None or known[0] is not engine:
            known = self._known[place] = engine, engine.on_threads(self._problem, self._progress.of(place))
        return known[1]


def _chunk(rows: slice, y0s: Tensor, moving: Sequence[Moving]) -> Chunk:
    return Chunk(rows, y0s[rows], [Moving(item.first, item.all[rows]) for item in moving], len(y0s))


def _total(stats: Sequence[SolverStats]) -> SolverStats:
    nfe, njac, accepted, rejected = (
        sum(getattr(one, name) for one in stats) for name in ("nfe", "njac", "accepted", "rejected")
    )
    return SolverStats(nfe, njac, accepted, rejected, max(one.compile_seconds for one in stats))


class _Progress:
    """How many solves all places have done; chunks that are done again count once."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Count from 0."""
        self._added, self._underway = 0, dict[Place, int]()

    def of(self, place: Place) -> Callable[[int], None]:
        """What is told how many solves of its chunk a place has done."""

        def hear(done: int) -> None:
            with self._lock:
                self._underway[place] = done
                self._notify(self._added + sum(self._underway.values()))

        return hear

    def add(self, place: Place, count: int) -> None:
        """Count a chunk that a place has finished."""
        with self._lock:
            self._underway[place] = 0
            self._added += count
            self._notify(self._added + sum(self._underway.values()))
