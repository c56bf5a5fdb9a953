"""The alerts of a period: each count by its definition, names bounded, what is not known any more is never 0."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.period import MOST_NAMED, AlertsOfPeriod, alerts_of, alerts_of_home, named
from matokit_pipelines.alerts.tracing import RuleTicks, Run
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.settings import load

START = datetime(2026, 11, 8, 23, tzinfo=UTC)
END = START + timedelta(days=7)
NOW = END + timedelta(hours=7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULE = "new_failure_pattern"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with state.opened(tmp_path) as opened:
        yield opened


def verdict(subject: str, at: datetime, *, raw: bool, guarded: bool, n: int = 25, failures: int = 13) -> Verdict:
    return Verdict(RULE, subject, "production", at, "ok", raw, guarded, {"n": n, "failures": failures})


def evaluated(
    connection: sqlite3.Connection, subject: str, first: datetime, last: datetime, said: str, failures: int = 13
) -> None:
    """One run; `said`: F (not met), R (raw alone), T (guarded)."""
    one = verdict(subject, first, raw=said in "RT", guarded=said == "T", failures=failures)
    with state.transaction(connection):
        store.add_runs(
            connection, {one.fingerprint: [Run(one, first, last, one)]}, rule_version="1", now=NOW,
            follows={RULE: RuleTicks.of(RULE, AlertSettings(), ZoneInfo("UTC"))},
        )  # fmt: skip


def fired(
    connection: sqlite3.Connection, subject: str, start: datetime, end: datetime | None = None, **more: Any
) -> None:
    """One episode; it ended well unless `more` says how."""
    bad, good = verdict(subject, start, raw=True, guarded=True), verdict(subject, start, raw=False, guarded=False)
    last = Verdict(RULE, subject, "production", end or start, "ok", False, False, {"n": 25, "failures": 0})
    silenced = more.pop("silenced_by", ())
    values: dict[str, Any] = {
        "rule": RULE, "subject": subject, "environment": "production", "number": 1, "severity": "critical",
        "started_at": start, "detected_at": start, "first": bad, "worst": bad, "last": last if end else good,
        "ended_at": end, "end_reason": "recovered" if end else None,
    }  # fmt: skip
    book = Book()
    book.keep(Matter(Episode(**(values | more)), silenced_by=silenced))
    progress = store.Progress(evaluated_to=END, complete_to=END)
    with state.transaction(connection):
        store.save(connection, book, progress, NOW)


def known(connection: sqlite3.Connection, since: datetime = START - 30 * DAY, to: datetime = END) -> None:
    """Evaluations of something that is well, from and to."""
    evaluated(connection, "quiet", since, to, "F")
    with state.transaction(connection):
        store.save(connection, Book(), store.Progress(evaluated_to=to), NOW)


def of_week(connection: sqlite3.Connection, now: datetime = NOW) -> AlertsOfPeriod:
    return alerts_of(connection, START, END, now)


def test_a_quiet_week_that_is_known_counts_nothing(connection: sqlite3.Connection) -> None:
    known(connection)
    found = of_week(connection)
    assert (found.known, found.fired, found.recovered, found.still_firing) == ("all", 0, 0, 0)
    assert (found.silenced, found.held_back, found.alerts, found.held_back_named) == (0, 0, (), ())


@pytest.mark.parametrize(
    ("start", "end", "counts"),
    [
        (START, START + HOUR, (1, 1, 0)),
        (START - HOUR, START + HOUR, (0, 1, 0)),
        (START - HOUR, None, (0, 0, 1)),
        (END - HOUR, None, (1, 0, 1)),
        (END - HOUR, END, (1, 0, 1)),
        (END - 2 * HOUR, END - HOUR, (1, 1, 0)),
        (START - 2 * HOUR, START, (0, 1, 0)),
        (START - 2 * HOUR, START - HOUR, (0, 0, 0)),
        (END, END + HOUR, (0, 0, 0)),
    ],
)
def test_an_episode_counts_where_it_starts_ends_and_goes_on(
    connection: sqlite3.Connection, start: datetime, end: datetime | None, counts: tuple[int, ...]
) -> None:
    known(connection)
    fired(connection, "python_install", start, end)
    found = of_week(connection)
    assert (found.fired, found.recovered, found.still_firing) == counts


@pytest.mark.parametrize(
    ("more", "standing"),
    [
        ({"end_reason": "recovered"}, "recovered"),
        ({"end_reason": "no_longer_measurable"}, "no_longer_measurable"),
        ({"end_reason": "not_confirmed", "is_provisional": True}, "not_confirmed"),
        ({"last": verdict("x", START, raw=False, guarded=False)}, "failures_go_on"),
    ],
)
def test_only_what_is_well_again_has_recovered(
    connection: sqlite3.Connection, more: dict[str, Any], standing: str
) -> None:
    known(connection)
    fired(connection, "x", START, START + DAY, **more)
    found = of_week(connection)
    assert [alert.standing for alert in found.alerts] == [standing]
    assert found.recovered == (standing == "recovered")
    assert found.ended_otherwise == (standing != "recovered")
    assert bool(named(found.alerts)) == (standing != "not_confirmed")


def test_an_alert_that_ended_after_the_period_was_firing_at_its_end_whenever_one_asks(
    connection: sqlite3.Connection,
) -> None:
    known(connection)
    fired(connection, "x", END - DAY, END + DAY)
    (alert,) = of_week(connection, NOW + 3 * DAY).alerts
    assert (alert.standing, alert.ended_at, alert.failures, alert.events) == ("firing", None, 13, 25)


def test_silenced_alerts_are_counted(connection: sqlite3.Connection) -> None:
    known(connection)
    fired(connection, "x", START + DAY, silenced_by=(3,))
    fired(connection, "y", START + DAY)
    found = of_week(connection)
    assert (found.fired, found.silenced) == (2, 1)


def test_what_the_guard_held_back_is_one_entry_a_rule_and_subject(connection: sqlite3.Connection) -> None:
    known(connection)
    evaluated(connection, "x", START - HOUR, START + HOUR, "R", failures=2)
    evaluated(connection, "x", START + 2 * HOUR, START + 3 * HOUR, "F")
    evaluated(connection, "x", START + 4 * HOUR, START + 5 * HOUR, "R", failures=3)
    evaluated(connection, "y", START + DAY, START + DAY, "R", failures=9)
    evaluated(connection, "before", START - DAY, START - HOUR, "R")
    evaluated(connection, "after", END, END + HOUR, "R")
    found = of_week(connection)
    assert found.held_back == 2
    assert [(one.subject, one.failures, one.first_at, one.last_at) for one in found.held_back_named] == [
        ("y", 9, START + DAY, START + DAY),
        ("x", 3, START, START + 5 * HOUR),
    ]


def test_what_fired_was_not_held_back(connection: sqlite3.Connection) -> None:
    """Once an alert fires, the printed condition alone keeps it going."""
    known(connection)
    evaluated(connection, "x", START, START + HOUR, "R")
    evaluated(connection, "x", START + 2 * HOUR, START + 3 * HOUR, "T")
    fired(connection, "x", START + 2 * HOUR)
    assert of_week(connection).held_back == 0


def test_an_evaluation_made_again_says_what_holds(connection: sqlite3.Connection) -> None:
    known(connection)
    evaluated(connection, "x", START + HOUR, START + 2 * HOUR, "R")
    evaluated(connection, "x", START + HOUR, START + 2 * HOUR, "F")
    assert of_week(connection).held_back == 0


def test_names_are_bounded_the_gravest_and_firing_first(connection: sqlite3.Connection) -> None:
    known(connection)
    for place in range(30):
        fired(connection, f"over{place:02d}", START + HOUR, START + DAY)
        evaluated(connection, f"held{place:02d}", START, START + HOUR, "R")
    fired(connection, "warned", START + DAY, severity="warning")
    fired(connection, "x" * 5_000, START + DAY)
    found = of_week(connection)
    assert (found.fired, len(found.alerts), found.more_alerts) == (32, MOST_NAMED, 32 - MOST_NAMED)
    assert (found.held_back, len(found.held_back_named), found.more_held_back) == (30, MOST_NAMED, 30 - MOST_NAMED)
    assert [alert.subject for alert in found.alerts[:2]] == ["x" * 79 + "…", "over00"]
    assert "warned" not in [alert.subject for alert in found.alerts]


def test_a_rule_over_everything_has_no_subject_and_one_for_operators_is_not_about_installers(
    connection: sqlite3.Connection,
) -> None:
    known(connection)
    fired(connection, "*", START, rule="data_stale")
    found = of_week(connection)
    assert [(alert.name, alert.subject) for alert in found.alerts] == [("data are old", None)]
    assert named(found.alerts) == ()


def test_a_period_older_than_what_is_kept_is_no_longer_known(connection: sqlite3.Connection) -> None:
    known(connection)
    assert of_week(connection, END + timedelta(days=86)).known == "part"
    found = of_week(connection, END + timedelta(days=91))
    assert (found.known, found.fired, found.held_back, found.alerts) == ("nothing", None, None, ())


def test_before_the_first_evaluation_nothing_is_known(connection: sqlite3.Connection) -> None:
    assert of_week(connection) == AlertsOfPeriod("nothing", None, None)
    known(connection, END + HOUR, END + DAY)
    assert (of_week(connection).known, of_week(connection).known_from) == ("nothing", END + HOUR)


def test_a_period_that_is_not_evaluated_to_its_end_is_known_in_part(connection: sqlite3.Connection) -> None:
    known(connection, START, END - DAY)
    found = of_week(connection)
    assert (found.known, found.evaluated_to) == ("part", END - DAY)


def test_a_home_without_alerts_has_none(tmp_path: Path) -> None:
    file = tmp_path / "matokit.toml"
    file.write_text("[alerts]\nenabled = true\n", encoding="utf-8")
    assert alerts_of_home(load(file, {}), START, END, NOW) is None
    with state.opened(load(file, {}).home) as opened:
        known(opened)
    found = alerts_of_home(load(file, {}), START, END, NOW)
    assert found is not None
    assert found.known == "all"
    file.write_text("[alerts]\nenabled = false\n", encoding="utf-8")
    assert alerts_of_home(load(file, {}), START, END, NOW) is None


def test_alerts_of_installers_in_production_stand_before_any_others(connection: sqlite3.Connection) -> None:
    known(connection)
    for place in range(MOST_NAMED + 2):
        fired(connection, f"of-ci-{place}", START + DAY, environment="ci")
    fired(connection, "of-production", START + DAY, severity="warning")
    found = of_week(connection)
    assert found.alerts[0].subject == "of-production"
    assert (found.still_firing, found.installers_firing) == (MOST_NAMED + 3, 1)
