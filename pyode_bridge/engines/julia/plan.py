"""A problem with what Julia is told of it: everything chosen and looked up, nothing solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.problem.problem import Problem, Sensitivity


@dataclass(slots=True)
class Backward:
    """How Julia computes gradients.

    Attributes:
        sensitivity: the problem's, in which a sensitivity algorithm is named.
        reason: why it is this one.
        sensealg: the sensitivity algorithm.
        algorithm: the solver of the backward solve.
        control: how that may step.
        joint_products: whether it asks for both vector-Jacobian products at the same points.
    """

    sensitivity: Sensitivity
    reason: str
    sensealg: Any
    algorithm: Any
    control: Any
    joint_products: bool


@dataclass(slots=True)
class Plan:
    """How Julia solves a problem; keep it alive as long as Julia may call.

    Attributes:
        problem: with the methods of both directions.
        callbacks: the C functions of its dynamics.
        equation: which holds their addresses.
        algorithm: the solver.
        control: how that may step.
        backward: None where no gradient is wanted.
    """

    problem: Problem
    callbacks: Callbacks
    equation: Any
    algorithm: Any
    control: Any
    backward: Backward | None
