"""The daily report of a home: made from its warehouse, and told in place of the alerts of the three daily rules."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store, why
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.passes import run_pass
from matokit_pipelines.alerts.reported import PATIENCE, note_told
from matokit_pipelines.alerts.tracing import RuleTicks
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.errors import NothingPublished, WarehouseError
from matokit_pipelines.reports.daily.pages import numbers_of, write_daily
from matokit_pipelines.reports.daily.standing import standing_in
from matokit_pipelines.reports.sending import send_report
from matokit_pipelines.warehouse.refresh import Home, publish_marts
from tests.landed import home_at, land, series

DAY = date(2026, 3, 12)  # a Thursday
SEVEN = datetime(2026, 3, 12, 6, tzinfo=UTC)  # 07:00 in Copenhagen
MINUTE, HOUR, A_DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULE = "component_failure_rate"
CALL = "email:call@example.org"


def history() -> list[Any]:
    """A fortnight of a component that is fine, then a night in which 30 of 90 tries fail, each on a machine."""
    good = series(SEVEN - 15 * A_DAY, 14 * 48, 30 * MINUTE, machine="w{}")
    night = series(SEVEN - 20 * HOUR, 60, 20 * MINUTE, machine="n{}")
    return [*good, *night, *series(SEVEN - 18 * HOUR, 30, 30 * MINUTE, machine="f{}", failed=True)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home evaluated until the evening before, whose night has landed since."""
    folder = tmp_path_factory.mktemp("begun")
    clock = FixedClock(SEVEN - A_DAY)
    home = home_at(folder, clock)
    events = history()
    land(home, [one for one in events if one.at < SEVEN - A_DAY], complete_to=clock.now())
    run_pass(home)
    clock.advance(A_DAY + 2 * MINUTE)
    land(home, [one for one in events if one.at >= SEVEN - A_DAY], complete_to=SEVEN)
    publish_marts(home)
    return folder


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(SEVEN + 2 * MINUTE)


@pytest.fixture
def home(begun: Path, tmp_path: Path, clock: FixedClock) -> Home:
    shutil.copytree(begun, tmp_path / "copy")
    return home_at(tmp_path / "copy", clock)


def reports(home: Home) -> Path:
    return home.loaded.home / "reports"


def queued(home: Home) -> list[str]:
    with state.opened(home.loaded.home) as connection:
        rows = connection.execute("select message_key from outbox order by id").fetchall()
    return [row["message_key"] for row in rows]


def health(home: Home) -> list[str]:
    """Messages of the three daily rules."""
    return [key for key in queued(home) if key.split("|")[0] in (RULE, "new_component_failure", "success_drop_7d")]


def matters(home: Home) -> dict[tuple[str, str], Matter]:
    with state.opened(home.loaded.home) as connection:
        found = store.history(connection, since=SEVEN - A_DAY)
    return {(one.episode.rule, one.episode.subject): one for one in found}


def make_and_send(home: Home, clock: FixedClock, day: date = DAY) -> dict[str, Any]:
    files, _ = write_daily(home, day, clock.now(), reports(home))
    send_report(home.loaded, "daily", day.isoformat(), now=clock.now())
    found: dict[str, Any] = json.loads(files.json.read_text(encoding="utf-8"))
    return found


def test_the_report_of_a_home_is_made_from_its_warehouse(home: Home, clock: FixedClock) -> None:
    files, mark = write_daily(home, DAY, clock.now(), reports(home))
    document = json.loads(files.json.read_text(encoding="utf-8"))
    assert mark == SEVEN
    assert (document["watermark"], document["report"]) == ("2026-03-12T06:00:00Z", "daily")
    assert document["totals"]["counts"] | {"events": 90, "failures": 30} == document["totals"]["counts"]
    [python] = document["components"]
    assert python["row"]["component"] == "python"
    assert RULE in python["row"]["rules"]
    assert python["began"]["commit_sha"] == "a1b2c3d"
    assert document["worth_sending"]
    message = Message.from_json(files.message.read_text(encoding="utf-8"))
    assert message.subject.startswith("Component health Thu 12 Mar: python 30 of 90 failed")
    assert message.text == files.text.read_text(encoding="utf-8")
    assert sorted(path.name for path in files.html.parent.iterdir()) == [
        f"{DAY}.html", f"{DAY}.json", f"{DAY}.message.json", f"{DAY}.txt",
    ]  # fmt: skip


