"""The glossary says where each word lives: what it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = [
    place
    for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
    if line.startswith("| **")
    for place in re.findall(r"`([\w/]+(?:/|\.py))`", line.split("|")[3])
]


@pytest.mark.parametrize("place", PLACES)
def test_what_the_glossary_names_is_there(place):
    assert (ROOT / "pyode_bridge" / place).exists()


def test_every_word_has_a_meaning_and_somewhere_to_read_on():
    lines = [line for line in (ROOT / "docs" / "glossary.md").read_text().splitlines() if line.startswith("| **")]
    assert len(lines) > 20
    for line in lines:
        _, word, meaning, where, _ = (cell.strip() for cell in line.split("|"))
        assert meaning.endswith("."), word
        assert "`" in where or "](" in where, word
