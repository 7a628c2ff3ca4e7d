"""Packages that a view needs, imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from pyode_bridge.errors import MissingPackageError


def imported(module: str, extra: str, view: str) -> Any:
    """A module of an optional package; raises MissingPackageError, which says what to install, where it is missing."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingPackageError(
            f'{view} needs {package}, which is not installed. Run `pip install "pyode_bridge[{extra}]"`.'
        ) from error
