"""Every page under axe-core in a real Chromium, light, dark and on a phone: nothing serious keeps anybody out.

Which pages there are stands in tests/page_homes.py. Not here: what a page says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import page_homes
from tests.page_homes import ALERTS, PAGES, Site, home_of, hostile, one_event, open_alerts, usual, with_pages

pytestmark = pytest.mark.browser

SERIOUS = ("serious", "critical")
DATA = {"usual": usual, "one event": one_event, "hostile": hostile, "empty": lambda: None}
STRUCTURE = """() => ({
    headings: [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => Number(h.tagName[1])),
    lang: document.documentElement.lang,
    landmarks: ['header nav', 'main', 'body > footer'].map(s => document.querySelectorAll(s).length),
    bare: [...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent.trim()).length,
    scopeless: [...document.querySelectorAll('th:not([scope])')].length,
    unnamed: [...document.querySelectorAll('svg')].filter(s => !s.closest('[aria-label], [aria-hidden]')).length,
    images: [...document.querySelectorAll('img:not([alt])')].length,
    links: [...document.querySelectorAll('a[href]')].map(a => a.href),
})"""

Opened = Callable[[str, str], Page]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """Sites by their data, made when first asked for."""
    made: dict[str, Site] = {}

    def site(data: str) -> Site:
        if data not in made:
            home = home_of(tmp_path_factory.mktemp("site"), DATA[data]())
            if data in ("usual", "hostile"):
                subject = page_homes.HOSTILE if data == "hostile" else "vscode_install"
                open_alerts(home, [*ALERTS, ("slow_regression", subject, "warning")], silent="x86*")
            made[data] = with_pages(home)
        return made[data]

    return site


@pytest.fixture(scope="module")
def opened(browser: Browser, sites: Callable[[str], Site]) -> Iterator[Opened]:
    """A page by its data and name, from disk, with everything unfolded. Opened once: a dashboard takes its time."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, reduced_motion="reduce")
    pages: dict[tuple[str, str], Page] = {}

    def open_page(data: str, name: str) -> Page:
        if (data, name) not in pages:
            for page in pages.values():
                page.close()
            pages.clear()
            page = pages[data, name] = context.new_page()
            page.goto(sites(data).pages[name].as_uri())
            page.wait_for_load_state("networkidle")
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return pages[data, name]

    yield open_page
    context.close()


def serious(page: Page) -> list[tuple[Any, ...]]:
    """What axe finds that keeps somebody out, each with a few places."""
    found = Axe().run(page).response
    assert found["passes"], "axe looked at nothing"
    return [
        (one["id"], one["impact"], [node["html"][:160] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


# Ordered by page, so that each is opened once.
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", PAGES)
class TestPages:
    def test_axe_finds_nothing_serious(self, opened: Opened, name: str, data: str) -> None:
        page = opened(data, name)
        page.emulate_media(color_scheme="light")
        assert serious(page) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page) == []
        if data == "usual":
            page.set_viewport_size({"width": 360, "height": 800})
            assert serious(page) == []
            page.set_viewport_size({"width": 1280, "height": 900})

    def test_a_page_is_built_of_landmarks_headings_in_order_and_tables_with_captions(
        self, opened: Opened, name: str, data: str
    ) -> None:
        found = opened(data, name).evaluate(STRUCTURE)
        levels = found["headings"]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        assert found["lang"] == "en"
        assert found["landmarks"] == [1, 1, 1]
        assert [found[key] for key in ("bare", "scopeless", "unnamed", "images")] == [0, 0, 0, 0]

    def test_links_between_pages_lead_from_disk_to_files_that_are_there(
        self, opened: Opened, sites: Callable[[str], Site], name: str, data: str
    ) -> None:
        site = sites(data)
        links = opened(data, name).evaluate(STRUCTURE)["links"]
        files = [
            Path(link[len("file://") :].partition("?")[0].partition("#")[0]) for link in links if "file://" in link
        ]
        assert site.folder / "index.html" in files
        assert {file for file in files if not file.is_file()} == set()


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_skips_to_the_content_and_is_seen(opened: Opened, name: str) -> None:
    page = opened("usual", name)
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