def test_an_old_report_is_made_again_as_it_was(home: Home, clock: FixedClock, tmp_path: Path) -> None:
    first, _ = write_daily(home, DAY, clock.now(), reports(home))
    again, _ = write_daily(home, DAY, clock.now(), tmp_path / "again")
    for name in ("html", "text", "json", "message"):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes()


def test_without_a_warehouse_it_says_so(tmp_path: Path, clock: FixedClock) -> None:
    with pytest.raises(WarehouseError, match="no warehouse"):
        write_daily(home_at(tmp_path, clock), DAY, clock.now(), tmp_path)


def test_tables_of_another_version_are_named_so(home: Home, clock: FixedClock) -> None:
    with home.warehouse.writer() as connection:
        connection.execute("drop table marts.extraction_gaps")
    with pytest.raises(WarehouseError, match=r"another version of matokit do; `matokit build` makes"):
        write_daily(home, DAY, clock.now(), reports(home))


def test_what_landed_and_is_not_derived_yet_is_not_taken_for_complete(home: Home, clock: FixedClock) -> None:
    clock.advance(A_DAY)
    land(home, series(SEVEN, 40, 30 * MINUTE, machine="later{}"), complete_to=clock.now(), build=False)
    numbers = numbers_of(home, DAY + A_DAY, clock.now())
    assert numbers.watermark == SEVEN  # that of the snapshot
    assert numbers.window_end is None
    for file in (home.loaded.home / "serving").iterdir():
        file.unlink()
    with pytest.raises(NothingPublished):
        numbers_of(home, DAY + A_DAY, clock.now())


def test_alerts_of_the_daily_rules_are_told_in_the_report(home: Home, clock: FixedClock) -> None:
    document = make_and_send(home, clock)
    assert queued(home) == [f"report:daily:{DAY}:{CALL}", f"report:daily:{DAY}:files"]
    run_pass(home)
    assert health(home) == []
    told = matters(home)[RULE, "python"]
    assert (RULE, "python") in [(one["rule"], one["subject"]) for one in document["triggers"]]
    assert (told.in_report, told.telling.told_at, told.digest, told.is_done) == (True, clock.now(), None, False)
    ticks = RuleTicks.of(RULE, home.loaded.settings.alerts, home.loaded.settings.project.zone)
    with state.opened(home.loaded.home) as connection:
        [kept] = why.kept_at(connection, RULE, "python", SEVEN, ticks)
        zone = home.loaded.settings.project.zone
        said = why.aftermath(connection, kept, home.loaded.settings.alerts, zone, clock.now())
    assert "It was told in the daily component health report of Thu 12 Mar, so it has no message of its own." in said


@pytest.mark.slow
def test_its_end_is_in_the_next_report_which_is_sent_for_it_once(home: Home, clock: FixedClock) -> None:
    make_and_send(home, clock)
    run_pass(home)
    for number in (1, 2):
        clock.advance(A_DAY)
        start = SEVEN + (number - 1) * A_DAY
        land(home, series(start, 60, 20 * MINUTE, machine=f"d{number}-{{}}"), complete_to=start + A_DAY)
        document = make_and_send(home, clock, DAY + number * A_DAY)
        run_pass(home)
        if number == 1:
            assert any(one["rule"] == RULE for one in document["ended"])
        assert document["worth_sending"] == (number == 1)
    assert f"report:daily:{DAY + A_DAY}:{CALL}" in queued(home)
    assert f"report:daily:{DAY + 2 * A_DAY}:{CALL}" not in queued(home)
    over = matters(home)[RULE, "python"]
    assert (over.episode.end_reason, over.is_done) == ("recovered", True)
    assert health(home) == []


