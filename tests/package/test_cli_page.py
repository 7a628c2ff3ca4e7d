"""The reference of the command line is what the commands say of themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    import make_cli

    return make_cli


def test_the_committed_page_is_what_the_commands_say(maker: Any) -> None:
    text = maker.PAGE.read_text(encoding="utf-8")
    assert text == maker.with_help(text), "run `python docs/make_cli.py`"


def test_every_command_has_its_part(maker: Any) -> None:
    commands = re.findall(r"^    (\w+)", maker.printed(), re.MULTILINE)
    assert {"install", "doctor", "solvers"} <= set(commands)
    assert re.findall(r"^## (.+)$", maker.PAGE.read_text(encoding="utf-8"), re.MULTILINE) == commands
