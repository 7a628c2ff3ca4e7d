"""The options that the examples have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


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
    return start(args, "Figure, numbers and checkpoint go")


def measuring_arguments(
    description: str, *, name: str, own: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """As `arguments`, for an example that measures and trains nothing."""
    parser = _parser(description, name, quick="a smaller run of some seconds, with fewer points")
    if own is not None:
        own(parser)
    return start(parser.parse_args(), "Figures, table and numbers go")


def _parser(description: str, name: str, *, quick: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--engine", choices=("auto", "julia", "embedded"), help="default: PYODE_BRIDGE_ENGINE, or auto")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results") / name, help="folder for figures and numbers")
    return parser


def start(args: argparse.Namespace, what: str) -> argparse.Namespace:
    """Make the results folder and say where it is; seed torch."""
    args.output.mkdir(parents=True, exist_ok=True)
    seed(args.seed)
    print(f"{what} to {args.output.resolve()}")
    return args


def seed(number: int) -> None:
    """What every process of an example does first."""
    torch.manual_seed(number)
    torch.set_num_threads(1)  # small tensors are quicker without threads


def solver_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `pyode_bridge.solve` that the command line sets."""
    return {"method": args.method, "engine": args.engine, "sensealg": args.sensealg}
