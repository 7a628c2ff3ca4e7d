"""Writes what the commands say with `--help` into api/cli.md: `python docs/make_cli.py`."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from pyode_bridge.cli import main as pyode_bridge

PAGE = Path(__file__).parent / "api" / "cli.md"
HELP = re.compile(r"^(<!-- help:(?P<command>[ \w]*) -->\n)```text\n.*?^```\n", re.MULTILINE | re.DOTALL)
PLAIN = {"COLUMNS": "80", "NO_COLOR": "1"}


def main() -> None:
    PAGE.write_text(with_help(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Written to {PAGE}")


def with_help(text: str) -> str:
    """The page whose blocks below the remark ``<!-- help: ... -->`` are what the commands say now."""
    return HELP.sub(lambda match: f"{match[1]}```text\n{printed(*match['command'].split())}```\n", text)


def printed(*command: str) -> str:
    """What ``--help`` prints of a command, or of the program."""
    out = io.StringIO()
    with mock.patch.dict(os.environ, PLAIN), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        pyode_bridge([*command, "--help"])
    return out.getvalue()


if __name__ == "__main__":
    main()
