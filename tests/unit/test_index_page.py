"""The index: headline by rule, every number in its JSON, whole with anything missing or damaged, copied as a site."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import store
from matokit_pipelines.alerts.book import Book
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import SettingsError, StateError
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.reports.formats import in_words
from matokit_pipelines.reports.index.ages import age, span
from matokit_pipelines.reports.index.alerts import LISTED as MOST_ALERTS
from matokit_pipelines.reports.index.alerts import NOTHING
from matokit_pipelines.reports.index.listing import LISTED, LONGEST, reports
from matokit_pipelines.reports.index.pages import ANSWERS, render_index, write_index
from matokit_pipelines.reports.index.shapes import Freshness, IndexNumbers, OpenAlert, OpenAlerts, Source
from matokit_pipelines.reports.index.site import copy_site
from matokit_pipelines.reports.index.words import findings
from matokit_pipelines.reports.shapes import Gap, KnownLoss, period_of
from matokit_pipelines.settings import Loaded
from matokit_pipelines.warehouse.refresh import Home
from tests.page_homes import ALERTS, HOSTILE, NOW, home_of, one_event, open_alerts, settings_of
from tests.unit.test_weekly_page import Page, at_path

ZONE = ZoneInfo("Europe/Copenhagen")
LINKS = Links(ZONE, AlertSettings(), runbook_url="https://wiki.example.org/runbook")
PERIOD = period_of("last 30 days", datetime(2026, 10, 23).date(), datetime(2026, 11, 21).date(), str(ZONE))  # noqa: DTZ001


def source(**given: Any) -> Source:
    mark = given.pop("watermark", NOW - timedelta(minutes=10))
    known: dict[str, Any] = {
        "source": "installers", "kind": "matomo", "mirror_of": None, "watermark": mark,
        "age": age(mark, NOW) if mark else None, "is_stale": False, "last_read_at": NOW, "losses": KnownLoss(),
        "windows": 0, "gaps": (), "more_gaps": 0, "quarantined": 0, "last_error": None, "last_error_at": None,
    }  # fmt: skip
    return Source(**(known | given))


def fresh(**given: Any) -> Freshness:
    mark = NOW - timedelta(minutes=10)
    known: dict[str, Any] = {
        "period": PERIOD, "generation": 12, "published_at": NOW, "watermark": mark, "age": age(mark, NOW),
        "is_stale": False, "stale_after": span(timedelta(hours=6)), "windows": 0, "days": 0, "truncated": 0,
        "quarantined": 0, "sources": (source(),),
    }  # fmt: skip
    return Freshness(**(known | given))


def alert(**given: Any) -> OpenAlert:
    began = NOW - timedelta(hours=3)
    known: dict[str, Any] = {
        "rule": "component_failure_rate", "name": "component fails often", "subject": "python_install",
        "environment": "production", "severity": "critical", "since": began, "lasts": age(began, NOW), "events": 90,
        "failures": 38, "told_at": None, "is_provisional": False, "is_silenced": False, "page": "", "widget": "",
    }  # fmt: skip
    return OpenAlert(**(known | given))


CALM = replace(NOTHING, evaluated_to=NOW - timedelta(minutes=10))


def numbers(freshness: Freshness | None = None, alerts: OpenAlerts = CALM) -> IndexNumbers:
    return IndexNumbers(NOW, str(ZONE), "1.0.0", freshness or fresh(), alerts, (), ())


UNPUBLISHED = fresh(
    period=None, generation=None, published_at=None, watermark=None, age=None, sources=()
)  # fmt: skip
OLD = fresh(watermark=NOW - timedelta(hours=9), age=age(NOW - timedelta(hours=9), NOW), is_stale=True)
ONE = OpenAlerts((alert(),), 0, 1, 0, NOW)
STATES = {
    "unreadable": (numbers(replace(UNPUBLISHED, damage="The snapshot is damaged; build again.")), "cannot be read"),
    "nothing": (numbers(UNPUBLISHED, ONE), "Nothing is published yet."),
    "firing": (numbers(OLD, ONE), "1 alert is open: python_install: component fails often."),
    "two firing": (
        numbers(fresh(), OpenAlerts((alert(subject=ALL, name="overall success rate"), alert()), 0, 2, 0, NOW)),
        "2 alerts are open, first overall success rate.",
    ),
    "unknown": (numbers(fresh(watermark=None, age=None)), "How far the data reach is not known."),
    "stale": (numbers(OLD), "The data are old: complete to Sat 21 Nov 2026 23:10 only, 9 h ago."),
    "store damaged": (numbers(fresh(), replace(NOTHING, damage="It is damaged.")), "Whether an alert is open"),
    "never evaluated": (numbers(alerts=NOTHING), "is not known. The rules were never evaluated."),
    "evaluated long ago": (
        numbers(alerts=replace(CALM, evaluated_to=NOW - timedelta(days=3), is_behind=True)),
        "is not known. The rules were last evaluated for Thu 19 Nov 2026 08:10.",
    ),
    "firing, evaluated long ago": (numbers(alerts=replace(ONE, is_behind=True)), "1 alert is open: python_install"),
    "off": (numbers(alerts=replace(NOTHING, is_on=False)), "fresh and complete; alerts are switched off."),
    "off, with holes": (
        numbers(fresh(truncated=3), replace(NOTHING, is_on=False)),
        "switched off, and the data of the last 30 days",
    ),
    "off, still open": (numbers(alerts=replace(ONE, is_on=False)), "1 alert is open: python_install"),
    "incomplete": (numbers(fresh(truncated=3)), "the data of the last 30 days have holes"),
    "silenced only": (numbers(fresh(), OpenAlerts((alert(is_silenced=True),), 0, 0, 1, NOW)), "No alert is open"),
    "well": (numbers(), "No alert is open and the data are fresh and complete."),
}


@pytest.mark.parametrize("name", STATES)
def test_the_headline_follows_its_rule(name: str) -> None:
    found, said = STATES[name]
    html, document = render_index(found, LINKS)
    assert said in document["findings"]["headline"].replace("\u00a0", " ")
    assert findings(found).state == ("good" if name in ("well", "silenced only", "off") else "bad")
    assert html.count("<h1>") == 1


def test_what_is_missing_is_said_for_each_source() -> None:
    holes = tuple(Gap(NOW - timedelta(days=n, hours=1), NOW - timedelta(days=n), 5, 4) for n in range(3))
    mirror = source(source="copy", mirror_of="installers", losses=KnownLoss(0, 1))
    ours = source(losses=KnownLoss(1_234, 2), windows=5, gaps=holes, more_gaps=2, quarantined=7)
    found = numbers(fresh(sources=(ours, mirror), windows=5, days=2, truncated=1_234, quarantined=7))
    _, document = render_index(found, LINKS)
    said = [one.replace("\u00a0", " ").replace("\u202f", " ") for one in document["findings"]["details"]]
    assert said == [
        "1 234 events of installers were cut off at the source.",
        "2 days of installers differ from the source's own report.",
        "installers from Sun 22 Nov 07:10 to Sun 22 Nov 08:10 does not add up.",
        "installers from Sat 21 Nov 07:10 to Sat 21 Nov 08:10 does not add up.",
        "installers from Fri 20 Nov 07:10 to Fri 20 Nov 08:10 does not add up.",
        "2 more windows of installers do not add up either.",
        "1 day of copy, a mirror that is not counted, differs from the source's own report.",
    ]
    assert document["findings"]["completeness"].replace("\u202f", " ") == (
        "5 windows that do not add up, 2 days that differ from their reports, 1 234 events cut off at their sources"
    )


@pytest.mark.parametrize("name", STATES)
def test_every_number_on_the_page_is_in_the_json_and_none_is_loose(name: str) -> None:
    html, document = render_index(STATES[name][0], LINKS)
    page = Page(html)
    for mark, shown in zip(page.marked, page.shown, strict=True):
        assert shown == in_words(at_path(document, mark["data-path"]), str(mark["data-form"]), ZONE), mark
    loose = "".join(page.loose).replace("last 30 days", "").replace("Of the 30 days", "")
    assert not [word for word in loose.split() if any(letter.isdigit() for letter in word)]


def test_hostile_names_are_text() -> None:
    hostile = alert(subject=HOSTILE, environment=HOSTILE, severity="warning")
    ours = source(source=HOSTILE, last_error=f"<b>{HOSTILE}\n\u202e", last_error_at=NOW)
    html, _ = render_index(numbers(fresh(sources=(ours,)), OpenAlerts((hostile,), 0, 1, 0, NOW)), LINKS)
    tags = {tag for tag, _ in Page(html).tags}
    assert not tags & {"script", "b"}
    assert "\u202e" not in html
    assert "&lt;/script&gt;&lt;!channel&gt;=1+1" in html


# -- what lies in a home -----------------------------------------------------------------------------------------------


def report(folder: Path, kind: str, period: str, content: str | bytes | None) -> None:
    at = folder / "reports" / kind
    at.mkdir(parents=True, exist_ok=True)
    (at / f"{period}.html").write_text("<p>page</p>", encoding="utf-8")
    if content is not None:
        (at / f"{period}.json").write_bytes(content if isinstance(content, bytes) else content.encode())


def made(headline: str = "All well.", **more: Any) -> str:
    said = {"headline": headline, "incomplete": more.pop("incomplete", [])}
    return json.dumps({"now": "2026-11-16T06:30:00Z", "findings": said, **more})


def test_reports_are_listed_newest_first_with_their_finding(tmp_path: Path) -> None:
    for period in ("2026-W45", "2026-W46", "2025-W52"):
        report(tmp_path, "weekly", period, made(f"Week {period}.", incomplete=["data to Monday."]))
    (tmp_path / "reports" / "weekly" / "notes.html").write_text("", encoding="utf-8")
    weekly, daily, monthly = reports(tmp_path)
    assert [entry.period for entry in weekly.entries] == ["2026-W46", "2026-W45", "2025-W52"]
    assert weekly.entries[0].headline == "Week 2026-W46."
    assert weekly.entries[0].is_incomplete is True
    assert weekly.entries[0].made_at == datetime(2026, 11, 16, 6, 30, tzinfo=UTC)
    assert (daily.entries, monthly.entries) == ((), ())


DAMAGED = (
    None, "", "{", "[]", "null", b"\xff\xfe", "[" * 50_000, '{"now": 7, "findings": 3}', '{"findings": []}',
    '{"now": "2026-99-99", "findings": {"headline": "  ", "incomplete": "yes"}}', '{"now": "2026-11-16T06:30:00"}',
    '{"now": "0001-01-01T00:00:00+23:59", "findings": {"incomplete": {}}}',
)  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_report_is_listed_and_breaks_nothing(tmp_path: Path, content: str | bytes | None) -> None:
    report(tmp_path, "weekly", "2026-W46", content)
    report(tmp_path, "weekly", "2026-W45", made())
    html = write_index(tmp_path, settings_of(tmp_path), NOW).read_text(encoding="utf-8")
    assert 'href="reports/weekly/2026-W46.html"' in html
    assert "matokit report weekly --period 2026-W46" in html
    assert "All well." in html


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(
    st.sampled_from(["now", "findings", "headline", "incomplete", "other"]), part)))  # fmt: skip
def test_any_json_beside_a_report_can_be_listed(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    report(folder, "daily", "2026-11-20", json.dumps(document))
    entry = reports(folder)[1].entries[0]
    assert entry.period == "2026-11-20"
    assert entry.headline is None or 0 < len(entry.headline) <= LONGEST


def test_years_of_reports_stay_a_page(tmp_path: Path) -> None:
    days = [NOW.date() - timedelta(days=n) for n in range(LISTED + 30)]
    for day in days:
        report(tmp_path, "daily", str(day), made("x" * 5_000))
    page = write_index(tmp_path, settings_of(tmp_path), NOW)
    kind = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["reports"][1]
    assert (len(kind["entries"]), kind["older"]) == (LISTED, 30)
    assert kind["entries"][0]["period"] == str(days[0])
    assert page.stat().st_size < 1_000_000


def test_an_empty_folder_has_an_index_too(tmp_path: Path) -> None:
    page = write_index(tmp_path / "nothing", settings_of(tmp_path / "settings"), NOW)
    assert "Nothing is published yet." in page.read_text(encoding="utf-8")
    assert not (tmp_path / "nothing" / state.FILE).exists()


def test_an_index_tells_of_snapshot_alerts_and_silences(tmp_path: Path) -> None:
    home = home_of(tmp_path, one_event())
    open_alerts(home, ALERTS, silent="x86*")
    document = json.loads(write_index(tmp_path, home.loaded, NOW).with_suffix(".json").read_text(encoding="utf-8"))
    assert document["freshness"]["age"] == {"seconds": 600, "words": "10 min"}
    assert document["freshness"]["sources"][0]["source"] == "installers"
    assert (document["alerts"]["firing"], document["alerts"]["silenced"]) == (2, 1)
    assert [row["subject"] for row in document["alerts"]["rows"]] == [ALL, "python_install", "x86_64"]
    assert document["findings"]["headline"] == "2 alerts are open, first overall success rate."


def test_what_nobody_watches_is_not_called_well(tmp_path: Path) -> None:
    home = home_of(tmp_path, one_event())

    def said(loaded: Loaded = home.loaded) -> tuple[str, bool]:
        document = json.loads(write_index(tmp_path, loaded, NOW).with_suffix(".json").read_text(encoding="utf-8"))
        return document["findings"]["headline_kind"], document["alerts"]["is_behind"]

    assert said() == ("unwatched", False)
    with state.opened(tmp_path) as connection:
        for hours, expected in ((7, ("unwatched", True)), (5, ("well", False))):
            with state.transaction(connection):
                store.save(connection, Book(), store.Progress(evaluated_to=NOW - timedelta(hours=hours)), NOW)
            assert said() == expected
    alerts = home.loaded.settings.alerts.model_copy(update={"enabled": False})
    off = replace(home.loaded, settings=home.loaded.settings.model_copy(update={"alerts": alerts}))
    assert said(off) == ("off", False)


def test_data_are_old_by_the_setting_of_the_alert(tmp_path: Path) -> None:
    home = home_of(tmp_path, one_event(), stale=True)
    document = json.loads(write_index(tmp_path, home.loaded, NOW).with_suffix(".json").read_text(encoding="utf-8"))
    assert document["findings"]["headline_kind"] == "stale"
    assert document["freshness"]["sources"][0]["is_stale"] is True


def test_a_flood_of_alerts_is_cut(tmp_path: Path) -> None:
    home = Home.of(settings_of(tmp_path), FixedClock(NOW))
    open_alerts(home, [("new_failure_pattern", f"component_{n}", "warning") for n in range(MOST_ALERTS + 25)])
    document = json.loads(write_index(tmp_path, home.loaded, NOW).with_suffix(".json").read_text(encoding="utf-8"))
    assert (len(document["alerts"]["rows"]), document["alerts"]["more"]) == (MOST_ALERTS, 25)
    assert document["alerts"]["firing"] == MOST_ALERTS + 25


def test_a_damaged_store_or_snapshot_is_said_and_the_page_is_made(tmp_path: Path) -> None:
    home = home_of(tmp_path, one_event())
    state.file_of(tmp_path).write_bytes(b"no database at all, and long enough to be looked at" * 100)
    html = write_index(tmp_path, home.loaded, NOW).read_text(encoding="utf-8")
    assert "state.sqlite" in html
    assert "is damaged" in html
    for snapshot in (tmp_path / "serving").glob("*.duckdb"):
        snapshot.write_bytes(b"no database")
    html = write_index(tmp_path, home.loaded, NOW).read_text(encoding="utf-8")
    assert "The published data cannot be read." in html


def test_the_same_home_and_time_give_the_same_bytes(tmp_path: Path) -> None:
    home = home_of(tmp_path, one_event())
    open_alerts(home, ALERTS)
    first = write_index(tmp_path, home.loaded, NOW).read_bytes()
    assert write_index(tmp_path, home.loaded, NOW).read_bytes() == first


def test_each_dashboard_has_its_place_and_its_links(tmp_path: Path) -> None:
    loaded = settings_of(tmp_path)
    names = dict.fromkeys(widget.dashboard for widget in load_widgets().values())
    assert set(ANSWERS) == set(names)
    (tmp_path / "dashboards").mkdir()
    for name in names:
        (tmp_path / "dashboards" / f"{name}.html").write_text("", encoding="utf-8")
    html = write_index(tmp_path, loaded, NOW).read_text(encoding="utf-8")
    for widget in load_widgets().values():
        assert f'href="dashboards/{widget.dashboard}.html#{widget.name}"' in html
        assert f">{widget.dashboard_title}</a>" in html  # the navigation of all pages says the same


# -- copies ------------------------------------------------------------------------------------------------------------


def test_a_site_holds_pages_and_nothing_else(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "site"
    loaded = settings_of(home)
    report(home, "weekly", "2026-W46", made())
    (home / "reports" / "weekly" / "2026-W46.message.json").write_text("{}", encoding="utf-8")
    (home / "reports" / "weekly" / ".2026-W46.json-half").write_text("{}", encoding="utf-8")
    (home / "dashboards" / "component_analysis").mkdir(parents=True)
    (home / "dashboards" / "component_analysis" / "component_success.csv").write_text("a\n", encoding="utf-8")
    write_index(home, loaded, NOW)
    copied = [str(file.relative_to(out)) for file in copy_site(home, out)]
    assert copied == [
        "dashboards/component_analysis/component_success.csv", "reports/weekly/2026-W46.html",
        "reports/weekly/2026-W46.json", "index.json", "index.html",
    ]  # fmt: skip
    assert sorted(str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()) == sorted(copied)
    assert copy_site(home, out) == ()  # nothing changed
    report(home, "weekly", "2026-W46", made("Another finding."))
    assert [file.name for file in copy_site(home, out)] == ["2026-W46.html", "2026-W46.json"]
    assert "Another" in (out / "reports" / "weekly" / "2026-W46.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("out", [".", "..", "inside"])
def test_a_site_does_not_lie_in_its_home(tmp_path: Path, out: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(SettingsError, match="name a folder beside it"):
        copy_site(home, home / out)


def test_a_site_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    loaded = settings_of(tmp_path / "home")
    write_index(tmp_path / "home", loaded, NOW)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StateError, match="The pages cannot be copied to"):
        copy_site(tmp_path / "home", tmp_path / "file" / "site")
