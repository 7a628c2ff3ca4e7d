"""What the documentation says of kinds of equation and sensitivity algorithms: every cell of its table is tried."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.julia_packages import skipping_what_is_missing

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import gradient_cells  # noqa: E402

WRITTEN = gradient_cells.written((DOCS / "sensitivities.md").read_text(encoding="utf-8"))


def test_the_table_has_every_kind_and_every_sensitivity_algorithm() -> None:
    assert set(WRITTEN) == {(kind, column) for kind in gradient_cells.CASES for column in gradient_cells.COLUMNS}
    for kind in gradient_cells.CASES:
        assert gradient_cells.YES in [WRITTEN[kind, column] for column in gradient_cells.SENSEALGS], kind


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.parametrize("column", gradient_cells.COLUMNS)
@pytest.mark.parametrize("kind", gradient_cells.CASES)
def test_a_cell(kind: str, column: str) -> None:
    with skipping_what_is_missing():
        assert gradient_cells.tried(kind, column) == WRITTEN[kind, column]
