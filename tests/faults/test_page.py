"""The pages of faults say what the table of faults demands: all of it, and for users what is raised."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.table import Fault, OfTheUserError, faults

DOCS = Path(__file__).parents[2] / "docs"
ALL, FOR_USERS = DOCS / "held-to.md", DOCS / "faults.md"
IN_WORDS = {OfTheUserError: "your own exception, with its traceback"}


def raised(fault: Fault) -> str:
    kinds = fault.raises if isinstance(fault.raises, tuple) else (fault.raises,)
    return " or ".join(IN_WORDS.get(kind, f"`{kind.__name__}`") for kind in kinds)


def table() -> str:
    lines = ["| what happens | what is raised |", "| --- | --- |"]
    lines += [f"| {name} | {raised(fault)} |" for name, fault in faults().items()]
    return "\n".join(lines)


def test_the_page_has_the_table_of_faults() -> None:
    assert table() in ALL.read_text(encoding="utf-8"), f"{ALL.name} shall hold\n{table()}"


def test_the_page_for_users_tells_all_that_is_raised_and_nothing_else() -> None:
    rows = re.findall(r"^\| .* \| (.*) \|$", FOR_USERS.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) - {"what is raised", "---"} == {raised(fault) for fault in faults().values()}
