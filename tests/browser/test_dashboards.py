"""The four dashboards in a real browser, opened from disk without a network: drawn, controlled, shared as a link.

Not here: the arithmetic behind the controls (test_dashboard_rows.py).
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from matokit_pipelines import resources
from matokit_pipelines.reports.dashboards.facts import script
from matokit_pipelines.reports.dashboards.pages import write_dashboards
from matokit_pipelines.reports.dashboards.specs import drawings, short_names
from matokit_pipelines.reports.dashboards.widgets import WINDOWS, load_widgets, numbers
from matokit_pipelines.reports.dashboards.words import COUNTED, SENTENCES, finding
from matokit_pipelines.reports.formats import in_words, plain
from matokit_pipelines.reports.marking import as_document
from matokit_pipelines.warehouse.snapshots import open_current
from tests.browser.test_weekly_page import CONTRAST, CUT, OUTSIDE
from tests.page_homes import HOSTILE, NOW, home_of, hostile, one_event, usual

pytestmark = pytest.mark.browser

ZONE = ZoneInfo("Europe/Copenhagen")
WIDGETS = load_widgets()
BOARDS = tuple(dict.fromkeys(widget.dashboard for widget in WIDGETS.values()))
SCENES = {"usual": lambda: usual(45, 60), "hostile": hostile, "one event": one_event, "nothing": lambda: None}
Folders = Mapping[str, Path]
Opened = Callable[..., Page]

CHARTS = """() => [...document.querySelectorAll('.canvas')].filter(c => !c.hidden).map(c => {
    const svg = c.querySelector('svg'), box = svg?.getBoundingClientRect();
    return { widget: c.closest('section').id, label: c.getAttribute('aria-label'), width: box?.width ?? 0,
        room: c.getBoundingClientRect().width,
        marks: [...c.querySelectorAll('path, rect')].filter(p => p.getBoundingClientRect().width > 2).length,
        texts: svg ? [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
            const b = t.getBoundingClientRect();
            return { text: t.textContent, size: parseFloat(getComputedStyle(t).fontSize),
                inside: b.left >= box.left - 1 && b.right <= box.right + 1
                    && b.top >= box.top - 1 && b.bottom <= box.bottom + 1,
                box: [b.left, b.top, b.right, b.bottom] }; }) : [] };
})"""
WORDS = """() => Object.fromEntries([...document.querySelectorAll('section.widget')].map(s => [s.id,
    [...s.querySelectorAll('h2, .shown, .tile-lines, tbody th, tbody td, thead th')].map(e => e.textContent)]))"""
RATE = "() => document.querySelector('#success_rate .large').textContent"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder "dashboards" of each scene."""
    found = {}
    for name, rows in SCENES.items():
        home = tmp_path_factory.mktemp("home")
        home_of(home, rows())
        with open_current(home) as snapshot:
            write_dashboards(snapshot, NOW, home / "dashboards")
        found[name] = home / "dashboards"
    return found


@pytest.fixture
def opened(browser: Browser, folders: Folders) -> Iterator[Opened]:
    """Open a page offline; with scripts, wait until it is drawn. What went wrong is in `troubles`."""
    contexts = []

    def open_page(board: str, width: int = 1000, *, scene: str = "usual", query: str = "", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        troubles: list[str] = []
        page.troubles = troubles  # type: ignore[attr-defined]
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request", lambda asked: troubles.append(asked.url) if asked.url[:5] not in ("file:", "data:") else None
        )
        page.goto((folders[scene] / f"{board}.html").as_uri() + query)
        if options.get("java_script_enabled", True):
            drawn(page, 1)
        return page

    yield open_page
    for context in contexts:
        context.close()


def drawn(page: Page, times: int) -> None:
    page.wait_for_function(f"Number(document.body.dataset.drawn ?? 0) >= {times}", timeout=60_000)


def choose(page: Page, **chosen: str) -> None:
    """Set controls one after the other and wait for each to be drawn."""
    for name, value in chosen.items():
        before = int(page.evaluate("document.body.dataset.drawn"))
        page.select_option(f"select[name={name}]", value)
        drawn(page, before + 1)


