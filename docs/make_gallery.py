"""Writes gallery.md from the figures in examples/figures and the JSON beside them, and tables of other pages.

A figure belongs to the JSON whose name is the longest beginning of its own, and a JSON in the same way to a script:
`density_flow.png` to `density.json`, `compare_solvers_energy.json` to `compare_solvers.py`, `benchmarks.json` to
`benchmarks/run.py`. A tutorial's figure lies in a folder of its own, beside what it printed. A table below the remark
`<!-- table: adjoint_memory added -->` is that of `added` in the JSON of `adjoint_memory`, and one below
`<!-- table: comparison speed -->` that of `speed` in comparison.py. Run it after a figure has changed:
`python docs/make_gallery.py`.
"""

from __future__ import annotations

import ast
import html
import importlib
import json
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import claims
import comparison
import torch

ROOT = Path(__file__).parents[1]
EXAMPLES, FIGURES = ROOT / "examples", ROOT / "examples" / "figures"
PRINTED = FIGURES / "tutorials"  # figures of the tutorials, and texts of what they printed
PAGE = ROOT / "docs" / "gallery.md"
HEADER = """# Gallery

The figures of the [examples](../examples/README.md), with the command that made each: first the tutorials, with what
they print, then studies and benchmarks. A picture leads to its section. This page is made by
`python docs/make_gallery.py` from what the scripts wrote and printed: every number comes from the run that the section
names.
"""
CLAIMS = """### Claims, published and here

What Chen et al. 2018 and those after them claim, beside what the studies below found on the Julia engine: means over
seeds with their standard deviations, and whether a claim was met. The wording is ours; sizes of data and of training
differ from the papers', so a published number says what to expect, and comparisons hold within a row.
"""
THUMBNAIL_HEIGHT = 110  # pixels
MOST_ROWS, MOST_COLUMNS = 12, 10  # of a table that is shown
TABLE = re.compile(r"^(<!-- table: (?P<record>\w+) (?P<key>\w+) -->\n\n)(?:\|.*\n)*\n?", re.MULTILINE)
LONGEST_TEXT = 40  # characters in a cell
NOT_IN_COMMAND = {"output", "resume"}  # where results went, and whether the run was interrupted


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written to {PAGE}")
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (renewed := with_tables(text)) != text:
            path.write_text(renewed, encoding="utf-8")
            print(f"Tables renewed in {path}")


def pages() -> list[Path]:
    """Those that may have tables of records."""
    return [ROOT / "README.md", *sorted(PAGE.parent.glob("*.md"))]


def with_tables(text: str) -> str:
    """A page whose tables from the JSON are what that says now."""

    def renewed(match: re.Match[str]) -> str:
        record, key = match["record"], match["key"]
        if record == "comparison":
            return f"{match[1]}{markdown('', comparison.TABLES[key]())}\n\n"
        results = json.loads((FIGURES / f"{record}.json").read_text(encoding="utf-8"))
        return f"{match[1]}{table('', results['numbers'][key])}\n\n"

    return TABLE.sub(renewed, text)


def page() -> str:
    """The whole page; every figure stands in it once."""
    scripts = scripts_by_name()
    records = [path.stem for path in FIGURES.glob("*.json")]
    figures = sorted(path.stem for path in FIGURES.glob("*.png"))
    sections = [tutorial(script) for script in tutorials()]
    for script in sorted({owner(record, scripts) for record in records}):
        runs = [
            run(scripts[script], json.loads((FIGURES / f"{record}.json").read_text(encoding="utf-8")), names)
            for record in sorted(records)
            if owner(record, scripts) == script
            and (names := [name for name in figures if owner(name, records) == record])
        ]
        sections += ["\n\n".join([introduction(scripts[script]), *runs])] if runs else []
    of_claims = f"{CLAIMS}\n{markdown('claim', claims.table())}"
    return "\n\n".join([HEADER.strip(), thumbnails(sections), of_claims, *sections]) + "\n"


def thumbnails(sections: Iterable[str]) -> str:
    """The first picture of each section, small, which leads there: as HTML, which GitHub and the site both show."""
    lines = []
    for section in sections:
        (title,), (figure, *_) = re.findall("^## (.+)$", section, re.MULTILINE), re.findall(r"!\[.*\]\((.+)\)", section)
        words = html.escape(title)
        picture = f'<img src="{figure}" alt="{words}" height="{THUMBNAIL_HEIGHT}" loading="lazy">'
        lines.append(f'<a href="#{anchor(title)}" title="{words}">{picture}</a>')
    return "\n".join(['<div class="thumbnails">', *lines, "</div>"])


