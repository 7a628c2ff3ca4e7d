"""The site and the pages of the repository as a browser shows them: from memory and disk, without a server.

`http://site.test/` is the site as mkdocs builds it, `http://repository.test/` the Markdown of the repository, rendered
much as GitHub renders it. Nothing else can be reached.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import markdown
from markdown.extensions.toc import TocExtension

ROOT = Path(__file__).parents[2]
SITE, REPOSITORY = "http://site.test/", "http://repository.test/"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LIKE_GITHUB = """
<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 sans-serif; margin: 0 auto; max-width: 830px; padding: 24px; overflow-wrap: break-word }}
pre, table {{ display: block; max-width: 100%; overflow: auto; width: max-content }}
pre {{ background: #f6f8fa; box-sizing: border-box; font-size: 85%; padding: 16px; width: 100% }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #d1d9e0; padding: 6px 13px }}
img {{ max-width: 100% }}
</style><article>{article}</article></html>
"""


def executable() -> str | None:
    """A browser of this machine."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def browser_on(site: Path) -> Iterator[Any]:
    """A browser in which the site that was built in this folder, and the repository, are all the web there is."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        context = browser.new_context()
        context.route("**/*", lambda route: _answer(route, site))
        yield context
        browser.close()


def _answer(route: Any, site: Path) -> None:
    file = located(route.request.url, site)
    if file is None:
        return route.abort()
    if not file.is_file():
        return route.fulfill(status=404, body="not found")
    if file.suffix == ".md":
        return route.fulfill(body=rendered(file), content_type="text/html; charset=utf-8")
    return route.fulfill(path=file)


def located(address: str, site: Path) -> Path | None:
    """Where the file lies that an address stands for; None where it is of another place."""
    url = urlsplit(address)
    path = unquote(url.path).lstrip("/")
    if address.startswith(REPOSITORY):
        return ROOT / path
    if address.startswith(SITE):
        return site / path / "index.html" if (site / path).is_dir() else site / path
    return None


def rendered(file: Path) -> str:
    """A page of the repository as HTML."""
    headings = TocExtension(slugify=lambda title, _: github_anchor(title))
    text = file.read_text(encoding="utf-8")
    article = markdown.markdown(text, extensions=["fenced_code", "md_in_html", "tables", headings])
    return LIKE_GITHUB.format(title=file.name, article=article)


def github_anchor(title: str) -> str:
    """The id that GitHub gives to a heading."""
    return "".join(c for c in title.lower() if c.isalnum() or c in "-_ ").replace(" ", "-")
