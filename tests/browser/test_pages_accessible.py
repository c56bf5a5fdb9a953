"""Every page under axe-core in a real Chromium, light and dark: nothing serious keeps anybody out.

Which pages there are stands in tests/page_homes.py. Not here: what a page says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import page_homes
from tests.page_homes import ALERTS, WRITERS, Site, home_of, hostile, one_event, open_alerts, usual, with_pages

pytestmark = pytest.mark.browser

SERIOUS = ("serious", "critical")
PAGES = (*WRITERS, "index")
DATA = {"usual": usual, "one event": one_event, "hostile": hostile, "empty": lambda: None}
STRUCTURE = """() => ({
    headings: [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => Number(h.tagName[1])),
    lang: document.documentElement.lang,
    landmarks: ['header nav', 'main', 'body > footer'].map(s => document.querySelectorAll(s).length),
    bare: [...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent.trim()).length,
    scopeless: [...document.querySelectorAll('th:not([scope])')].length,
    unnamed: [...document.querySelectorAll('svg')].filter(s => !s.closest('[aria-label], [aria-hidden]')
        && !s.getAttribute('aria-label')).length,
    images: [...document.querySelectorAll('img:not([alt])')].length,
})"""


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


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts = []

    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(
    sites: Callable[[str], Site], opened: Callable[..., Page], name: str, data: str, scheme: str
) -> None:
    found = Axe().run(opened(sites(data).pages[name], scheme=scheme))
    assert found.response["passes"], "axe looked at nothing"
    wrong = [
        (one["id"], one["impact"], [node["html"][:160] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_on_a_phone(
    sites: Callable[[str], Site], opened: Callable[..., Page], name: str
) -> None:
    found = Axe().run(opened(sites("usual").pages[name], 360, "dark"))
    assert [one["id"] for one in found.response["violations"] if one["impact"] in SERIOUS] == []


@pytest.mark.parametrize("data", ["usual", "empty"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_built_of_landmarks_headings_in_order_and_tables_with_captions(
    sites: Callable[[str], Site], opened: Callable[..., Page], name: str, data: str
) -> None:
    found = opened(sites(data).pages[name]).evaluate(STRUCTURE)
    levels = found["headings"]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    assert found["lang"] == "en"
    assert found["landmarks"] == [1, 1, 1]
    assert [found[key] for key in ("bare", "scopeless", "unnamed", "images")] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_skips_to_the_content_and_is_seen(
    sites: Callable[[str], Site], opened: Callable[..., Page], name: str
) -> None:
    page = opened(sites("usual").pages[name])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null || document.activeElement === document.body")
    if page.evaluate("document.activeElement !== document.body"):
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_from_disk_to_files_that_are_there(
    sites: Callable[[str], Site], opened: Callable[..., Page], name: str
) -> None:
    site = sites("usual")
    page = opened(site.pages[name])
    hrefs = page.eval_on_selector_all("a[href]", "links => links.map(a => a.href)")
    assert (site.folder / "index.html").as_uri() in hrefs
    made = {path.stem for path in site.pages.values()}
    for href in hrefs:
        if href.startswith("file:") and (file := Path(href[7:].partition("?")[0].partition("#")[0])).stem in made:
            assert file.is_file(), href
