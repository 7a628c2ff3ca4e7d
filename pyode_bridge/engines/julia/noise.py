"""The path that a solver took along noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.problem.forms import Noise
from pyode_bridge.problem.noise_path import FACTORS, NoisePath, NoiseTableau

STEPS = "DiscreteAdjoint", "DiscreteAdjoint()"  # sensitivity algorithms that go back through all steps


def keeps_path(plan: Plan) -> bool:
    """Whether a solve keeps its steps along noise, for the gradient of these."""
    backward = plan.backward
    return backward is not None and isinstance(plan.problem.form, Noise) and backward.sensitivity.sensealg in STEPS


def taken_path(bridge: Any, solved: Any) -> NoisePath:
    """That of a solve of Julia's, whose steps have a tableau."""

    def numbers(values: Any) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float64))

    times, increments = numbers(bridge.step_times(solved)), numbers(bridge.noise_increments(solved))
    return NoisePath(times, increments.view(len(times) - 1, 2, -1), _tableau(numbers(bridge.noise_numbers(solved))))


def _tableau(numbers: Tensor) -> NoiseTableau:
    """Of ``n`` evaluations, from ``n + n + (n + 1) n FACTORS`` numbers."""
    n = next(n for n in range(len(numbers)) if 2 * n + (n + 1) * n * FACTORS == len(numbers))
    is_diffusion, c, weights = numbers.tensor_split([n, 2 * n])
    return NoiseTableau(tuple(map(bool, is_diffusion)), tuple(c.tolist()), weights.view(n + 1, n, FACTORS))
