"""The pages of the tool server in a real browser: log-in from a link, on a phone and wide, light and dark, log-out.

Not here: the pages as files on a disk (test_dashboards.py and its neighbours), headers and closed paths
(integration/test_served_pages.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from tests.browser.test_pages_accessible import STRUCTURE, serious
from tests.browser.test_weekly_page import CONTRAST, CUT, OUTSIDE
from tests.installer_tools import NOW, broken
from tests.page_homes import ALERTS, HOSTILE, open_alerts, with_pages
from tests.serving import ENVIRON, PAGES_TOKEN, Served, served

pytestmark = pytest.mark.browser

LONG = "Visual Studio Code installation with a very long readable name " * 3
TO_A_RULE = "/runbook#slow_regression"
FROM_A_MESSAGE = "/dashboards/component_analysis.html?environment=production&days=90#component_success"
MADE_NOW = ("login", "logout", "docs", "alerts", "fired", "hostile", "missing", "no alert", "runbook")

Shown = Callable[..., tuple[Page, list[str]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A home with alerts that rules found, and some with names of every kind."""
    home = broken(tmp_path_factory.mktemp("served"))
    odd = [("slow_regression", name, "warning") for name in (HOSTILE, LONG, "a" * 150)]
    open_alerts(home, [*ALERTS, *odd], silent="x86*")
    folder = with_pages(home).folder
    environ = {"MATOKIT_HOME": str(folder), "MATOKIT_INSTALLERS_TOKEN": "0123456789abcdef0123456789abcdef", **ENVIRON}
    loaded = load(folder / "matokit.toml", {**environ, "MATOKIT_LINKS_PUBLIC_URL": ""}, folder)
    with served(loaded, FixedClock(NOW)) as running:
        yield running


@pytest.fixture(scope="module")
def addresses(server: Served) -> dict[str, str]:
    """Pages that are made when they are asked for, by name."""
    rows = re.findall(r'href="([0-9a-f]{10})">(.*?): ', server.get("/alerts/").text)
    by_subject = {subject: one for one, subject in rows}
    fired = next(one for one, _ in rows if 'class="strip"' in server.get(f"/alerts/{one}").text)
    odd = next(one for subject, one in by_subject.items() if subject.startswith("&lt;/script"))
    return {
        "login": "/login?next=%2Fdocs", "logout": "/logout", "docs": "/docs", "alerts": "/alerts/",
        "fired": f"/alerts/{fired}", "hostile": f"/alerts/{odd}", "missing": "/reports/weekly/1999-W01.html",
        "no alert": "/alerts/0000000000", "runbook": "/runbook",
    }  # fmt: skip


@pytest.fixture
def context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    made: list[BrowserContext] = []

    def new(width: int = 1000, scheme: Any = "light") -> BrowserContext:
        made.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme))
        return made[-1]

    yield new
    for one in made:
        one.close()


def log_in(page: Page, server: Served, address: str = "/") -> None:
    page.goto(f"{server.url}{address}")
    page.get_by_label("Token").fill(PAGES_TOKEN)
    page.get_by_role("button").click()
    page.wait_for_url(re.compile(r"^(?!.*/login)"))


@pytest.fixture(scope="module")
def cookie(server: Served) -> str:
    answer = server.client.post("/login", data={"token": PAGES_TOKEN})
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.fixture
def shown(context: Callable[..., BrowserContext], server: Served, cookie: str) -> Shown:
    """A page for somebody who is logged in, and all that troubled it: messages, errors, requests elsewhere."""

    def show(address: str, width: int = 1000, scheme: str = "light") -> tuple[Page, list[str]]:
        made, troubles = context(width, scheme), list[str]()
        name, _, value = cookie.partition("=")
        made.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = made.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        own = (server.url, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else troubles.append(asked.url))
        page.goto(f"{server.url}{address}")
        page.wait_for_load_state("networkidle")
        return page, troubles

    return show


