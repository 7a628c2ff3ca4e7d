"""Packages that a user may add to Julia's environment, which not every one has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

import pyode_bridge as pb


@contextlib.contextmanager
def skipping_what_is_missing() -> Iterator[None]:
    """Skip the test where a solver's package is not installed."""
    try:
        yield
    except pb.UnsupportedError as error:
        if "which this Julia environment lacks" in str(error):
            pytest.skip(str(error))
        raise
