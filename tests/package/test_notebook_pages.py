"""Pages of the site that are made from notebooks have all that is in them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG of a figure"
CELLS = [
    {
        "cell_type": "markdown",
        "source": ["# A title\n", "\n", "See [one](../studies/one.py), [two](../../docs/two.md)."],
    },
    {
        "cell_type": "code",
        "source": ["print(1)\n", "2"],
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
            {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
            {
                "output_type": "execute_result",
                "data": {
                    "text/html": ['<table border="1" class="dataframe">\n', "\n", "</table>"],
                    "text/plain": ["3"],
                },
            },
            {
                "output_type": "display_data",
                "data": {"image/png": base64.b64encode(PNG).decode(), "text/plain": ["<Figure>"]},
            },
        ],
    },
]
PAGE = """# A title

See [one](../studies/one.md), [two](../../two.md).

*This page is a notebook, run on the Julia engine: [small.ipynb](small.ipynb).*

```python
print(1)
2
```

```text
1
```

```text
2
```

<div class="output"><table>
</table></div>

![Figure 1 of this notebook](small_1.png)
"""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import notebook_pages

    return notebook_pages


def test_text_code_and_every_output_come_in_order(pages: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps({"cells": CELLS}))
    assert pages.page(path) == (PAGE, {"small_1.png": PNG})


def test_figures_of_the_notebooks_are_on_their_pages(pages: Any) -> None:
    for path in (ROOT / "examples" / "notebooks").glob("*.ipynb"):
        text, figures = pages.page(path)
        assert figures
        assert re.findall(r"\]\((\w+\.png)\)", text) == list(figures)
        assert all(content.startswith(b"\x89PNG") for content in figures.values())
