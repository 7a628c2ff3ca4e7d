"""Writes the tables of torchdiffeq.md from `pyode_bridge.problem.torchdiffeq`: `python docs/make_torchdiffeq.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pyode_bridge.problem.schemes import ScipySolver
from pyode_bridge.problem.torchdiffeq import ARGUMENTS, METHODS, OPTIONS, MethodName, OptionName

PAGE = Path(__file__).parent / "torchdiffeq.md"
TABLE = re.compile(r"^(<!-- names: (?P<name>\w+) -->\n\n)(?:\|.*\n)*", re.MULTILINE)


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Written to {PAGE}")


def with_tables(text: str) -> str:
    """The page whose tables are what the package says now."""
    return TABLE.sub(lambda match: f"{match[1]}{MAKERS[match['name']]()}", text)


def arguments() -> str:
    """Each argument of torchdiffeq's functions."""
    return _table(("argument", "here"), ((f"`{name}`", note) for name, note in ARGUMENTS.items()))


def methods() -> str:
    """Each method of torchdiffeq's, in one row with those of which the same is to be said."""
    columns = ("torchdiffeq", "steps", "Julia's name", "here")
    alike: dict[tuple[str, str, str], list[str]] = {}
    for name, method in METHODS.items():
        alike.setdefault((method.steps, _julia(method), method.note), []).append(f"`{name}`")
    return _table(columns, ((", ".join(names), *said) for said, names in alike.items()))


def options() -> str:
    """Each option of torchdiffeq's."""
    columns = ("option", "with steps that are", "`StepOptions`", "here")
    return _table(columns, ((f"`{name}`", ", ".join(o.steps), _field(o), o.note) for name, o in OPTIONS.items()))


def _julia(method: MethodName) -> str:
    if isinstance(method.algorithm, str):
        return f"`{method.algorithm}`"
    return "none" if isinstance(method.algorithm, ScipySolver) else "none: its numbers go to Julia"


def _field(option: OptionName) -> str:
    return "none" if option.option is None else " and ".join(f"`{name}`" for name in (option.option, *option.besides))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


MAKERS: dict[str, Callable[[], str]] = {"arguments": arguments, "methods": methods, "options": options}


if __name__ == "__main__":
    main()
