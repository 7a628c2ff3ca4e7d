"""A progress bar for a solve: the fraction of the time span that the solver has reached."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from pyode_bridge.problem.problem import Problem

SMALLEST_STEP = 0.1  # percent; redrawing more often would cost more than it tells
_NOTHING = contextlib.nullcontext()


def shown(problem: Problem, *, backward: bool = False) -> contextlib.AbstractContextManager[None]:
    """A bar while the block solves ``problem``, if that asks for one.

    It follows the times at which the dynamics are evaluated, so it works with every solver.
    """
    return _bar(problem, backward) if problem.progress else _NOTHING


@contextlib.contextmanager
def _bar(problem: Problem, backward: bool) -> Iterator[None]:
    start, end = problem.t[0].item(), problem.t[-1].item()
    with tqdm(total=100.0, desc="adjoint" if backward else "solve", bar_format="{l_bar}{bar}| {elapsed}") as bar:

        def note(s: float) -> None:
            fraction = (end - s if backward else s - start) / (end - start)
            step = 100.0 * min(max(fraction, 0.0), 1.0) - bar.n
            if step >= SMALLEST_STEP:
                bar.update(step)

        problem.dynamics.on_time = note
        try:
            yield
            bar.update(100.0 - bar.n)
        finally:
            problem.dynamics.on_time = None
