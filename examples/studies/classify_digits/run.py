"""Classify handwritten digits with ResNet, RK-Net, ODE-Net and an MLP (Chen et al. 2018, section 3, table 1, figure 3).

The digits of 8x8 pixels are scikit-learn's; --dataset mnist downloads MNIST (28x28, 17 MB), for which --iterations
2814 is 3 epochs. Each seed draws its own split (MNIST has a fixed one), weights and batches. Memory is the peak of
what torch's allocator held during one forward and backward pass (activation_memory.py): on the Julia engine the
solver's own arrays come on top. The sensitivity algorithm is the paper's adjoint unless --sensealg says otherwise.

Evaluations of the trained network's backward pass are counted for several sensitivity algorithms, beside the error of
the gradient. On the Julia engine the backward solve is told its first step: one that has to find it takes the
gradient's size as a scale, and a gradient is small beside the tolerances, so it begins with some millionth and spends
most of its steps on growing.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[3]))  # the repository

from examples.studies.classify_digits import figures
from examples.studies.classify_digits.figures import ODE
from examples.studies.classify_digits.passes import (
    FIRST_STEPS_BACK,
    SENSEALGS,
    backward_passes,
    begun_with,
    exact_end,
    pass_mib,
    solver_behaviour,
    step_milliseconds,
    with_tolerance,
)
from examples.support import common, seeds
from examples.support.image_data import Split, digits, mnist, without_validation
from pyode_bridge.engines import select_engine
from pyode_bridge.models import MLP, ODENet, ResNet, RKNet

OTHERS = {"mlp": "MLP", "resnet": "ResNet", "rknet": "RK-Net"}
DATASETS = {"digits": digits, "mnist": mnist}
SIZES = {"digits": {"width": 32, "downsamplings": 1}, "mnist": {"width": 32, "downsamplings": 2}}
QUICK_WIDTH, QUICK_SENSEALGS = 16, 2
BATCH = 64
LEARNING_RATE = 8e-3
MEASURED = 64  # images in the pass whose memory and solver statistics are measured


@dataclass(frozen=True)
class Run:
    """One trained model: what `common.train` returned, and the share of wrong test images."""

    model: torch.nn.Module
    training: dict[str, Any]
    error: float


def options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(sensealg="BacksolveAdjoint")
    parser.add_argument("--dataset", choices=sorted(SIZES), default="digits")
    parser.add_argument("--models", nargs="*", choices=sorted(OTHERS), default=list(OTHERS), help="beside the ODE-Net")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--tolerance", type=float, default=1e-2, help="relative and absolute, of both solves")
    parser.add_argument("--augment", type=int, default=0, help="channels of zeros appended to the ODE-Net's state")
    parser.add_argument(
        "--patience",
        type=int,
        help="end a training when so many epochs in a row have not lowered the loss on a tenth of its images, "
        "which are held back for that; default: no early stopping",
    )


def main() -> None:
    args = common.arguments(
        __doc__, name="classify_digits", method="dopri5", iterations=440, quick_iterations=60, own=options
    )
    names = [*(OTHERS[key] for key in args.models), ODE]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for seed in range(args.seed, args.seed + args.seeds):
        split = DATASETS[args.dataset](seed)
        for name in names:
            runs[name].append(train(name, split, seeds.with_seed(args, seed)))
    images, labels = split.x[:MEASURED], split.y[:MEASURED]
    table = {name: summary(of, images, labels) for name, of in runs.items()}
    for name, milliseconds in step_milliseconds(
        {name: of[0].model for name, of in runs.items()}, images, labels
    ).items():
        table[name]["step_ms"] = milliseconds
    print_table(table)
    trained = runs[ODE][0].model
    tolerances = [10.0**-power for power in range(1, 3 if args.quick else 6)]
    exact = exact_end(trained, images)
    behaviour = [solver_behaviour(trained, images, labels, exact, tol) for tol in tqdm(tolerances, desc="tolerances")]
    memory = memory_curves(args, trained, images, labels, tolerances)
    engine = select_engine(args.engine).name
    sensealgs = SENSEALGS[engine][: QUICK_SENSEALGS if args.quick else None]
    backward = backward_passes(trained, images, labels, tolerances, sensealgs, FIRST_STEPS_BACK[engine])
    histories = [run.training["history"] for run in runs[ODE]]
    figures.draw(args.output / "classify_digits.png", table, behaviour, memory, backward, histories)
    numbers = {
        "error": table[ODE]["error"],
        "models": table,
        "tolerance": args.tolerance,
        "test_images": len(split.test_y),
        "trained_ode_net": behaviour,
        "memory_mib": memory,
        "backward_by_sensealg": backward,
        "nfe_in_training": [[mean_over(history, "nfe"), mean_over(history, "nfe_backward")] for history in histories],
    }
    solution = trained.ode.solve(trained.state(images))
    common.write_results(args, solution, common.together([run.training for of in runs.values() for run in of]), numbers)


def build(name: str, args: argparse.Namespace, side: int, **changed: Any) -> torch.nn.Module:
    """The model called ``name``; ``changed`` are arguments that differ from the table's."""
    sizes = {**SIZES[args.dataset], **({"width": QUICK_WIDTH} if args.quick else {}), **changed}
    if name == "MLP":
        return MLP(side * side)
    if name == "ResNet":
        return ResNet(**sizes)
    if name == "RK-Net":
        return RKNet(**sizes)
    back = begun_with(FIRST_STEPS_BACK[select_engine(args.engine).name])
    solver = {**common.solver_settings(args), **back, "rtol": args.tolerance, "atol": args.tolerance}
    return ODENet.for_images(augment=args.augment, **sizes, **solver)


