"""Private names of other packages: each is in the register, with a test that notices when it changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.package.foreign import private_names

ROOT = Path(__file__).parents[2]
PYTHON, JULIA = (ROOT / "docs" / "private-apis.md").read_text(encoding="utf-8").split("## Julia")
TESTS = re.findall(r"`((?:tests|julia)/[^`]+)`", PYTHON + JULIA)


def test_the_register_names_what_the_source_uses_and_nothing_else() -> None:
    cells = [line.split("|")[1] for line in PYTHON.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == private_names(ROOT / "pyode_bridge")


@pytest.mark.parametrize("test", sorted(set(TESTS)))
def test_the_tests_of_the_register_are_there(test: str) -> None:
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in text
