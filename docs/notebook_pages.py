"""Makes pages of the site from notebooks, with the outputs that are kept in them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EMPTY_LINES = re.compile(r"\n\s*\n")


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and its figures by their file names beside it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    figures: dict[str, bytes] = {}
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            parts.extend(_shown(output, path.stem, figures))
    title, *rest = parts
    note = f"*This page is a notebook, run on the Julia engine: [{path.name}]({path.name}).*"
    return "\n\n".join([_on_the_site(title), note, *map(_on_the_site, rest)]) + "\n", figures


def _shown(output: dict[str, Any], name: str, figures: dict[str, bytes]) -> Iterator[str]:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        file = f"{name}_{len(figures) + 1}.png"
        figures[file] = base64.b64decode(data["image/png"])
        yield f"![Figure {len(figures)} of this notebook]({file})"
    elif "text/html" in data:
        html = "".join(data["text/html"]).replace(' border="1" class="dataframe"', "")  # for the site's style
        yield f'<div class="output">{EMPTY_LINES.sub(chr(10), html)}</div>'
    else:
        yield f"```text\n{''.join(data['text/plain']).rstrip()}\n```"


def _on_the_site(markdown: str) -> str:
    """The site has scripts as pages, and the pages of docs at its top."""
    return re.sub(r"(\]\(\.\./[^)\s]+)\.py\)", r"\1.md)", markdown).replace("](../../docs/", "](../../")