def anchor(title: str) -> str:
    """The id that GitHub and the site give to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def scripts_by_name() -> dict[str, Path]:
    """The studies and benchmarks; a `run.py` by the name of its folder."""
    patterns = ("studies/*.py", "benchmarks/*.py", "studies/*/run.py", "benchmarks/*/run.py")
    scripts = [path for pattern in patterns for path in EXAMPLES.glob(pattern)]
    return {path.parent.name if path.stem == "run" else path.stem: path for path in scripts}


def tutorials() -> list[Path]:
    """In the order in which the index of the examples has them."""
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    return [EXAMPLES / name for name in re.findall(r"\]\((tutorials/\w+\.py)\)", index)]


def tutorial(script: Path) -> str:
    """Its introduction, figure, command, and what it printed."""
    image = f"![{script.stem.replace('_', ' ')}](../{(PRINTED / script.stem).relative_to(ROOT)}.png)"
    printed = (PRINTED / f"{script.stem}.txt").read_text(encoding="utf-8").strip()
    blocks = [f"```bash\npython {script.relative_to(ROOT)}\n```", f"```text\n{printed}\n```"]
    return "\n\n".join([introduction(script), image, *blocks])


def owner(name: str, candidates: Iterable[str]) -> str:
    """The longest of the candidates that ``name`` begins with."""
    fitting = [each for each in candidates if name == each or name.startswith(f"{each}_")]
    if not fitting:
        raise SystemExit(f"Nothing in examples belongs to {name}: a figure needs the JSON of the run that made it.")
    return max(fitting, key=len)


def introduction(script: Path) -> str:
    """The title, and what the script's docstring says first."""
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    summary, *paragraphs = (text or "").split("\n\n")
    title = re.split(r": | \(|\.$", " ".join(summary.split()))[0]
    # An indented paragraph is an equation; the one in words after it is shown too.
    last = next((at for at, each in enumerate(paragraphs) if not each.startswith(" ")), -1)
    words = "\n\n".join(paragraphs[: last + 1])
    more = [each for each in (summary, words) if each not in ("", f"{title}.")]
    link = f"[{script.relative_to(EXAMPLES)}](../{script.relative_to(ROOT)})"
    return "\n\n".join([f"## {title}", *more, f"Script: {link}"])


def run(script: Path, results: dict[str, Any], figures: list[str]) -> str:
    """One run: its figures, command, origin and tables."""
    images = [f"![{name.replace('_', ' ')}](../examples/figures/{name}.png)" for name in figures]
    blocks = [*images, f"```bash\n{command(script, results['settings'])}\n```", origin(results)]
    return "\n\n".join([*blocks, *tables(results["numbers"])])


def command(script: Path, settings: dict[str, Any]) -> str:
    """The command line of a run, without what is as it would be anyway."""
    words = ["python", str(script.relative_to(ROOT))]
    usual = defaults(script, quick=settings["quick"])
    for key, value in settings.items():
        if key in NOT_IN_COMMAND or (key != "quick" and value == usual[key]) or value is False:
            continue
        words.append("--" + key.replace("_", "-"))
        if value is not True:
            words += [str(item) for item in (value if isinstance(value, list) else [value])]
    return shlex.join(words)


class _Started(Exception):  # noqa: N818
    """Carries a script's settings out of it."""


def defaults(script: Path, *, quick: bool) -> dict[str, Any]:
    """A script's settings where its command line gives none but, perhaps, --quick.

    The script itself says: it is left where it has read its command line.
    """

    def leave(args: Any, _what: str) -> None:
        raise _Started(vars(args))

    dtype = torch.get_default_dtype()
    name = ".".join(script.relative_to(ROOT).with_suffix("").parts)
    arguments = [name, "--quick"] if quick else [name]
    with mock.patch.object(sys, "path", [str(ROOT), *sys.path]), mock.patch.object(sys, "argv", arguments):
        module, command_line = importlib.import_module(name), importlib.import_module("examples.support.command_line")
        with mock.patch.object(command_line, "start", leave), mock.patch.dict("os.environ"):
            try:
                module.main()
            except _Started as started:
                return dict(started.args[0])
            finally:
                torch.set_default_dtype(dtype)  # some scripts change it first
    raise SystemExit(f"{script} ran without reading its command line.")


def origin(results: dict[str, Any]) -> str:
    """What ran, on which machine, with which versions, seed and time of training."""
    ran = ", ".join(f"{key} {value}" for key, value in results["ran"].items() if value is not None)
    machine, versions = results["machine"], results["versions"]
    where = f"{machine['cpu']}, {machine['cores']} cores, torch threads: {machine['torch_threads']}"
    made = f"Ran with {ran}; seed {results['settings']['seed']}; {where}; " + ", ".join(
        f"{name} {version}" for name, version in versions.items()
    )
    training = results.get("training")
    if training is not None:
        made += f"; {training['iteration']} iterations of training in {training['seconds']:.0f} s"
    return made + "."


def tables(numbers: dict[str, Any]) -> list[str]:
    """The numbers that make a small table: single ones together, then named rows, then lists of rows."""
    single = {key: {"value": value} for key, value in numbers.items() if is_cell(value)}
    found = [table("", single)] if single else []
    for key, value in numbers.items():
        rows: Any = {str(at): row for at, row in enumerate(value, 1)} if isinstance(value, list) else value
        if isinstance(rows, dict) and rows and len(rows) <= MOST_ROWS:
            if all(is_cell(cell) for cell in rows.values()):
                found.append(table(key, {name: {"value": cell} for name, cell in rows.items()}))
            elif all(isinstance(row, dict) for row in rows.values()):
                found.append(table(key, rows))
    return [text for text in found if text]


def table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    """Markdown of the columns that hold a number or a short text and nothing longer; "" if there is none."""
    keys = dict.fromkeys(key for row in rows.values() for key, value in row.items() if value not in (None, ""))
    columns = [key for key in keys if all(is_cell(row.get(key)) for row in rows.values())][:MOST_COLUMNS]
    cells = {in_words(label): {in_words(key): row.get(key) for key in columns} for label, row in rows.items()}
    return markdown(in_words(name), cells)


def markdown(name: str, rows: dict[str, dict[str, Any]]) -> str:
    """A table of all rows and of the columns that each has; "" if there is none."""
    columns = list(next(iter(rows.values())))
    if not columns:
        return ""
    lines = [[name, *columns], ["---"] * (1 + len(columns))]
    lines += [[row, *(shown(cells[key]) for key in columns)] for row, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_words(name: str) -> str:
    """A key of the JSON as words; what is no identifier, such as a label, stays as it is."""
    return name.replace("_", " ") if name.isidentifier() else name


def is_cell(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= LONGEST_TEXT)


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
