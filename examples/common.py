"""What the examples share: options, a training loop that can be interrupted and resumed, results with their origin."""

from __future__ import annotations

import matplotlib
from checkpoints import CHECKPOINT
from command_line import arguments, measuring_arguments, solver_settings
from early_stopping import EarlyStopping
from results import cpu_name, write_measurements, write_results
from training import INTERRUPTED, part, together, train

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