def test_an_alert_waits_for_the_report_and_is_told_without_it(home: Home, clock: FixedClock) -> None:
    report = run_pass(home)
    assert health(home) == []
    waiting = matters(home)[RULE, "python"]
    assert (waiting.digest, waiting.due) == ("health", clock.now() + PATIENCE)
    assert report.next_timer is not None
    clock.advance(PATIENCE)
    run_pass(home)
    assert any(key.endswith(f"|digest|{CALL}") for key in health(home))
    assert not matters(home)[RULE, "python"].in_report


def test_an_alert_that_the_report_did_not_tell_has_its_message_at_once(home: Home, clock: FixedClock) -> None:
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        note_told(connection, str(DAY), {"triggers": [], "triggers_more": 0})
    run_pass(home)
    assert any(key.endswith(f"|digest|{CALL}") for key in health(home))


def test_a_report_with_more_triggers_than_it_names_tells_them_all(home: Home) -> None:
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        note_told(connection, str(DAY), {"triggers": [], "triggers_more": 7})
    run_pass(home)
    assert health(home) == []


@pytest.mark.parametrize(
    "more",
    [
        "[reports]\ndaily_to = []\n",
        f'[alerts.rules.{RULE}]\ndestinations = ["email:other@example.org"]\n',
    ],
    ids=["nobody gets the report", "others are to be told"],
)
def test_where_the_report_does_not_reach_the_message_stays(
    begun: Path, tmp_path: Path, clock: FixedClock, more: str
) -> None:
    shutil.copytree(begun, tmp_path / "copy")
    home = home_at(tmp_path / "copy", clock, more)
    run_pass(home)
    assert [key for key in health(home) if key.startswith(RULE)]


def test_what_the_alerts_know_of_a_morning(home: Home, clock: FixedClock) -> None:
    run_pass(home)
    with state.opened(home.loaded.home) as connection:
        silences.add(
            connection, matchers={"component": "python"}, begins_at=clock.now(), ends_at=clock.now() + HOUR,
            author="a", reason="known", now=clock.now(),
        )  # fmt: skip
    standing = standing_in(home.loaded.home, clock.now())
    assert standing.firing[RULE, "python"] == SEVEN
    assert [one.reason for one in standing.silences] == ["known"]
    assert standing_in(home.loaded.home, SEVEN - A_DAY).firing == {}


def test_what_was_told_is_kept_for_ninety_days(home: Home) -> None:
    empty: dict[str, Any] = {"triggers": []}
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        for day in ("2025-12-12", "2026-01-01", str(DAY)):
            note_told(connection, day, empty)
        rows = connection.execute("select name from progress where name like 'daily_told:%' order by name").fetchall()
    assert [row["name"] for row in rows] == [f"daily_told:{day}" for day in ("2025-12-12", "2026-01-01", str(DAY))]
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        note_told(connection, "2026-03-14", empty)
        rows = connection.execute("select name from progress where name like 'daily_told:%' order by name").fetchall()
    assert next(row["name"] for row in rows) == "daily_told:2026-01-01"


def test_what_was_silenced_in_the_report_is_not_taken_for_told(home: Home, clock: FixedClock) -> None:
    with state.opened(home.loaded.home) as connection:
        silences.add(
            connection, matchers={"component": "python"}, begins_at=SEVEN - HOUR, ends_at=SEVEN + HOUR,
            author="a", reason="known", now=SEVEN - HOUR,
        )  # fmt: skip
    document = make_and_send(home, clock)
    mine = [one for one in document["triggers"] if one["subject"] == "python"]
    assert mine
    assert all(one["silenced_until"] == "2026-03-12T07:00:00Z" for one in mine)
    run_pass(home)
    assert [key for key in health(home) if "|python|" in key] == []
    clock.advance(2 * HOUR)
    land(home, [], complete_to=clock.now())
    run_pass(home)
    assert [key for key in health(home) if key.startswith(f"{RULE}|python|") and key.endswith(f"|digest|{CALL}")]
