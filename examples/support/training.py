"""A training loop with a progress bar, which can be interrupted, resumed and stopped early."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from tqdm import tqdm

from examples.support import checkpoints
from examples.support.checkpoints import CHECKPOINT
from examples.support.command_line import seed
from examples.support.early_stopping import EarlyStopping

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C stopped


class _Run:
    """A training so far: its history, its best state where that is kept, and what a checkpoint holds of it."""

    def __init__(self, parts: dict[str, Any], args: argparse.Namespace, early_stopping: EarlyStopping | None) -> None:
        self.parts = parts
        self.early_stopping = early_stopping
        patience = None if early_stopping is None else early_stopping.patience
        free = ("output", "resume", "iterations")  # what may differ when a training is resumed
        self.settings = {key: value for key, value in vars(args).items() if key not in free} | {"patience": patience}
        self.path = args.output / CHECKPOINT
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] | None = None
        self.over = False
        self.began = time.perf_counter()
        self.latest = self._snapshot()

    def resume(self) -> None:
        state = checkpoints.load(self.path, self.settings)
        checkpoints.restore(self.parts, state["parts"])
        torch.set_rng_state(state["rng"])
        self.history = list(state["history"])
        self.best = state.get("best")  # checkpoints from before there was early stopping have none
        self.over = self.early_stopping is not None and self.early_stopping.over(self.history)
        self.began = time.perf_counter() - state["seconds"]
        self.latest = self._snapshot()

    def record(self, numbers: dict[str, float]) -> None:
        """Take in an iteration that is done."""
        self.history.append(numbers)
        if self.early_stopping is not None and self.early_stopping.number in numbers:
            if self.best_position() == len(self.history) - 1:
                self.best = checkpoints.states(self.parts)
            self.over = self.early_stopping.over(self.history)
        self.latest = self._snapshot()

    def best_position(self) -> int | None:
        return None if self.early_stopping is None else self.early_stopping.best(self.history)

    def save(self) -> None:
        checkpoints.save(self.path, self.latest)

    def _snapshot(self) -> dict[str, Any]:
        return {
            "parts": checkpoints.states(self.parts),
            "best": self.best,
            "rng": torch.get_rng_state(),
            "settings": self.settings,
            "iteration": len(self.history),
            "seconds": time.perf_counter() - self.began,
            "history": list(self.history),
        }


def train(
    step: Callable[[int], dict[str, float]],
    parts: dict[str, Any],
    args: argparse.Namespace,
    *,
    every: int,
    early_stopping: EarlyStopping | None = None,
    leads: bool = True,
) -> dict[str, Any]:
    """Call ``step(iteration)`` until ``args.iterations`` are done, with a progress bar and checkpoints.

    Args:
        step: does one iteration and returns numbers to show and keep.
        parts: what has a ``state_dict`` and is saved: the model, the optimizer.
        args: the command line.
        every: iterations between checkpoints. Ctrl-C saves the last complete iteration and leaves.
        early_stopping: when to end earlier; the parts are then left as they were at the best iteration.
        leads: False for the processes beside the first of a distributed training, which show and save nothing.

    Returns:
        ``history`` (a list of numbers for each), ``iteration``, ``seconds`` of training, ``resumed_from``, and
        ``best_iteration``, after which the best state came; None without early stopping.
    """
    run = _Run(parts, args, early_stopping)
    if args.resume:
        run.resume()
    resumed_from = len(run.history) if args.resume else None
    if args.resume and leads:
        print(f"Resumed from iteration {resumed_from} of {run.path}")
    try:
        with tqdm(
            total=args.iterations, initial=len(run.history), unit="it", dynamic_ncols=True, disable=not leads
        ) as bar:
            while len(run.history) < args.iterations and not run.over:
                numbers = step(len(run.history))
                run.record(numbers)
                if leads and len(run.history) % every == 0:
                    run.save()
                bar.set_postfix({key: f"{value:.4g}" for key, value in numbers.items()})
                bar.update()
    except KeyboardInterrupt:
        if leads:
            run.save()
            print(f"\nStopped after iteration {run.latest['iteration']}; --resume continues from {run.path}")
        raise SystemExit(INTERRUPTED) from None
    if leads:
        run.save()
    best = run.best_position()
    if run.best is not None:
        checkpoints.restore(parts, run.best)
    kept = {key: run.latest[key] for key in ("history", "iteration", "seconds")}
    return {**kept, "resumed_from": resumed_from, "best_iteration": None if best is None else best + 1}


def part(args: argparse.Namespace, name: str) -> argparse.Namespace:
    """The command line for one of several trainings: its own seed and checkpoint, in a folder of --output.

    With --resume, finished parts are read, the interrupted one continues and the rest start.
    """
    if args.resume and not any(args.output.glob(f"*/{CHECKPOINT}")):
        raise SystemExit(f"--resume: there is no checkpoint under {args.output}; start without --resume.")
    folder = args.output / name
    folder.mkdir(exist_ok=True)
    seed(args.seed)
    resume = args.resume and (folder / CHECKPOINT).exists()
    return argparse.Namespace(**{**vars(args), "output": folder, "resume": resume})


def together(trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """Several trainings as one for `write_results`: sums of iterations and seconds."""
    resumed = [each["resumed_from"] for each in trainings if each["resumed_from"] is not None]
    return {
        "iteration": sum(each["iteration"] for each in trainings),
        "seconds": sum(each["seconds"] for each in trainings),
        "resumed_from": sum(resumed) if resumed else None,
    }
