"""What a trained network's passes take: evaluations, time and memory, and how far off they are."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from examples.support.activation_memory import peak_bytes
from pyode_bridge.models import ODENet

SENSEALGS = {
    "julia": ("BacksolveAdjoint", "InterpolatingAdjoint", "GaussAdjoint"),
    "embedded": ("BacksolveAdjoint", "TorchAdjoint"),
}
FIRST_STEPS_BACK = {
    "julia": 0.5,
    "embedded": None,
}  # of the interval from 0 to 1; torchdiffeq's solver finds a better one
REFERENCE = 1e-8  # tolerance of the solve that stands for the exact one
FINER = 1e-2  # how much finer than the finest tolerance the gradient that stands for the exact one is
ROUNDS = 9  # of passes that are timed
MIB = 2**20


def one_pass(model: torch.nn.Module, images: Tensor, labels: Tensor) -> None:
    cross_entropy(model(images), labels).backward()


def pass_mib(model: torch.nn.Module, images: Tensor, labels: Tensor) -> float:
    one_pass(model, images, labels)  # the parameters' gradients are there from here on
    return peak_bytes(lambda: one_pass(model, images, labels)) / MIB


def step_milliseconds(models: dict[str, torch.nn.Module], images: Tensor, labels: Tensor) -> dict[str, float]:
    """Of a forward and a backward pass: the median of interleaved rounds."""
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            began = time.perf_counter()
            one_pass(model, images, labels)
            found[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(each) for name, each in found.items()}


def with_solver(model: ODENet, **settings: Any) -> ODENet:
    """A copy that solves by other settings."""
    changed = copy.deepcopy(model)
    changed.ode.solver = {**model.ode.solver, **settings}
    return changed


def with_tolerance(model: ODENet, tolerance: float) -> ODENet:
    return with_solver(model, rtol=tolerance, atol=tolerance)


def backward_passes(
    trained: ODENet,
    images: Tensor,
    labels: Tensor,
    tolerances: list[float],
    sensealgs: Sequence[str],
    first_step: float | None,
) -> dict[str, list[dict[str, float]]]:
    """Figure 3's backward passes, in float64, by sensitivity algorithm: at each tolerance evaluations and error.

    Each is told its first step, or has to find it.
    """
    finer = FINER * min(tolerances)
    fine = {"rtol": finer, "atol": finer, "adjoint_atol": FINER * finer}
    exact = gradient(with_solver(trained, **fine).double(), images, labels)
    found: dict[str, list[dict[str, float]]] = {}
    for sensealg, step in tqdm(
        list(product(sensealgs, dict.fromkeys((first_step, None)))), desc="sensitivity algorithms"
    ):
        label = f"{sensealg}, first step told" if step else sensealg
        found[label] = []
        for tolerance in tolerances:
            settings = {"sensealg": sensealg, **begun_with(step), "rtol": tolerance, "atol": tolerance}
            model = with_solver(trained, **settings).double()
            error = (gradient(model, images, labels) - exact).norm() / exact.norm()
            counts = {"nfe": model.nfe.forward, "nfe_backward": model.nfe.backward}
            found[label].append({"tolerance": tolerance, **counts, "gradient_error": error.item()})
    return found


def begun_with(step: float | None) -> dict[str, Any]:
    """The setting that tells a backward solve its first step; None leaves it open."""
    return {"adjoint_options": None if step is None else {"dt": step}}


def gradient(model: ODENet, images: Tensor, labels: Tensor) -> Tensor:
    """With respect to the dynamics' parameters, one after another; ``model`` is in float64."""
    one_pass(model, images.double(), labels)
    return torch.cat([parameter.grad.flatten() for parameter in model.ode.parameters()])


@torch.no_grad()
def exact_end(model: ODENet, images: Tensor) -> Tensor:
    """The final state in float64."""
    fine = with_tolerance(model, REFERENCE).double()
    return fine.ode(fine.state(images.double()))[-1]


def solver_behaviour(
    model: ODENet, images: Tensor, labels: Tensor, exact: Tensor, tolerance: float
) -> dict[str, float]:
    """Figure 3 at one tolerance, in float64: error of the final state, evaluations, seconds (best of three)."""
    changed, images = with_tolerance(model, tolerance).double(), images.double()
    with torch.no_grad():
        error = (changed.ode(changed.state(images))[-1] - exact).norm() / exact.norm()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        loss = cross_entropy(changed(images), labels)
        middle = time.perf_counter()
        loss.backward()
        seconds.append((middle - began, time.perf_counter() - middle))
    forward, backward = (min(column) for column in zip(*seconds, strict=True))
    counts = {"nfe": changed.nfe.forward, "nfe_backward": changed.nfe.backward}
    return {"tolerance": tolerance, "error": error.item(), **counts, "forward_s": forward, "backward_s": backward}
