"""What the examples share: options, a training loop that can be interrupted and resumed, results with their origin."""

from __future__ import annotations

import matplotlib

from examples.support.checkpoints import CHECKPOINT
from examples.support.command_line import arguments, measuring_arguments, solver_settings
from examples.support.early_stopping import EarlyStopping
from examples.support.results import cpu_name, write_measurements, write_results
from examples.support.training import INTERRUPTED, part, together, train

matplotlib.use("Agg")  # figures go to files, so no display is needed

__all__ = [
    "CHECKPOINT",
    "INTERRUPTED",
    "EarlyStopping",
    "arguments",
    "cpu_name",
    "measuring_arguments",
    "part",
    "solver_settings",
    "together",
    "train",
    "write_measurements",
    "write_results",
]
