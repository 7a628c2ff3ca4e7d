"""The repository is set up as Scientific Python's guide for developers asks, by the checks of sp-repo-review."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_every_check_passes() -> None:
    processor = pytest.importorskip("repo_review.processor", reason="repo-review is not installed")
    pytest.importorskip("sp_repo_review", reason="sp-repo-review, which has the checks, is not installed")
    results = processor.process(Path(__file__).parents[2]).results
    assert {"PY001", "PP309", "GH100", "MY101", "PC100", "RF101", "NOX101", "RTD100"} <= {
        result.name for result in results
    }
    assert {result.name: result.err_msg for result in results if result.result is False} == {}
