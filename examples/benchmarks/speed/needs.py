"""What a contestant needs, and may not be there."""

from __future__ import annotations

import importlib.util

from .entry import SkipError


def need(module: str) -> None:
    """Of Python."""
    if importlib.util.find_spec(module) is None:
        raise SkipError(f"{module} is not installed")


def need_of_julia(*packages: str) -> None:
    from juliacall import Main

    for package in packages:
        if Main.seval(f'Base.find_package("{package}")') is None:
            raise SkipError(f"it needs the Julia package {package}, which is not there")