def test_a_link_of_a_message_opened_on_a_phone_leads_to_its_place_after_the_log_in(
    context: Callable[..., BrowserContext], server: Served
) -> None:
    page = context(360).new_page()
    page.goto(f"{server.url}{FROM_A_MESSAGE}")
    assert page.url.startswith(f"{server.url}/login?next=")
    assert page.evaluate("document.activeElement.id") == "token"
    page.keyboard.type("not-the-token-of-this-server")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.keyboard.type(PAGES_TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboards/component_analysis.html*")
    assert page.url.endswith("#component_success")
    assert page.locator("#choose-days").input_value() == "90"
    page.wait_for_function(
        "() => { const at = document.getElementById('component_success').getBoundingClientRect();"
        " return at.top < innerHeight && at.bottom > 0; }"
    )
    assert page.evaluate("document.cookie") == ""


def test_a_link_to_a_rule_of_the_runbook_leads_to_its_heading_after_the_log_in(
    context: Callable[..., BrowserContext], server: Served
) -> None:
    page = context(360).new_page()
    log_in(page, server, TO_A_RULE)
    assert page.url == f"{server.url}{TO_A_RULE}"
    page.wait_for_function(
        "() => { const at = document.getElementById('slow_regression').getBoundingClientRect();"
        " return at.top < innerHeight && at.bottom > 0; }"
    )


def test_log_out_is_one_link_away_and_ends_it(shown: Shown, server: Served) -> None:
    page, _ = shown("/dashboards/component_analysis.html")
    page.get_by_role("link", name="Log out").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.go_back()  # to the page that asked whether to log out, which is open
    page.go_back()
    assert "/login?next=%2Fdashboards" in page.url
    page.goto(f"{server.url}/alerts/")
    assert "/login?next=" in page.url
    assert page.context.cookies() == []


def test_another_site_can_neither_frame_the_pages_nor_log_anybody_in(
    context: Callable[..., BrowserContext], server: Served
) -> None:
    page = context().new_page()
    log_in(page, server)
    body = (
        f'<form method="post" action="{server.url}/logout"><button>Win</button></form>'
        f'<iframe src="{server.url}/login"></iframe>'
    )
    page.route("http://elsewhere.test/", lambda route: route.fulfill(content_type="text/html", body=body))
    page.goto("http://elsewhere.test/")
    assert page.frames[1].url.startswith("chrome-error:")
    with page.expect_response(f"{server.url}/logout") as answered:
        page.get_by_role("button").click()
    assert answered.value.status == 403
    page.goto(f"{server.url}/alerts/")
    assert "alerts are open" in page.locator("h1").inner_text()


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("name", MADE_NOW)
def test_a_page_fits_its_screen_and_says_nothing_to_the_console(
    shown: Shown, addresses: dict[str, str], name: str, width: int
) -> None:
    page, troubles = shown(addresses[name], width)
    expected = ["404 (Not Found)"] if name in ("missing", "no alert") else []  # the browser tells of the status itself
    assert [trouble.rpartition("status of ")[2] for trouble in troubles] == expected
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", MADE_NOW)
def test_nothing_keeps_anybody_out(shown: Shown, addresses: dict[str, str], name: str, scheme: str) -> None:
    page, _ = shown(addresses[name], 360 if scheme == "dark" else 1000, scheme)
    assert serious(page) == []
    assert page.evaluate(CONTRAST) == []
    found = page.evaluate(STRUCTURE)
    assert found["headings"][0] == 1
    assert found["headings"].count(1) == 1
    assert [found[key] for key in ("bare", "scopeless", "unnamed", "images")] == [0, 0, 0, 0]


@pytest.mark.parametrize("path", ["/", "/dashboards/component_analysis.html", "/dashboards/deployment_tracking.html"])
@pytest.mark.parametrize("width", [360, 1600])
def test_pages_that_were_written_work_behind_the_policy_of_the_server(shown: Shown, path: str, width: int) -> None:
    page, troubles = shown(path, width)
    assert troubles == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "dashboards" in path:
        page.wait_for_selector(".canvas svg, .canvas canvas")
        page.locator("#choose-days").select_option("90")
        page.wait_for_function("location.search.includes('days=90')")
        assert troubles == []


def test_csv_is_saved_under_its_name(shown: Shown, server: Served) -> None:
    page, _ = shown("/docs")
    with page.expect_download() as saved:
        page.evaluate("() => { location.href = '/dashboards/component_analysis/component_success.csv'; }")
    assert saved.value.suggested_filename == "component_success.csv"
    assert Path(saved.value.path()).read_bytes() == server.get(saved.value.url.removeprefix(server.url)).content


@pytest.mark.parametrize("path", ["/index.json", "/reports/weekly/2026-W46.txt", "/reports/weekly/2026-W46.json"])
def test_text_and_numbers_are_shown_in_place(shown: Shown, path: str) -> None:
    page, troubles = shown(path)
    assert troubles == []
    assert len(page.inner_text("body")) > 200


def test_names_are_text(shown: Shown, addresses: dict[str, str]) -> None:
    assert HOSTILE in shown(addresses["hostile"])[0].inner_text("main")
    said = shown(addresses["alerts"])[0].inner_text("main")
    assert HOSTILE in said
    assert re.search(r"^\d+ alerts are open, and 1 silenced$", said, flags=re.MULTILINE)


def test_from_the_overview_to_the_reasons_of_an_alert_and_on_to_its_dashboard(shown: Shown) -> None:
    page, _ = shown("/")
    page.get_by_role("link", name="Alerts").click()
    page.locator("#open a", has_text="component fails often").click()
    assert "Why it fired" in page.inner_text("main")
    page.get_by_role("link", name="Its dashboard").click()
    assert page.url.endswith("#component_success")
