"""Results of an example: JSON with what the numbers were made with."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pyode_bridge as pb


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
    files = (path for path in sorted(args.output.resolve().iterdir()) if path.is_file())
    print("Files: " + ", ".join(map(str, files)))


def cpu_name() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
