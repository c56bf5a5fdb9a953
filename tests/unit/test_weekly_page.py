"""The three files of the weekly summary: same numbers, same bytes, text as text, complete in any week."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.period import AlertsOfPeriod, HeldBack, PeriodAlert
from matokit_pipelines.reports.formats import in_words
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.warehouse.snapshots import open_current
from tests.weekly_marts import HOSTILE, MONDAY, NOW, ZONE, Event, Source, at, publish_events, seeded_weeks

pytestmark = pytest.mark.slow

LINKED = Links(ZoneInfo("UTC"), AlertSettings(), repository_url="https://code.example.org/scripts")
GOLDEN = Path(__file__).parents[1] / "fixtures" / "weekly" / "2026-W46.txt"
# Digits that are no data: fixed words of the page and names of things.
FIXED = ("95 %", "10 events", "75 %", "x86_64", "24 hours")


class Page(HTMLParser):
    """The marked values of a page, its text outside of drawings and marks, and every tag and attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.marked: list[dict[str, str | None]] = []
        self.shown: list[str] = []
        self.loose: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag in ("meta", "link", "wbr"):
            return
        marked = "data-path" in found
        if marked:
            self.marked.append(found)
            self.shown.append("")
        self._open.append((tag, marked))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        opened, _ = self._open.pop()
        assert opened == tag

    def handle_data(self, data):
        if any(marked for _, marked in self._open):
            self.shown[-1] += data
        elif not {"style", "svg", "title"} & {tag for tag, _ in self._open}:
            self.loose.append(data)


def at_path(document, path):
    for step in path.split("."):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


@pytest.fixture
def files_of(tmp_path):
    def write(events, sources=None, monday=MONDAY):
        publish_events(tmp_path, events, sources or [Source()])
        with open_current(tmp_path) as snapshot:
            return write_weekly(snapshot, monday, NOW, tmp_path / "reports")

    return write


@pytest.fixture(scope="module")
def broken_week(tmp_path_factory):
    home = tmp_path_factory.mktemp("broken")
    publish_events(home, seeded_weeks(runs_a_day=25, broken="vscode_extensions_install"))
    with open_current(home) as snapshot:
        return write_weekly(snapshot, MONDAY, NOW, home / "reports")


def hostile_week() -> list[Event]:
    return [
        Event(
            at(MONDAY, 8 + n / 10),
            HOSTILE,
            "failure" if n < 15 else "success",
            f"{HOSTILE}{n}",
            error_type=HOSTILE,
            os_release=HOSTILE,
            architecture=HOSTILE,
        )
        for n in range(40)
    ]


WEEKS = {
    "empty": [],
    "one event": [Event(at(MONDAY))],
    "only failures": [Event(at(MONDAY, n / 2), outcome="failure", machine_key=f"m{n}") for n in range(40)],
    "single days apart": [
        Event(at(MONDAY + timedelta(days=2 * d), n), machine_key=f"{d}-{n}") for d in range(3) for n in range(12)
    ],
    "hostile": hostile_week(),
    "no machine, no commit": [Event(at(MONDAY, n), machine_key=None, commit_sha=None) for n in range(12)],
}


def test_files_are_named_by_the_week(broken_week):
    assert broken_week.html.name == "2026-W46.html"
    assert broken_week.text.parent.name == "weekly"
    names = sorted(path.name for path in broken_week.html.parent.iterdir())
    assert names == ["2026-W46.html", "2026-W46.json", "2026-W46.message.json", "2026-W46.txt"]


def test_every_number_on_the_page_is_in_the_json(broken_week):
    document = json.loads(broken_week.json.read_text(encoding="utf-8"))
    page = Page(broken_week.html.read_text(encoding="utf-8"))
    assert len(page.marked) > 150
    for mark, shown in zip(page.marked, page.shown, strict=True):
        value = at_path(document, mark["data-path"])
        assert shown == in_words(value, mark["data-form"], ZONE), mark
        if "value" in mark:
            assert json.loads(mark["value"]) == value, mark


def test_no_number_on_the_page_is_unmarked(broken_week):
    loose = "".join(Page(broken_week.html.read_text(encoding="utf-8")).loose)
    for words in FIXED:
        loose = loose.replace(words, "").replace(words.replace(" ", "\u00a0"), "")
    assert re.findall(r".{0,20}\d.{0,20}", loose) == []


@pytest.mark.parametrize("events", WEEKS.values(), ids=WEEKS.keys())
def test_unusual_weeks_render_with_every_number_in_the_json(files_of, events):
    files = files_of(events)
    document = json.loads(files.json.read_text(encoding="utf-8"))
    page = Page(files.html.read_text(encoding="utf-8"))
    for mark, shown in zip(page.marked, page.shown, strict=True):
        assert shown == in_words(at_path(document, mark["data-path"]), mark["data-form"], ZONE)
    text = files.text.read_text(encoding="utf-8")
    for fragment in ("None", "nan", "undefined", "NaN"):
        assert not re.search(rf"\b{fragment}\b", text.replace("\nNone.\n", ""))
    assert document["findings"]["headline"] in text


