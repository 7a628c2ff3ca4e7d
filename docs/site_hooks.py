"""Brings the examples into the site: pages link to them as they lie in the repository, at ../examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import notebook_pages
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
SOURCE = """---
search:
  exclude: true
---

# {name}

````python
{source}
````
"""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the figures, the index of the examples, and a page for each script and each notebook."""
    for figure in sorted((ROOT / "examples" / "figures").rglob("*.png")):
        name = figure.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "examples/README.md", content=_index_on_the_site(index)))
    for script in sorted((ROOT / "examples").rglob("[!_]*.py")):
        name = script.relative_to(ROOT).as_posix()
        page = SOURCE.format(name=name, source=script.read_text(encoding="utf-8"))
        file = File.generated(config, f"{name.removesuffix('.py')}.md", content=page)
        file.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(file)
    for notebook in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        name = notebook.relative_to(ROOT).as_posix()
        page, pictures = notebook_pages.page(notebook)
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
        files.append(File.generated(config, name.replace(".ipynb", ".md"), content=page))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"{name.removesuffix(notebook.name)}{picture}", content=content))
    return files


def _index_on_the_site(markdown: str) -> str:
    """The site has scripts as pages, and the pages of docs at its top."""
    return re.sub(r"\.(py|ipynb)\)", ".md)", markdown).replace("](../docs/", "](../")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links from where the repository has an example to where the site has it."""
    markdown = re.sub(r"\]\(\.\./(examples/[^)\s]+)\.(?:py|ipynb)\)", r"](\1.md)", markdown)
    return markdown.replace("](../examples/", "](examples/")