def train(name: str, split: Split, args: argparse.Namespace) -> Run:
    """Train one model with one seed by Adam, the rate falling to zero along a cosine."""
    own = common.part(args, f"{name.lower()}-{args.seed}")
    print(f"{name}, seed {args.seed}")
    model = build(name, args, split.x.shape[-1])
    optimizer = torch.optim.Adam(model.parameters())
    patient = args.patience is not None
    early_stopping = common.EarlyStopping("validation", args.patience) if patient else None
    learning = without_validation(split, args.seed) if patient else split
    batches = math.ceil(len(learning.y) / BATCH)

    def step(iteration: int) -> dict[str, float]:
        optimizer.param_groups[0]["lr"] = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * iteration / args.iterations))
        shuffle = torch.Generator().manual_seed(10_000 * args.seed + iteration // batches)
        order = torch.randperm(len(learning.y), generator=shuffle)
        chosen = order[iteration % batches :: batches]
        loss = cross_entropy(model(learning.x[chosen]), learning.y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        counts = {"nfe": model.nfe.forward, "nfe_backward": model.nfe.backward} if hasattr(model, "nfe") else {}
        measured = patient and ((iteration + 1) % batches == 0 or iteration + 1 == args.iterations)
        return {"loss": loss.item(), **counts, **({"validation": test_loss(model, learning)} if measured else {})}

    parts = {"model": model, "optimizer": optimizer}
    training = common.train(step, parts, own, every=batches, early_stopping=early_stopping)
    if patient:
        print(f"Kept the state after iteration {training['best_iteration']} of {training['iteration']}")
    return Run(model, training, test_error(model, split))


def test_loss(model: torch.nn.Module, split: Split) -> float:
    return cross_entropy(test_logits(model, split), split.test_y).item()


def test_error(model: torch.nn.Module, split: Split) -> float:
    wrong = test_logits(model, split).argmax(-1) != split.test_y
    return int(wrong.sum()) / len(wrong)


def test_logits(model: torch.nn.Module, split: Split) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(x) for x in split.test_x.split(500)])


def mean_over(history: list[dict[str, float]], key: str) -> list[float]:
    """Means over the iterations' tenths, or each where there are fewer than ten."""
    size = max(1, len(history) // 10)
    return [statistics.fmean(row[key] for row in history[at : at + size]) for at in range(0, len(history), size)]


def summary(runs: list[Run], images: Tensor, labels: Tensor) -> dict[str, Any]:
    """A model's row of the table."""
    errors = [run.error for run in runs]
    model, last = runs[0].model, [run.training["history"][-1] for run in runs]
    row = {
        "error": statistics.fmean(errors),
        "spread": statistics.stdev(errors) if len(errors) > 1 else None,
        "errors": errors,
        "iterations": [run.training["best_iteration"] or run.training["iteration"] for run in runs],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "peak_mib": pass_mib(model, images, labels),
    }
    for key in ("nfe", "nfe_backward"):
        row[key] = statistics.fmean(each[key] for each in last) if key in last[0] else None
    return row


def print_table(table: dict[str, dict[str, Any]]) -> None:
    titles = f"{'parameters':>11s} {'peak MiB':>9s} {'ms a step':>9s} {'NFE':>6s} {'back':>6s}"
    print(f"{'model':8s} {'test error':>17s} {titles}")
    for name, row in table.items():
        spread = "" if row["spread"] is None else f" ± {100 * row['spread']:.2f}"
        counts = " ".join(f"{'-' if row[key] is None else f'{row[key]:.1f}':>6s}" for key in ("nfe", "nfe_backward"))
        error = f"{100 * row['error']:.2f}{spread} %"
        print(f"{name:8s} {error:>17s} {row['parameters']:11,d} {row['peak_mib']:9.2f} {row['step_ms']:9.1f} {counts}")


def memory_curves(
    args: argparse.Namespace, trained: ODENet, images: Tensor, labels: Tensor, tolerances: list[float]
) -> dict[str, list[tuple[int, float]]]:
    """Peak memory against blocks (ResNet) or evaluations in the forward pass (RK-Net; ODE-Net by its tolerance)."""
    side = images.shape[-1]
    curves: dict[str, list[tuple[int, float]]] = {"ResNet": [], "RK-Net": [], ODE: []}
    for depth in tqdm((4, 16) if args.quick else (4, 8, 16, 32, 64, 128), desc="memory"):
        resnet = build("ResNet", args, side, blocks=depth)
        rk_net = build("RK-Net", args, side, steps=depth // 4)
        curves["ResNet"].append((depth, pass_mib(resnet, images, labels)))
        curves["RK-Net"].append((rk_net.nfe.forward, pass_mib(rk_net, images, labels)))
    for tolerance in tolerances:
        model = with_tolerance(trained, tolerance)
        mib = pass_mib(model, images, labels)
        curves[ODE].append((model.nfe.forward, mib))
    return curves


if __name__ == "__main__":
    main()