def test_a_week_of_25_hours_renders(files_of):
    monday = date(2026, 10, 19)
    sunday = monday + timedelta(days=6)
    files = files_of([Event(at(sunday, 0) + timedelta(hours=n), machine_key=f"m{n}") for n in range(25)], monday=monday)
    document = json.loads(files.json.read_text(encoding="utf-8"))
    assert files.html.name == "2026-W43.html"
    assert document["days"][-1]["rates"]["events"] == 25


def test_ten_thousand_components_stay_a_short_page(files_of):
    files = files_of(
        [
            Event(at(MONDAY, 12), f"component_{n // 2:05d}", "failure" if n % 2 else "success", f"m{n}")
            for n in range(20_000)
        ]
    )
    assert files.html.stat().st_size < 200_000
    assert json.loads(files.json.read_text(encoding="utf-8"))["failing"]["components"] == 10_000
    assert files.message.stat().st_size < 1_000_000


def test_what_came_from_outside_is_text_everywhere(files_of):
    files = files_of(hostile_week(), sources=[Source(last_error=f"<b>{HOSTILE}\n\u202e")])
    html = files.html.read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert HOSTILE not in html
    assert HOSTILE in "".join(page.shown)
    assert "\u202e" not in html + files.text.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_and_runs_nothing(broken_week):
    html = broken_week.html.read_text(encoding="utf-8")
    page = Page(html)
    policy = [found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for tag, found in page.tags:
        assert tag not in ("script", "img", "iframe", "object", "image", "foreignobject")
        assert not [name for name in found if name.startswith("on")]
        for name in ("href", "src", "xlink:href"):
            assert (found.get(name) or "#").startswith(("#", "data:", "../../"))
    assert not re.search(r"@import|url\((?!#)", html)


def test_ids_of_drawings_are_unique(broken_week):
    ids = [found["id"] for _, found in Page(broken_week.html.read_text(encoding="utf-8")).tags if "id" in found]
    assert len(ids) == len(set(ids))


def test_charts_have_alternative_text_and_a_table(broken_week):
    page = Page(broken_week.html.read_text(encoding="utf-8"))
    labels = [found["aria-label"] for _, found in page.tags if found.get("role") == "img"]
    assert len(labels) == 6
    assert all("table below" in label for label in labels)
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 6


def test_incomplete_data_are_said_in_the_first_line(files_of):
    events = [Event(at(MONDAY, n), machine_key=f"m{n}") for n in range(20)]
    files = files_of(events, sources=[Source(watermark=at(MONDAY + timedelta(days=3), 14.25))])
    first = files.text.read_text(encoding="utf-8").splitlines()[0].replace("\u00a0", " ")
    assert first.startswith("INCOMPLETE: data to Thu 12 Nov 2026 14:15.")
    loose = "".join(Page(files.html.read_text(encoding="utf-8")).loose)
    assert loose.partition("Deployment Tracking")[2].strip().startswith("Incomplete:")  # right after the navigation


def test_a_rate_of_few_events_is_grey_and_in_brackets(files_of):
    files = files_of([Event(at(MONDAY, n), machine_key=f"m{n}") for n in range(9)])
    page = Page(files.html.read_text(encoding="utf-8"))
    tile = next(mark for mark in page.marked if mark["data-path"] == "totals.this_week.rates.success_rate")
    assert tile["class"] == "few"
    assert "(100.0\u00a0%)" in files.text.read_text(encoding="utf-8")


def test_the_same_input_gives_the_same_bytes(tmp_path, broken_week):
    home = broken_week.html.parents[2]
    with open_current(home) as snapshot:
        again = write_weekly(snapshot, MONDAY, NOW, tmp_path)
    for name in ("html", "text", "json"):
        assert getattr(again, name).read_bytes() == getattr(broken_week, name).read_bytes()


def test_the_zone_of_the_process_changes_nothing(tmp_path, broken_week):
    home = broken_week.html.parents[2]
    program = (
        "import sys; from pathlib import Path; from datetime import date, datetime, UTC\n"
        "from matokit_pipelines.warehouse.snapshots import open_current\n"
        "from matokit_pipelines.reports.weekly.pages import write_weekly\n"
        "with open_current(Path(sys.argv[1])) as s:\n"
        "    write_weekly(s, date(2026, 11, 9), datetime(2026, 11, 16, 6, 30, tzinfo=UTC), Path(sys.argv[2]))\n"
    )
    environment = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"}
    subprocess.run([sys.executable, "-c", program, str(home), str(tmp_path)], check=True, env=environment)
    for path in broken_week.html.parent.iterdir():
        assert (tmp_path / "weekly" / path.name).read_bytes() == path.read_bytes()


def test_the_text_is_the_golden_one(broken_week):
    """After a wanted change: MATOKIT_WRITE_GOLDEN=1 writes it anew; read the difference before it is committed."""
    text = broken_week.text.read_text(encoding="utf-8")
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_alerts_stand_on_the_page_with_every_number_in_the_json(tmp_path, broken_week):
    fired = PeriodAlert(
        "new_failure_pattern", "new failure pattern", HOSTILE, "production", "critical", at(MONDAY, 30), None, True,
        "firing", 13, 25, True,
    )  # fmt: skip
    over = replace(
        fired, rule="no_events", name="no events", subject=None, environment="ci", standing="failures_go_on",
        ended_at=at(MONDAY, 40), failures=None, events=None, is_silenced=False,
    )  # fmt: skip
    held = HeldBack("arch_gap", "one architecture fails more often", "x86", "production", at(MONDAY), at(MONDAY), 3, 9)
    alerts = AlertsOfPeriod("part", at(MONDAY), NOW, 7, 4, 1, 2, 1, 11, (fired, over), 5, (held,), 10)
    with open_current(broken_week.html.parents[2]) as snapshot:
        files = write_weekly(snapshot, MONDAY, NOW, tmp_path, alerts=alerts)
    document = json.loads(files.json.read_text(encoding="utf-8"))
    page = Page(files.html.read_text(encoding="utf-8"))
    for mark, shown in zip(page.marked, page.shown, strict=True):
        assert shown == in_words(at_path(document, mark["data-path"]), mark["data-form"], ZONE)
    paths = {mark["data-path"] for mark in page.marked}
    for name in ("fired", "still_firing", "recovered", "ended_otherwise", "silenced", "held_back", "more_alerts"):
        assert f"alerts.{name}" in paths
    assert {"alerts.alerts.0.failures", "alerts.held_back_named.0.events", "alerts.more_held_back"} <= paths
    text = files.text.read_text(encoding="utf-8")
    for part in (text, "".join(page.loose)):
        assert "None" not in part
        assert "still firing" in part
        assert "its rule no longer holds, but failures go on" in part
    assert "held back by the guard" in text
    assert "and 5 more" in text


def test_a_failed_writing_leaves_the_old_files_whole(tmp_path, broken_week, monkeypatch):
    home = broken_week.html.parents[2]
    with open_current(home) as snapshot:
        files = write_weekly(snapshot, MONDAY, NOW, tmp_path)
        before = files.html.read_bytes()

        def full(_descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_weekly(snapshot, MONDAY, NOW + timedelta(hours=1), tmp_path)
    assert files.html.read_bytes() == before
    assert len(list(files.html.parent.iterdir())) == 4


def test_a_commit_leads_to_its_changes_where_the_repository_is_known(tmp_path):
    publish_events(tmp_path, seeded_weeks(runs_a_day=10))
    with open_current(tmp_path) as snapshot:
        plain = write_weekly(snapshot, MONDAY, NOW, tmp_path / "plain")
        linked = write_weekly(snapshot, MONDAY, NOW, tmp_path / "linked", LINKED)
    assert "code.example.org" not in plain.html.read_text(encoding="utf-8") + plain.text.read_text(encoding="utf-8")
    for file in (linked.html, linked.text):
        assert re.search(
            r"https://code\.example\.org/scripts/compare/[0-9a-f]{7}\.\.\.[0-9a-f]{7}", file.read_text("utf-8")
        )
    assert linked.json.read_bytes() == plain.json.read_bytes()


@pytest.mark.parametrize("begun", [MONDAY - timedelta(days=3), MONDAY + timedelta(days=2), MONDAY + timedelta(days=20)])
def test_what_was_not_recorded_reads_as_a_dash(files_of, begun):
    day = min(begun, MONDAY + timedelta(days=3))
    events = [Event(at(day, 9 + n / 20), machine_key=f"m{n}") for n in range(20)] if begun == day else []
    files = files_of(events, sources=[Source(proven_from=at(begun, 9))])
    document = json.loads(files.json.read_text(encoding="utf-8"))
    page, text = files.html.read_text(encoding="utf-8"), files.text.read_text(encoding="utf-8")
    unknown = sum(one["rates"] is None for one in document["days"])
    assert unknown == min(14, (begun - MONDAY).days + 7)
    assert page.count("<small> not recorded</small>") == text.count("not recorded") == unknown
    assert page.count(">not comparable<") == 2
    assert page.count("not recorded whole") == (2 if unknown < 7 else 0)
    assert text.count("not comparable") == 3
    assert "0 the week before" not in page
    assert "incomplete data" in json.loads(files.message.read_text(encoding="utf-8"))["subject"]
