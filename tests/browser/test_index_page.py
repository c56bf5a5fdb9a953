"""The index in a real browser, from disk and without a network: on a phone and wide, light and dark, on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.reports.index.pages import SHOWN, write_index
from matokit_pipelines.warehouse.refresh import Home
from tests.browser.test_weekly_page import CONTRAST, CUT, OUTSIDE
from tests.page_homes import ALERTS, DASHBOARDS, HOSTILE, NOW, home_of, one_event, open_alerts, settings_of
from tests.unit.test_index_page import made, report

pytestmark = pytest.mark.browser

LONG = "Visual Studio Code installation with a very long readable name " * 3


def busy(folder: Path) -> Path:
    """Alerts with names of every kind, all dashboards, reports of a quarter, one of them damaged."""
    home = home_of(folder, one_event(), stale=True)
    names = [("slow_regression", name, "warning") for name in (HOSTILE, LONG, "a" * 150)]
    open_alerts(home, [*ALERTS, *names], silent="x86*")
    (folder / "dashboards").mkdir()
    for name in DASHBOARDS:
        (folder / "dashboards" / f"{name}.html").write_text(f"<h1>{name}</h1>", encoding="utf-8")
    for age in range(90):
        said = made((HOSTILE, LONG, "Nothing notable.")[age % 3], incomplete=["data to 07:00."] if age == 1 else [])
        report(folder, "daily", str(NOW.date() - timedelta(days=age)), said)
    report(folder, "weekly", "2026-W46", "{damaged")
    return write_index(folder, home.loaded, NOW)


def empty(folder: Path) -> Path:
    """A home in which nothing happened yet."""
    home = Home.of(settings_of(folder), FixedClock(NOW))
    return write_index(folder, home.loaded, NOW)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {make.__name__: make(tmp_path_factory.mktemp(make.__name__)) for make in (busy, empty)}


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    contexts = []

    def open_page(name: str, width: int, scheme: str = "light") -> tuple[Page, list[str]]:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme, java_script_enabled=True
        )
        contexts.append(context)
        page, troubles = context.new_page(), []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(request.url) if request.url[:5] not in _OWN else None)
        page.goto(pages[name].as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return page, troubles

    yield open_page
    for context in contexts:
        context.close()


_OWN = ("file:", "data:")


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("name", ["busy", "empty"])
def test_it_fits_its_screen_and_asks_for_nothing(
    opened: Callable[..., tuple[Page, list[str]]], name: str, width: int
) -> None:
    page, troubles = opened(name, width)
    assert troubles == []
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened: Callable[..., tuple[Page, list[str]]], scheme: str) -> None:
    page, _ = opened("busy", 1000, scheme)
    assert page.evaluate(CONTRAST.replace("'main *'", "'body *'")) == []


def test_the_newest_reports_are_seen_and_the_older_ones_unfold(opened: Callable[..., tuple[Page, list[str]]]) -> None:
    page, _ = opened("busy", 1000)
    page.reload()
    rows = page.locator("#reports a[href^='reports/daily/'][href$='.html']")
    assert rows.count() == 90
    assert sum(row.is_visible() for row in rows.all()) == SHOWN
    page.get_by_text("Older ones").click()
    assert rows.last.is_visible()


def test_its_links_lead_to_pages_on_the_disk(opened: Callable[..., tuple[Page, list[str]]]) -> None:
    page, _ = opened("busy", 1000)
    page.locator("nav a", has_text="Component Analysis").click()
    assert page.inner_text("h1") == "component_analysis"
    page.go_back()
    page.locator("#alerts a", has_text="component fails often").click()
    assert page.url.endswith("component_analysis.html?environment=production&days=7#component_success")


def test_names_are_text_and_what_is_old_or_damaged_is_said(opened: Callable[..., tuple[Page, list[str]]]) -> None:
    said = opened("busy", 1000)[0].inner_text("main").replace("\u00a0", " ")
    assert HOSTILE in said
    assert "which is old" in said
    assert "matokit report weekly --period 2026-W46" in said
    assert "Nothing is published yet." in opened("empty", 1000)[0].inner_text("h1")


def test_it_prints_on_white(opened: Callable[..., tuple[Page, list[str]]]) -> None:
    page, _ = opened("busy", 690, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
