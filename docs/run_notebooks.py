"""Runs notebooks on the Julia engine, and keeps their outputs in them: `python docs/run_notebooks.py first_steps`.

Without a name it runs them all. The site shows what is kept, and a test that it comes from the code as it stands.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "examples" / "notebooks"
LIMIT = 1800  # seconds for a cell, where Julia compiles what it needs and the machine is busy


def main() -> None:
    wanted = sys.argv[1:]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not wanted or path.stem in wanted:
            notebook = executed(path, "julia")
            notebook.metadata["ran"] = {"engine": "julia", "code": digest(notebook)}
            path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
            print(f"{path.relative_to(NOTEBOOKS.parents[1])} is run")


def executed(path: Path, engine: str) -> Any:
    """The notebook with the outputs of all its cells, run in an empty folder; raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "PYODE_BRIDGE_ENGINE": engine}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=LIMIT,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
    return notebook


def digest(notebook: Any) -> str:
    """Of the code, which the outputs belong to."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\n\n".join(code).encode()).hexdigest()


if __name__ == "__main__":
    main()
