"""A solve that is about to run, as autograd sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pyode_bridge.engines.protocol import Engine
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.problem import Problem
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure, Times


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Prepared:
    """A problem with its engine, and what autograd must see: ``y0``, flat, and ``t``, both as the user gave them."""

    engine: Engine
    problem: Problem
    y0: Tensor
    t: Tensor
    structure: Structure


# What makes one of a function, its initial state, the times and the settings.
Prepare = Callable[[Dynamic, State, Times, Settings], Prepared]
