"""The files of the monthly report: same numbers, same bytes, text as text, complete in any month."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.formats import in_words
from matokit_pipelines.reports.monthly import pages
from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.pages import write_monthly
from matokit_pipelines.reports.rendering import ReportFiles
from tests.monthly_marts import HOSTILE, LAST, MONTH, NOW, ZONE, Try, snapshot_of, three_months, tries
from tests.twins import only_on_the_page
from tests.unit.test_weekly_page import Page, at_path

LINKED = Links(ZoneInfo("UTC"), AlertSettings(), public_url="https://matokit.example.org")
# Digits that are no data: fixed words of the page and names of things.
FIXED = ("95 %", "10 events", "2 %", "5 %", "10 points", "30 days", "the 30 before", "30 installations", "x86_64")


def busy() -> list[Try]:
    """Three months with everything that a report can say: an issue, a new version, something to consider, to watch."""
    random, events = Random(3), three_months()
    for age in range(120):
        day = LAST - timedelta(days=age)
        for run in range(8):
            system = random.choice(
                [
                    ("macOS", "macOS 14.2", "arm64"),
                    ("macOS", "macOS 14.2", "x86_64"),
                    ("Windows", "Windows 11", "x86_64"),
                ]
            )
            if age < 12 and run == 0:
                system = ("macOS", "macOS 26.1", "arm64")
            for place, component in enumerate(("python_install", "latex_install")):
                failed = random.random() < (0.8 if system[1] == "macOS 26.1" and place else 0.04)
                cause = random.choice(["network", "disk", None]) if failed else None
                events.append(Try(day, f"{age}-{run}", failed, component, *system, cause, 10 * run + place))
    return events


def hostile() -> list[Try]:
    names = [HOSTILE, "a" * 150, "{d.now} {{ 7*7 }}", "<b>bold</b>"]
    return [
        Try(LAST, f"{name}{n}", n < 15, name, "unknown", name, "arm64", name if n < 15 else None)
        for name in names
        for n in range(20)
    ] + tries(20, day=LAST - timedelta(days=100))


MONTHS: dict[str, list[Try]] = {
    "empty": [],
    "one event": tries(1),
    "only failures": tries(40, 40),
    "one failure": tries(1, 1),
    "hostile": hostile(),
    "no Mac": tries(30, 2, os_family="Linux", os_release="Ubuntu 22.04"),
}


@pytest.fixture(scope="module")
def busy_month(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    with snapshot_of(busy()) as snapshot:
        return write_monthly(snapshot, MONTH, NOW, tmp_path_factory.mktemp("busy"), LINKED)


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ReportFiles]:
    """Each of MONTHS, written once."""
    found = {}
    for name, events in MONTHS.items():
        with snapshot_of(events, last_error=f"<b>{HOSTILE}\n\u202e" if name == "hostile" else None) as snapshot:
            found[name] = write_monthly(snapshot, MONTH, NOW, tmp_path_factory.mktemp("unusual"))
    return found


@pytest.fixture
def files_of(tmp_path: Path) -> Callable[..., ReportFiles]:
    def write(events: list[Try], **rest: Any) -> ReportFiles:
        with snapshot_of(events, **rest) as snapshot:
            return write_monthly(snapshot, MONTH, NOW, tmp_path)

    return write


def read(files: ReportFiles) -> tuple[str, str, dict[str, Any], Message]:
    html, text, document, message = (
        path.read_text(encoding="utf-8") for path in (files.html, files.text, files.json, files.message)
    )
    return html, text, json.loads(document), Message.from_json(message)


def test_files_are_named_by_the_month(busy_month: ReportFiles) -> None:
    names = sorted(path.name for path in busy_month.html.parent.iterdir())
    assert busy_month.html.parent.name == "monthly"
    assert names == ["2026-10.html", "2026-10.json", "2026-10.message.json", "2026-10.txt"]


def test_every_number_on_the_page_is_in_the_json(busy_month: ReportFiles) -> None:
    html, _, document, _ = read(busy_month)
    page = Page(html)
    assert len(page.marked) > 150
    for mark, shown in zip(page.marked, page.shown, strict=True):
        value = at_path(document, mark["data-path"])
        assert shown == in_words(value, str(mark["data-form"]), ZONE), mark
        if "value" in mark:
            assert json.loads(str(mark["value"])) == value, mark


def test_no_number_on_the_page_is_unmarked(busy_month: ReportFiles) -> None:
    loose = "".join(Page(read(busy_month)[0]).loose)
    for words in FIXED:
        loose = loose.replace(words, "").replace(words.replace(" ", "\u00a0"), "")
    assert re.findall(r".{0,20}\d.{0,20}", loose) == []


def test_the_busy_month_says_everything_that_a_report_can_say(busy_month: ReportFiles) -> None:
    _, text, document, _ = read(busy_month)
    assert document["findings"]["headline_kind"] == "issue"
    assert [row["kind"] for row in document["deprecation"]["rows"]] == ["consider"]
    assert document["new_versions"]["majors"]
    for said in ("headline", "new_title", "adoption_title", "segments_title", "issues_title", "trend_title"):
        assert document["findings"][said] in text
    for sentence in (*document["findings"]["details"], *document["findings"]["recommendations"]):
        assert sentence in text


def test_tables_add_up_to_the_tiles(busy_month: ReportFiles) -> None:
    document = read(busy_month)[2]
    last, segments = document["totals"]["last"], document["segments"]
    rows = [*segments["rows"], *([segments["others"]] if segments["others"] else [])]
    assert sum(row["rates"]["events"] for row in rows) == last["rates"]["events"]
    assert sum(row["installations"] for row in rows) == last["installations"]
    versions = [*document["trend"]["rows"], *([document["trend"]["others"]] if document["trend"]["others"] else [])]
    assert sum(row["months"][-1]["installations"] for row in versions) == last["installations"]
    assert sum(row["last"]["installations"] for row in document["adoption"]["systems"]) == last["installations"]


@pytest.mark.parametrize("name", MONTHS)
def test_unusual_months_render_with_every_number_in_the_json(unusual: dict[str, ReportFiles], name: str) -> None:
    html, text, document, message = read(unusual[name])
    page = Page(html)
    for mark, shown in zip(page.marked, page.shown, strict=True):
        assert shown == in_words(at_path(document, mark["data-path"]), str(mark["data-form"]), ZONE)
    for said in (text, "".join(page.loose), message.html or ""):
        assert not re.search(r"\b(None|nan|NaN|undefined)\b", said)
    assert document["findings"]["headline"] in text
    assert message.text == text


def test_the_text_shows_every_value_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with snapshot_of(busy()) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert only_on_the_page(monkeypatch, pages, lambda: pages.render_monthly(numbers, LINKED)) == set()


def test_what_came_from_outside_is_text_everywhere(unusual: dict[str, ReportFiles]) -> None:
    html, text, _, message = read(unusual["hostile"])
    page = Page(html)
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert HOSTILE not in html
    assert HOSTILE in "".join(page.shown)
    assert "\u202e" not in html + text
    assert "49" not in "".join(page.shown)
    assert not re.search(r"<script|<b>", message.html or "")
    assert HOSTILE not in (message.html or "")
    assert "<!channel>" not in json.dumps(message.blocks)


def test_the_page_asks_for_nothing_and_runs_nothing(busy_month: ReportFiles) -> None:
    html = read(busy_month)[0]
    page = Page(html)
    policy = [found["content"] for _, found in page.tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for tag, found in page.tags:
        assert tag not in ("script", "img", "iframe", "object", "image", "foreignobject")
        assert not [name for name in found if name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)", html)


def test_charts_have_alternative_text_and_a_table_and_ids_of_their_own(busy_month: ReportFiles) -> None:
    page = Page(read(busy_month)[0])
    labels = [str(found["aria-label"]) for _, found in page.tags if found.get("role") == "img"]
    assert len(labels) == 6
    assert all("table below" in label for label in labels)
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 6
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))


def test_incomplete_data_are_said_in_the_first_line(files_of: Callable[..., ReportFiles]) -> None:
    html, text, _, message = read(files_of(tries(40, 2), watermark=datetime(2026, 10, 31, 12, 15, tzinfo=UTC)))
    first = text.splitlines()[0].replace("\u00a0", " ")
    assert first.startswith("INCOMPLETE: data to Sat 31 Oct 2026 13:15.")
    assert "".join(Page(html).loose).split("Incomplete:")[0].count("events") == 0
    assert message.subject.endswith("(incomplete data)")
    assert "not comparable" not in first


def test_a_month_in_the_year_before_the_records_is_empty_and_says_so(files_of: Callable[..., ReportFiles]) -> None:
    _, text, document, _ = read(files_of([], known_from=None, watermark=None))
    assert document["findings"]["headline_kind"] == "no_data"
    assert "how far the data reach is not known" in text


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, busy_month: ReportFiles) -> None:
    with snapshot_of(busy()) as snapshot:
        again = write_monthly(snapshot, MONTH, NOW, tmp_path, LINKED)
    for name in ("html", "text", "json", "message"):
        assert getattr(again, name).read_bytes() == getattr(busy_month, name).read_bytes()


def test_the_message_carries_the_finding_three_numbers_and_its_charts(busy_month: ReportFiles) -> None:
    _, text, document, message = read(busy_month)
    assert message.subject.replace("\u00a0", " ").startswith("Installer month 2026-10: success ")
    assert message.subject.endswith("macOS 26.1 fails more than others")
    assert message.text == text
    assert [image.name for image in message.images] == ["segments.png", "versions.png", "adoption.png"]
    assert all(image.png.startswith(b"\x89PNG") for image in message.images)
    assert len((message.html or "").encode()) < 102_000
    assert "https://matokit.example.org/reports/monthly/2026-10.html" in (message.html or "")
    fields = next(block["fields"] for block in message.blocks or () if "fields" in block)
    assert len(fields) == 3
    assert document["findings"]["headline"][:100] in (message.blocks or ())[0]["text"]["text"]


def test_ten_thousand_segments_stay_a_short_page_and_a_small_mail(files_of: Callable[..., ReportFiles]) -> None:
    count = 10_000
    events = [Try(LAST, f"m{n}", n % 3 == 0, os_family="unknown", os_release=f"system {n:05d}") for n in range(count)]
    html, _, document, message = read(files_of(events + tries(30, day=LAST - timedelta(days=90))))
    assert document["segments"]["count"] == count
    assert len(html) < 250_000
    assert len((message.html or "").encode()) < 102_000
