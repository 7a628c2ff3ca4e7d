"""The page of faults says what the table of faults demands."""

from __future__ import annotations

from pathlib import Path

from tests.faults.table import Fault, OfTheUserError, faults

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
IN_WORDS = {OfTheUserError: "your own exception, with its traceback"}


def raised(fault: Fault) -> str:
    kinds = fault.raises if isinstance(fault.raises, tuple) else (fault.raises,)
    return " or ".join(IN_WORDS.get(kind, f"`{kind.__name__}`") for kind in kinds)


def table() -> str:
    lines = ["| what happens | what is raised |", "| --- | --- |"]
    lines += [f"| {name} | {raised(fault)} |" for name, fault in faults().items()]
    return "\n".join(lines)


def test_the_page_has_the_table_of_faults() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} shall hold\n{table()}"
