"""What the examples share: options, a training loop that can be interrupted and resumed, results with their origin."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from tqdm import tqdm

import pyode_bridge as pb

matplotlib.use("Agg")  # figures go to files, so no display is needed

CHECKPOINT = "checkpoint.pt"
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C stopped


def arguments(
    description: str,
    *,
    name: str,
    method: str,
    iterations: int,
    quick_iterations: int,
    own: Callable[[argparse.ArgumentParser], None] | None = None,
) -> argparse.Namespace:
    """Read the command line; makes the results folder. ``own`` adds an example's own options to the parser."""
    parser = _parser(description, name, quick="a smaller run of some seconds, which fits less well")
    parser.add_argument("--method", default=method, help="solver by name")
    parser.add_argument("--sensealg", help="sensitivity algorithm by name; default: the engine's")
    parser.add_argument("--iterations", type=int, help=f"default: {iterations}, or {quick_iterations} with --quick")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --output")
    if own is not None:
        own(parser)
    args = parser.parse_args()
    if args.iterations is None:
        args.iterations = quick_iterations if args.quick else iterations
    return _started(args, "Figure, numbers and checkpoint go")


def measuring_arguments(
    description: str, *, name: str, own: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """As `arguments`, for an example that measures and trains nothing."""
    parser = _parser(description, name, quick="a smaller run of some seconds, with fewer points")
    if own is not None:
        own(parser)
    return _started(parser.parse_args(), "Figures, table and numbers go")


def _parser(description: str, name: str, *, quick: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--engine", choices=("auto", "julia", "embedded"), help="default: PYODE_BRIDGE_ENGINE, or auto")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results") / name, help="folder for figures and numbers")
    return parser


def _started(args: argparse.Namespace, what: str) -> argparse.Namespace:
    args.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # small tensors are quicker without threads
    print(f"{what} to {args.output.resolve()}")
    return args


def solver_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `pyode_bridge.solve` that the command line sets."""
    return {"method": args.method, "engine": args.engine, "sensealg": args.sensealg}


def train(
    step: Callable[[int], dict[str, float]],
    parts: dict[str, Any],
    args: argparse.Namespace,
    *,
    every: int,
) -> dict[str, Any]:
    """Call ``step(iteration)`` until ``args.iterations`` are done, with a progress bar and checkpoints.

    Args:
        step: does one iteration and returns numbers to show and keep.
        parts: what has a ``state_dict`` and is saved: the model, the optimizer.
        args: the command line.
        every: iterations between checkpoints. Ctrl-C saves the last complete iteration and leaves.

    Returns:
        ``history`` (a list of numbers for each), ``iteration``, ``seconds`` of training, ``resumed_from``.
    """
    path = args.output / CHECKPOINT
    settings = {**solver_settings(args), "quick": args.quick, "seed": args.seed}
    state: dict[str, Any] = {"iteration": 0, "seconds": 0.0, "history": []}
    if args.resume:
        state = _load(path, settings, parts)
        print(f"Resumed from iteration {state['iteration']} of {path}")
    resumed_from = state["iteration"] if args.resume else None
    history: list[dict[str, float]] = list(state["history"])
    began = time.perf_counter() - state["seconds"]

    def snapshot(iteration: int) -> dict[str, Any]:
        saved = {name: part.state_dict() for name, part in parts.items()}
        return {
            "parts": _cloned(saved),
            "rng": torch.get_rng_state(),
            "settings": settings,
            "iteration": iteration,
            "seconds": time.perf_counter() - began,
            "history": list(history),
        }

    latest = snapshot(state["iteration"])
    try:
        with tqdm(total=args.iterations, initial=state["iteration"], unit="it", dynamic_ncols=True) as bar:
            for iteration in range(state["iteration"], args.iterations):
                numbers = step(iteration)
                history.append(numbers)
                latest = snapshot(iteration + 1)
                if (iteration + 1) % every == 0:
                    _save(path, latest)
                bar.set_postfix({key: f"{value:.4g}" for key, value in numbers.items()})
                bar.update()
    except KeyboardInterrupt:
        _save(path, latest)
        print(f"\nStopped after iteration {latest['iteration']}; --resume continues from {path}")
        raise SystemExit(INTERRUPTED) from None
    _save(path, latest)
    return {**{key: latest[key] for key in ("history", "iteration", "seconds")}, "resumed_from": resumed_from}


def part(args: argparse.Namespace, name: str) -> argparse.Namespace:
    """The command line for one of several trainings: its own seed and checkpoint, in a folder of --output.

    With --resume, finished parts are read, the interrupted one continues and the rest start.
    """
    if args.resume and not any(args.output.glob(f"*/{CHECKPOINT}")):
        raise SystemExit(f"--resume: there is no checkpoint under {args.output}; start without --resume.")
    folder = args.output / name
    folder.mkdir(exist_ok=True)
    torch.manual_seed(args.seed)
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


def write_results(args: argparse.Namespace, solution: pb.Solution, training: dict[str, Any], numbers: Any) -> None:
    """Write ``results.json``: the numbers, and what they were made with; print what ran and where the files are."""
    ran = {"engine": solution.engine, "algorithm": solution.algorithm, "sensealg": solution.sensealg}
    ran["lane"] = solution.lane
    kept = {key: training[key] for key in ("iteration", "seconds", "resumed_from")}
    _write(args, {"numbers": numbers, "ran": ran, "training": kept})
    print("Ran with " + ", ".join(f"{key} {value}" for key, value in ran.items()))
    print(f"Training took {training['seconds']:.1f} s for {training['iteration']} iterations on {cpu_name()}")
    _list_files(args)


def write_measurements(args: argparse.Namespace, numbers: Any, *, engine: str, complete: bool) -> None:
    """As `write_results`, for an example that measures; ``complete`` is false where Ctrl-C ended it early."""
    _write(args, {"numbers": numbers, "ran": {"engine": engine}, "complete": complete})
    print(f"Measured on the {engine} engine, {cpu_name()}")
    _list_files(args)


def _write(args: argparse.Namespace, results: dict[str, Any]) -> None:
    """Write ``results.json`` with the settings, the machine and the versions."""
    origin = {
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()},
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pyode_bridge": pb.__version__,
        },
    }
    text = json.dumps({**results, **origin}, indent=2) + "\n"
    (args.output / "results.json").write_text(text, encoding="utf-8")


def _list_files(args: argparse.Namespace) -> None:
    print("Files: " + ", ".join(str(path) for path in sorted(args.output.resolve().iterdir())))


def cpu_name() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write beside the old checkpoint and swap, so that an interruption never leaves half a file."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _load(path: Path, settings: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        raise SystemExit(f"--resume: there is no checkpoint {path}; start without --resume.")
    state: dict[str, Any] = torch.load(path, weights_only=True)
    differing = [key for key, value in settings.items() if state["settings"][key] != value]
    if differing:
        was = ", ".join(f"--{key} was {state['settings'][key]}" for key in differing)
        raise SystemExit(f"--resume: {path} was made with other settings ({was}); give the same ones.")
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    torch.set_rng_state(state["rng"])
    return state


def _cloned(value: Any) -> Any:
    """A copy that later training does not change."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _cloned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cloned(item) for item in value]
    return value
