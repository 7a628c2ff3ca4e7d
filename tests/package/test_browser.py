"""Every page in a real browser, on a desk and on a phone: nothing is broken or too wide, a keyboard reaches all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import pytest

pytest.importorskip("playwright.sync_api", reason='needs `pip install "pyode_bridge[browser]"`')
pytest.importorskip("mkdocs", reason='needs `pip install "pyode_bridge[docs]"`')

from tests.package.browsing import REPOSITORY, ROOT, SITE, browser_on, executable, located, rendered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(executable() is None, reason="no Chromium or Chrome is on the PATH"),
]

WIDTHS = pytest.mark.parametrize("width", [1280, 390])
ON_GITHUB = [f"{REPOSITORY}{page}" for page in ("README.md", "examples/README.md", "docs/gallery.md")]
BY_KEYBOARD = [SITE, *(f"{SITE}{page}/" for page in ("quickstart", "gallery", "solvers", "api/cli")), *ON_GITHUB]

LOOK = """async () => {
  const images = [...document.images]
  images.forEach((image) => (image.loading = "eager"))
  await Promise.all(images.map((image) => image.decode().catch(() => {})))
  const width = document.documentElement.clientWidth
  const rolls = (one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowX)
  const scrolls = (one) => one && (rolls(one) || scrolls(one.parentElement))
  const name = (one) => `<${one.localName} class="${one.className}">${one.textContent.trim().slice(0, 40)}`
  return {
    links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
    ids: [...document.querySelectorAll("[id]")].map((one) => one.id),
    broken: images.filter((image) => !image.naturalWidth).map((image) => image.src),
    unnamed: images.filter((image) => !image.alt).map((image) => image.src),
    wide: document.documentElement.scrollWidth > width,
    cut: [...document.querySelectorAll("article *")]
      .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width + 1 && !scrolls(one))
      .map(name),
  }
}"""

MARK = """() => {
  const shown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
  const all = [...document.querySelectorAll("a[href], button, summary, input, label[role=button], [tabindex='0']")]
  const reachable = all.filter((one) => shown(one) && !(one.disabled || one.type === "hidden"))
  reachable.forEach((one, at) => (one.dataset.mark = at))
  return reachable.map((one) => `<${one.localName} class="${one.className}">${one.textContent.trim().slice(0, 40)}`)
}"""

FOCUSED = """() => {
  const one = document.activeElement
  if (!one || one === document.body) return null
  const seen = one.matches(".md-option") ? one.nextElementSibling : one // a hidden box, whose label shows the focus
  const style = getComputedStyle(seen), box = seen.getBoundingClientRect()
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
  return {
    mark: one.dataset.mark ?? null,
    name: `<${one.localName} class="${one.className}">${one.textContent.trim().slice(0, 40)}`,
    visible: (outlined || one.type === "text") && box.right > 0 && box.left < innerWidth,
  }
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder


@pytest.fixture(scope="module")
def browser(site: Path) -> Iterator[Any]:
    with browser_on(site) as context:
        yield context


@pytest.fixture
def page(browser: Any, width: int) -> Iterator[Any]:
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    yield page
    page.close()


@pytest.fixture
def addresses(site: Path) -> list[str]:
    found = [file.relative_to(site).as_posix().removesuffix("index.html") for file in site.rglob("*.html")]
    assert len(found) > 50, "each page and each script of the examples has an address"
    return [*ON_GITHUB, *(f"{SITE}{path}" for path in sorted(found))]


@pytest.mark.parametrize("width", [390])
def test_what_is_wrong_is_seen(page: Any, site: Path, width: int) -> None:
    page.goto(f"{REPOSITORY}README.md")
    wide = '<p style="width: 900px">'
    page.set_content(
        f'<article><img src="nowhere.png"><a href="#" style="outline: none">a</a>{wide}too wide</p>'
        f'<div style="overflow-x: auto">{wide}this scrolls</p></div></article>'
    )
    found = page.evaluate(LOOK)
    assert found["broken"] == found["unnamed"] == [f"{REPOSITORY}nowhere.png"]
    assert found["wide"]
    assert [name.endswith("too wide") for name in found["cut"]] == [True]
    page.keyboard.press("Tab")
    assert not page.evaluate(FOCUSED)["visible"]
    links = ("README.md", "README.md#install", "README.md#nothing", "nothing.md")
    assert [leads_somewhere(REPOSITORY + link, {}, site) for link in links] == [True, True, False, False]


@WIDTHS
def test_nothing_is_broken_or_too_wide(page: Any, site: Path, addresses: list[str]) -> None:
    pages, wrong = {}, []
    for address in addresses:
        assert page.goto(address).ok, address
        pages[address] = found = page.evaluate(LOOK)
        wrong += [f"{address}: {what} {found[what]}" for what in ("broken", "unnamed", "cut") if found[what]]
        wrong += [f"{address} is wider than the screen"] if found["wide"] else []
    ids = {address: set(found["ids"]) for address, found in pages.items()}
    for address, found in pages.items():
        wrong += [f"{address} leads to {link}" for link in set(found["links"]) if not leads_somewhere(link, ids, site)]
    assert not wrong, "\n".join(wrong)


def leads_somewhere(link: str, ids: dict[str, set[str]], site: Path) -> bool:
    """Whether a link within the site or the repository leads to a file, and to a part of it that it names."""
    address, part = urldefrag(link)
    file = located(address, site)
    if file is None:
        return link.startswith(("https://", "mailto:"))
    if address not in ids and file.suffix == ".md" and file.is_file():
        ids[address] = set(re.findall(r' id="([^"]+)"', rendered(file)))
    return file.exists() and (not part or part in ids.get(address, ()))


@WIDTHS
@pytest.mark.parametrize("address", BY_KEYBOARD)
def test_a_keyboard_reaches_everything(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    names = page.evaluate(MARK)
    reached, unseen = set(), []
    for _ in range(2 * len(names) + 20):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        reached.add(focused["mark"])
        unseen += [] if focused["visible"] else [focused["name"]]
    missed = [name for at, name in enumerate(names) if str(at) not in reached]
    assert not missed, "\n".join(missed)
    assert not unseen, "\n".join(unseen)


@pytest.mark.parametrize("width", [390])
def test_the_menu_and_the_search_open_by_keyboard(page: Any, width: int) -> None:
    page.goto(SITE)
    menu, search = page.get_by_role("button", name="Menu"), page.get_by_role("button", name="Search").first
    link = page.locator(".md-nav--primary a", has_text="Quick start").first
    assert not link.is_visible()
    menu.focus()
    page.keyboard.press("Space")
    section = page.locator("label.md-nav__link", has_text="Learn")
    section.wait_for(state="visible")
    section.focus()
    page.keyboard.press("Enter")
    link.wait_for(state="visible")
    menu.focus()
    page.keyboard.press("Enter")
    search.focus()
    page.keyboard.press("Enter")
    page.locator(".md-search__input").wait_for(state="visible")
