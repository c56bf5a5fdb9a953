"""The daily report as page, text, document and message: same numbers, text as text, complete on any morning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.daily import pages
from matokit_pipelines.reports.daily.message import daily_message
from matokit_pipelines.reports.daily.numbers import Mornings
from matokit_pipelines.reports.daily.pages import render_daily
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Standing
from matokit_pipelines.reports.formats import in_words
from tests.daily_scenes import DAY, END, START, history, morning, tries
from tests.twins import only_on_the_page
from tests.unit.test_weekly_page import Page, at_path
from tests.weekly_marts import HOSTILE, ZONE, Event, Source

LINKS = Links(
    ZONE,
    AlertSettings(),
    public_url="https://reports.example.org",
    runbook_url="https://wiki.example.org/runbook",
    repository_url="https://code.example.org/scripts",
)
HOUR = timedelta(hours=1)
# Digits that are no data: fixed words of the page and names of things.
FIXED = (
    "95 %", "10 %", "30 %", "10 events", "x86_64", "24 hours", "48 hours", "7 days", "14 days", "28 days", "in 28 days",
)  # fmt: skip


def busy() -> list[Event]:
    """A morning with something of everything: what is new, goes on, is few, silenced, over; CI, commits, errors."""
    systems = [
        *tries("python_install", 60, 4, commit_sha="aaaaaa1"),
        *tries("python_install", 30, 25, start=START + 15 * HOUR, span=5 * HOUR, machine="x{component}-{place}",
               architecture="x86_64", os_release="Windows 11", commit_sha="bbbbbb2", error_type="timeout"),
    ]  # fmt: skip
    return [
        *history("python_install", 20, 30), *systems,
        *history("pip", 20, 0, end=START - timedelta(days=1)), *tries("pip", 40, 20, start=START - timedelta(days=1)),
        *tries("pip", 40), *tries("tiny", 4, 1), *history("known_bad", 12, 2), *tries("known_bad", 12, 6),
        *history("latex", 20), *tries("latex", 30, 1),
        *tries("python_install", 12, 0, environment="ci", machine="ci-{place}", commit_sha="bbbbbb2"),
        Event(END - HOUR, "left", left_out_reason="test"),
    ]  # fmt: skip


def hostile() -> list[Event]:
    return [
        *(replace(one, component=HOSTILE) for one in history("x", 12)),
        *(
            Event(
                START + n * HOUR / 3, HOSTILE, "failure" if n > 20 else "success", f"{HOSTILE}{n}", error_type=HOSTILE,
                os_release=HOSTILE, architecture=HOSTILE, commit_sha=HOSTILE,
            )
            for n in range(60)
        ),
    ]  # fmt: skip


MORNINGS: dict[str, Iterable[Event]] = {
    "empty": [],
    "one event": [Event(START)],
    "only failures": tries("latex", 40, 40),
    "all well": [*history("latex", 20, 20), *tries("latex", 40, 2)],
    "hostile": hostile(),
    "no machine, no commit": [replace(one, machine_key=None, commit_sha=None) for one in tries("latex", 12, 6)],
}


@pytest.fixture(scope="module")
def numbers() -> DailyNumbers:
    standing = Standing(regressions={"python_install": START + 14 * HOUR})
    return morning(busy(), standing=standing, watermark=END - HOUR / 2)


@pytest.fixture(scope="module")
def made(numbers: DailyNumbers) -> tuple[str, str, dict[str, Any]]:
    html, text, document = render_daily(numbers, LINKS)
    return html, text, json.loads(json.dumps(document))


def test_every_number_on_the_page_is_in_the_json(made: tuple[str, str, dict[str, Any]]) -> None:
    html, _, document = made
    page = Page(html)
    assert len(page.marked) > 150
    for mark, shown in zip(page.marked, page.shown, strict=True):
        value = at_path(document, mark["data-path"])
        assert shown == in_words(value, str(mark["data-form"]), ZONE), mark


def test_no_number_on_the_page_is_unmarked(made: tuple[str, str, dict[str, Any]]) -> None:
    loose = "".join(Page(made[0]).loose)
    for words in FIXED:
        loose = loose.replace(words, "").replace(words.replace(" ", "\u00a0"), "")
    assert re.findall(r".{0,20}\d.{0,20}", loose) == []


def test_the_text_alone_says_all(made: tuple[str, str, dict[str, Any]]) -> None:
    html, text, document = made
    assert document["findings"]["headline"] in text
    shown = {value for value in Page(html).shown if len(value) > 3}
    missing = {value for value in shown if value not in text and f"({value})" not in text}
    assert not {value for value in missing if not re.match(r"^\d+\s|^[A-Z][a-z]{2}\s", value)}, missing


def test_the_text_shows_every_value_of_the_page(
    numbers: DailyNumbers, made: tuple[str, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = only_on_the_page(monkeypatch, pages, lambda: render_daily(numbers, LINKS))
    days_that_follow_the_first = r"components\.\d+\.trend\.[1-9]\d*\.start"
    said = {path for path in alone if at_path(made[2], path)}  # a day without events is said to have none
    assert {path for path in said if not re.fullmatch(days_that_follow_the_first, path)} == set()


@pytest.mark.parametrize("name", MORNINGS)
def test_unusual_mornings_render_with_every_number_in_the_json(name: str) -> None:
    found = morning(MORNINGS[name])
    html, text, document = render_daily(found, LINKS)
    page = Page(html)
    for mark, shown in zip(page.marked, page.shown, strict=True):
        assert shown == in_words(at_path(document, mark["data-path"]), str(mark["data-form"]), ZONE)
    for fragment in ("None", "nan", "undefined", "NaN"):
        assert not re.search(rf"\b{fragment}\b", text)
    message = daily_message(found, document, text, LINKS)
    assert message.text == text
    assert message.html
    assert message.blocks


def test_without_any_data_the_page_says_so() -> None:
    html, text, document = render_daily(morning([], watermark=None), LINKS)
    assert document["window_end"] is None
    assert not document["worth_sending"]
    assert "No data of this window" in text
    assert "tile" not in {found.get("class") for _, found in Page(html).tags}


def test_a_morning_of_25_hours_renders() -> None:
    day = date(2026, 10, 25)
    mornings = Mornings(day, AlertSettings(), ZONE)
    events = [
        Event(mornings.before(1) + n * HOUR, "latex", "failure" if n % 2 else "success", f"m{n}") for n in range(25)
    ]
    html, _, document = render_daily(morning(events, day=day, watermark=mornings.before(0)), LINKS)
    assert document["totals"]["counts"]["events"] == 25
    assert "Sat 24\u00a0Oct" in html.replace("&nbsp;", "\u00a0").replace("Sat\u00a024", "Sat 24")


def test_what_came_from_outside_is_text_everywhere() -> None:
    found = morning(hostile(), sources=[Source(watermark=END, last_error=f"<b>{HOSTILE}\n\u202e")])
    html, text, document = render_daily(found, LINKS)
    page = Page(html)
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert HOSTILE not in html
    assert HOSTILE in "".join(page.shown)
    assert "\u202e" not in html + text
    message = daily_message(found, document, text, LINKS)
    assert HOSTILE not in str(message.html)
    assert "<!channel>" not in json.dumps(message.blocks)


def test_the_page_asks_for_nothing_and_runs_nothing(made: tuple[str, str, dict[str, Any]]) -> None:
    for tag, found in Page(made[0]).tags:
        assert tag not in ("script", "img", "iframe", "object", "image", "foreignobject")
        assert not [name for name in found if name.startswith("on")]
        for name in ("href", "src", "xlink:href"):
            address = found.get(name) or "#"
            assert address.startswith(
                ("#", "data:", "../../", "https://code.example.org/", "https://wiki.example.org/")
            )
    assert not re.search(r"@import|url\((?!#)", made[0])


def test_ids_are_unique_and_drawings_are_described(made: tuple[str, str, dict[str, Any]]) -> None:
    page = Page(made[0])
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))
    labels = [found["aria-label"] for _, found in page.tags if found.get("role") == "img"]
    assert len(labels) == len([tag for tag, _ in page.tags if tag == "svg"])
    assert all(label and "numbers are" in label for label in labels)


def test_the_first_line_says_that_the_window_is_cut(made: tuple[str, str, dict[str, Any]]) -> None:
    first = made[1].splitlines()[0].replace("\u00a0", " ")
    assert first.startswith("INCOMPLETE: data to Fri 20 Nov 2026 06:30.")


def test_a_rate_of_few_events_is_grey_and_in_brackets(made: tuple[str, str, dict[str, Any]]) -> None:
    html, text, document = made
    place = next(n for n, one in enumerate(document["components"]) if one["row"]["component"] == "tiny")
    marks = [m for m in Page(html).marked if m["data-path"] == f"components.{place}.row.counts.failure_rate"]
    assert {mark.get("class") for mark in marks} == {"few"}
    assert "(25.0\u00a0%)" in text


def test_changes_and_runbook_are_linked(made: tuple[str, str, dict[str, Any]]) -> None:
    html, text, _ = made
    for shown in (html, text):
        assert "https://code.example.org/scripts/compare/aaaaaa1...bbbbbb2" in shown
        assert "https://wiki.example.org/runbook#component_failure_rate" in shown
    plain = render_daily(morning(busy()), Links(ZONE, AlertSettings()))[0]
    assert "https:" not in plain
    assert "docs/runbook.md#component_failure_rate" in plain


def test_the_same_input_gives_the_same_bytes(numbers: DailyNumbers, made: tuple[str, str, dict[str, Any]]) -> None:
    assert render_daily(numbers, LINKS)[:2] == made[:2]


def test_ten_thousand_failing_components_stay_a_page() -> None:
    events = (Event(START + n * timedelta(seconds=7), f"component_{n:05d}", "failure", f"m{n}") for n in range(10_000))
    found = morning(events, settings=AlertSettings(enabled=False))
    html, text, document = render_daily(found, LINKS)
    assert len(html.encode()) < 600_000
    assert document["totals"]["listed"] == 10_000
    message = daily_message(found, document, text, LINKS)
    assert len(str(message.html).encode()) < 102_000


def test_the_message_carries_the_finding(numbers: DailyNumbers, made: tuple[str, str, dict[str, Any]]) -> None:
    _, text, document = made
    message: Message = daily_message(numbers, document, text, LINKS)
    subject = message.subject.replace("\u00a0", " ")
    assert subject.startswith("Component health Fri 20 Nov: ")
    assert subject.endswith("(incomplete data)")
    assert f"https://reports.example.org/reports/daily/{DAY}.html" in json.dumps(message.blocks)
    assert [image.name for image in message.images] == ["rates.png"]
    assert message.images[0].png.startswith(b"\x89PNG")
    for value in ("29 of 90", "python_install", "known_bad"):
        assert value in str(message.html).replace("_<wbr>", "_")
    assert ZoneInfo(numbers.zone) == ZONE
