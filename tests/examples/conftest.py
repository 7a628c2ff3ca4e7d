"""What tests that import an example share."""

from __future__ import annotations

import pytest

from tests.examples.running import ROOT


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test import the examples' modules."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
