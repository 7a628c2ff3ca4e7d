"""Training by a likelihood, or by a bound of one whose KL divergence comes in slowly."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from examples.support.training import train


def maximise(
    model: nn.Module,
    objective: Callable[[float], tuple[Tensor, dict[str, float]]],
    args: argparse.Namespace,
    *,
    learning_rate: float,
    kl_warm_up: float,
    largest_gradient: float,
) -> dict[str, Any]:
    """Ascend by Adam, the rate falling to zero along a cosine; returns what `train` does.

    Args:
        model: what learns.
        objective: draws a batch and says what to maximise for each series, and numbers to show; it takes the weight of
            the KL divergence, which rises from 0 to 1.
        args: the command line.
        learning_rate: the first one.
        kl_warm_up: the part of the training over which that weight rises.
        largest_gradient: the norm that gradients are cut to.
    """
    optimizer = Adam(model.parameters())

    def step(iteration: int) -> dict[str, float]:
        done = iteration / args.iterations
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        value, shown = objective(min(1.0, done / kl_warm_up))
        loss = -value.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), largest_gradient)
        optimizer.step()
        return {"loss": loss.item(), **shown}

    return train(step, {"model": model, "optimizer": optimizer}, args, every=50)
