"""Whole scripts on Julia take a process each, which compiles what it solves: they are `slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("julia"):
            item.add_marker(pytest.mark.slow)
