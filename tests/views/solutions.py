"""Solutions of each kind whose values are known in closed form, on the embedded engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE

SETTINGS: dict[str, Any] = {"engine": "embedded", "method": "dopri5"}
T = torch.linspace(0.0, 2.0, 9, dtype=DOUBLE)


def decay(t: Tensor, y: Any) -> Any:
    if isinstance(y, dict):
        return {key: -leaf for key, leaf in y.items()}
    return tuple(-leaf for leaf in y) if isinstance(y, tuple) else -y


def turn(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack([y[1], -y[0]])


def turning(**settings: Any) -> pb.Solution:
    """(cos t, -sin t)."""
    return pb.solve(turn, torch.tensor([1.0, 0.0], dtype=DOUBLE), settings.pop("t", T), **SETTINGS, **settings)


def decaying(y0: Any) -> pb.Solution:
    return pb.solve(decay, y0, T, **SETTINGS)


def sawtooth() -> pb.EventSolution:
    """y grows with slope 1, falls to 0 where it reaches 0.75 (event 0), and is noted at 0.4 (event 1)."""
    falls = pb.Event(lambda t, y: y[0] - 0.75, lambda t, y: torch.zeros_like(y), direction="rising")
    noted = pb.Event(lambda t, y: y[0] - 0.4)
    return pb.solve_events(lambda t, y: torch.ones_like(y), torch.zeros(1, dtype=DOUBLE), T, [falls, noted], **SETTINGS)


def ensemble() -> pb.EnsembleSolution:
    """y = b exp(-t) for b from 0 to 10, beside a second component that stays at 1."""
    starts = torch.stack([torch.arange(11, dtype=DOUBLE), torch.ones(11, dtype=DOUBLE)], dim=1)
    return pb.solve_ensemble(lambda t, y: torch.stack([-y[0], 0 * y[1]]), starts, T, **SETTINGS)


def at_rest(**y: float) -> pb.Solution:
    """A steady state as `solve_steady_state` returns it, which the embedded engine does not solve for."""
    values = {key: torch.tensor([value], dtype=DOUBLE) for key, value in y.items()}
    return replace(decaying(values), t=torch.tensor(torch.inf, dtype=DOUBLE), y=values)