def overlaps(texts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of texts of a chart that cover each other."""
    found = []
    for place, one in enumerate(texts):
        for other in texts[place + 1 :]:
            left, top, right, bottom = one["box"]
            width = min(right, other["box"][2]) - max(left, other["box"][0])
            height = min(bottom, other["box"][3]) - max(top, other["box"][1])
            if width > 2 and height > 4 and one["text"] != other["text"]:
                found.append((one["text"], other["text"]))
    return found


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("board", BOARDS)
def test_a_page_is_drawn_whole_at_any_width(opened: Opened, board: str, width: int) -> None:
    page = opened(board, width)
    expected = [name for name, widget in WIDGETS.items() if widget.dashboard == board and name in drawings()]
    charts = {chart["widget"]: chart for chart in page.evaluate(CHARTS)}
    assert list(charts) == expected
    for name, chart in charts.items():
        assert chart["marks"] > 0, name
        assert chart["width"] <= chart["room"] + 1, name
        assert chart["texts"], name
        assert len(chart["label"]) > 40
        assert [text for text in chart["texts"] if not text["inside"] or text["size"] < 10.5] == [], name
        slanted = name == "architecture_success" and width == 360  # so their boxes overlap, and they do not
        assert slanted or overlaps(chart["texts"]) == [], name
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.troubles == []  # type: ignore[attr-defined]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    assert [one for one in page.evaluate(CUT) if not one.startswith(("<pre", "<code"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("board", BOARDS)
def test_text_stands_out_from_its_ground(opened: Opened, board: str, scheme: str) -> None:
    page = opened(board, 1000, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("scene", ["usual", "hostile", "one event", "nothing"])
@pytest.mark.parametrize("board", BOARDS)
def test_scripts_say_what_the_page_said_without_them(opened: Opened, board: str, scene: str) -> None:
    still = opened(board, scene=scene, java_script_enabled=False)
    drawn_page = opened(board, scene=scene)
    without, with_scripts = still.evaluate(WORDS), drawn_page.evaluate(WORDS)
    assert without == with_scripts
    assert drawn_page.troubles == []  # type: ignore[attr-defined]
    assert drawn_page.title() == still.title()


@pytest.mark.parametrize("board", BOARDS)
def test_a_page_is_read_without_scripts(opened: Opened, board: str) -> None:
    for width in (360, 1200):
        page = opened(board, width, java_script_enabled=False)
        pictures = page.locator(".chart img:visible")
        expected = [name for name, widget in WIDGETS.items() if widget.dashboard == board and name in drawings()]
        assert pictures.count() == len(expected)
        for place in range(pictures.count()):
            assert pictures.nth(place).evaluate("i => i.complete && i.naturalWidth > 200")
        assert not page.locator("#filters").is_visible()
        assert "needs scripts" in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_controls_change_numbers_and_a_link_restores_them(opened: Opened, folders: Folders) -> None:
    page = opened("installation_health")
    before = page.evaluate(RATE)
    choose(page, days="7", environment="ci", architecture="arm64")
    chosen, words = page.evaluate(RATE), page.evaluate(WORDS)
    assert chosen != before
    assert "7 days" in page.inner_text("#status").replace("\u00a0", " ")
    assert page.evaluate("location.search") == "?environment=ci&days=7&architecture=arm64"
    assert "the chosen environment does not apply" in page.inner_text("#environments .shown")
    again = opened("installation_health", query=page.evaluate("location.search + '#environments'"))
    assert again.evaluate(WORDS) == words
    assert again.input_value("select[name=environment]") == "ci"
    assert again.evaluate("document.getElementById('environments').getBoundingClientRect().top") < 900
    again.click("button[type=reset]")
    drawn(again, 2)
    assert again.evaluate(RATE) == before
    assert again.evaluate("location.search") == ""
    assert page.troubles == again.troubles == []  # type: ignore[attr-defined]


def test_links_between_pages_keep_what_is_chosen(opened: Opened) -> None:
    page = opened("component_analysis", query="?days=90&architecture=x86_64")
    page.click("nav a[href*=deployment_tracking]")
    drawn(page, 1)
    assert page.input_value("select[name=days]") == "90"
    assert page.input_value("select[name=architecture]") == "x86_64"
    assert "judgement is made over all systems" in page.inner_text("#ci_comparison .shown")
    assert "90 days" in page.inner_text("#test_environments .shown").replace("\u00a0", " ")


def test_an_unknown_choice_is_named_and_the_default_is_shown(opened: Opened) -> None:
    page = opened("system_compatibility", query="?architecture=%3Cb%3Esparc&days=14&os=all")
    said = page.inner_text("#status")
    assert "Architecture “<b>sparc” is not known here" in said
    assert "Period “14” is not known here" in said
    assert page.input_value("select[name=days]") == "30"
    choose(page, days="7")
    assert "not known" not in page.inner_text("#status")


def test_widgets_have_windows_of_their_own_until_one_is_chosen(opened: Opened) -> None:
    page = opened("deployment_tracking")
    shown = "() => ['commit_table', 'test_environments'].map(w => document.querySelector(`#${w} .shown`).textContent)"
    assert [text.replace("\u00a0", " ").split(" · ")[1].split(",")[0] for text in page.evaluate(shown)] == [
        "30 days", "7 days",
    ]  # fmt: skip
    choose(page, days="30")
    assert [text.replace("\u00a0", " ").split(" · ")[1].split(",")[0] for text in page.evaluate(shown)] == [
        "30 days", "30 days",
    ]  # fmt: skip


def test_controls_are_labelled_and_used_by_keyboard(opened: Opened) -> None:
    page = opened("installation_health")
    for label in ("Environment", "Period", "Architecture", "OS version"):
        assert page.get_by_label(label, exact=True).count() == 1
    page.focus("select[name=days]")
    page.keyboard.press("ArrowUp")
    drawn(page, 2)
    assert page.input_value("select[name=days]") == "7"
    assert page.locator("#status").get_attribute("aria-live") == "polite"


def test_the_file_of_these_numbers_holds_the_rows_that_are_drawn(opened: Opened) -> None:
    page = opened("component_analysis")
    choose(page, days="7")
    with page.expect_download() as waiting:
        page.click("#component_success button.csv")
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert waiting.value.suggested_filename == "component_success.csv"
    heads = page.locator("#component_success tbody th").all_inner_texts()
    assert [row["component"] for row in rows] == heads
    first = page.locator("#component_success tbody tr").first.locator("td").all_inner_texts()
    assert first[0] == in_words(int(rows[0]["failures"]), "count", ZONE)
    assert page.troubles == []  # type: ignore[attr-defined]


def test_long_tables_are_folded_and_can_be_opened(opened: Opened) -> None:
    page = opened("deployment_tracking", 360)
    rows = page.locator("#ci_comparison tbody tr")
    assert rows.count() > 8
    assert page.locator("#ci_comparison tbody tr:visible").count() == 5
    page.click("#ci_comparison .unfold")
    assert page.locator("#ci_comparison tbody tr:visible").count() == rows.count()


@pytest.mark.parametrize("board", BOARDS)
def test_hostile_names_are_text_in_tables_charts_and_controls(opened: Opened, board: str) -> None:
    for width in (360, 1600):
        page = opened(board, width, scene="hostile")
        assert page.troubles == []  # type: ignore[attr-defined]
        assert page.evaluate("document.scripts.length") == 4
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        if board != "installation_health":
            assert HOSTILE in page.locator("main").inner_text()
    assert HOSTILE in page.locator("select[name=os] option").all_text_contents()


def test_charts_follow_the_width_of_the_window(opened: Opened) -> None:
    page = opened("installation_health", 1600)
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(
        "Math.abs(document.querySelector('#daily_volume svg').getBoundingClientRect().width - "
        "document.querySelector('#daily_volume .canvas').getBoundingClientRect().width) < 8"
    )
    assert page.troubles == []  # type: ignore[attr-defined]


# -- what Python and the page both do ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(browser: Browser) -> Iterator[Page]:
    """The scripts of a page without the page."""
    folder = resources.path("report_templates") / "dashboards"
    names = ("formats.js", "findings.js", "drawing.js")
    parts = [script(), *((folder / name).read_text(encoding="utf-8") for name in names)]
    page = browser.new_page()
    page.set_content(f"<!doctype html><script>{chr(10).join(parts)}</script>")
    yield page
    page.close()


def values() -> dict[str, list[Any]]:
    dice = random.Random(3)
    shares = [0, 1, 0.5, 0.9999, 0.0001, 0.99949, 0.00049, *(n / 16 for n in range(17)), *(n / 2000 for n in range(40))]
    shares += [dice.random() for _ in range(300)]
    counts = [0, 1, 9, 999, 1000, 12_345, 1_234_567, 10**12, *(dice.randrange(10**7) for _ in range(100))]
    differences = [share * sign for share in shares for sign in (1, -1)]
    days = ["2026-01-01", "2026-10-25", "2026-03-29", "2024-02-29", "2026-12-31"]
    instants = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"]
    instants += ["2026-12-31T23:30:00.123456Z", "2026-07-01T22:00:00+02:00"]
    return {
        "count": counts,
        "change": [*counts, *(-count for count in counts)],
        "percent": shares,
        "percent_change": differences,
        "points": differences,
        "percentage_points": [100 * difference for difference in differences],
        "text": ["", "a_b", HOSTILE, "\u202eabc\x00\n", "é\u2028", "🙂", None],
        "day": days,
        "day_of_year": days,
        "month": days,
        "weekday": days,
        "weekday_of_year": days,
        "instant": [*instants, None],
        "instant_of_year": instants,
    }


def test_values_read_alike_in_python_and_in_the_page(library: Page) -> None:
    for zone in ("Europe/Copenhagen", "UTC", "America/St_Johns"):
        for form, given in values().items():
            read = library.evaluate(
                "([values, form, zone]) => values.map(v => inWords(v, form, zone))", [given, form, zone]
            )
            for value, text in zip(given, read, strict=True):
                assert text == in_words(value, form, ZoneInfo(zone)), (form, value)


def test_titles_are_alike_in_python_and_in_the_page(library: Page, folders: Folders) -> None:
    asked, expected = [], []
    for scene in ("usual", "hostile", "one event"):
        with open_current(folders[scene].parent) as snapshot:
            for name, widget in WIDGETS.items():
                for days in WINDOWS:
                    for environment in ("production", "ci"):
                        rows = as_document(numbers(snapshot, widget, days, environment=environment).to_dicts())
                        parts = {
                            part: as_document(
                                numbers(snapshot, widget, days, environment=environment, part=part).to_dicts()
                            )
                            for part in widget.parts
                        }
                        told = {"name": name, "sentences": SENTENCES[name], "counted": COUNTED[name]}
                        asked.append([told, rows, parts])
                        found = finding(name, rows, parts)
                        expected.append(
                            {"sentence": found.sentence, "values": dict(found.values), "counted": found.counted}
                        )
    said = library.evaluate("asked => asked.map(([widget, rows, parts]) => findingOf(widget, rows, parts))", asked)
    for (told, *_), ours, theirs in zip(asked, said, expected, strict=True):
        assert ours["sentence"] == theirs["sentence"], told["name"]
        assert ours["counted"] == theirs["counted"]
        assert ours["values"] == json.loads(json.dumps(theirs["values"])), told["name"]


def test_names_are_cut_alike_in_python_and_in_the_page(library: Page) -> None:
    names = [HOSTILE, "a" * 60, "a" * 61, "a" * 62, "short", "with\x00nul", "with\x01nul", "é" * 40, "🙂" * 40, "short"]
    for longest in (16, 28):
        cut = library.evaluate("([names, n]) => [...shortNames(names, n)]", [names, longest])
        assert dict(cut) == short_names(names, longest)
        assert all(text == plain(text) for _, text in cut)
