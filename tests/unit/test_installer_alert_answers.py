"""Which alerts an answer is about: those of the environment and the days that were asked, and of no time unwatched.

Not here: what alerts are (test_alert_*.py), their sentences (the integration test).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import store
from matokit_pipelines.alerts.announcements import EndReason, Episode
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.lifecycle import Telling
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.warehouse.refresh import Home
from tests import page_homes
from tests.installer_tools import NOW, ask, kit_of, runs

pytestmark = pytest.mark.slow

PAST = {"fromDate": "2026-11-10", "toDate": "2026-11-15"}


@pytest.fixture(scope="module")
def firing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Three alerts of production are open since some hours."""
    folder = tmp_path_factory.mktemp("firing")
    home = page_homes.home_of(folder, runs())
    page_homes.open_alerts(home, page_homes.ALERTS)
    evaluated_from(home, NOW - timedelta(days=30))
    with kit_of(folder) as kit:
        yield kit


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A commit breaks a step two days ago; the rules were evaluated for three days."""
    folder = tmp_path_factory.mktemp("watched")
    home = page_homes.home_of(folder, runs(broken_from=NOW - timedelta(hours=50)))
    page_homes.evaluated(home, 3)
    with kit_of(folder) as kit:
        yield kit


def test_alerts_of_another_environment_say_nothing_of_this_one(firing: Kit) -> None:
    assert ask(firing, "GetInstallerHealth")["state"] == "failing"
    assert ask(firing, "GetInstallerHealth", environment="all")["alerts"]["open"] == 3
    other = ask(firing, "GetInstallerHealth", environment="ci")
    assert (other["alerts"]["open"], other["alerts"]["rows"], other["state"]) == (0, [], "unknown")
    assert "Alert rules do not watch ci." in other["summary"]
    assert "No alert is open" not in other["summary"]


def test_an_alert_of_now_says_nothing_of_days_before_it_began(firing: Kit) -> None:
    past = ask(firing, "GetInstallerHealth", **PAST)
    assert past["state"] == "healthy"
    assert past["alerts"]["open"] == 3
    assert "3 alerts are open now: " in past["summary"]
    running = ask(firing, "GetInstallerHealth", days=3)
    assert running["state"] == "failing"
    assert "3 alerts are open: " in running["summary"]


def test_an_alert_that_began_in_past_days_and_is_open_still_tells_of_them(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs())
    page_homes.open_alerts(Home(home.loaded, FixedClock(NOW - timedelta(days=3)), home.warehouse), page_homes.ALERTS)
    with kit_of(tmp_path) as kit:
        began = ask(kit, "GetInstallerHealth", fromDate="2026-11-18", toDate="2026-11-19")
        clear = ask(kit, "GetInstallerHealth", fromDate="2026-11-17", toDate="2026-11-18")
    assert (began["state"], clear["state"]) == ("failing", "incomplete")
    assert "3 alerts are open now: " in clear["summary"]
    assert "The alert rules were last evaluated for 2026-11-19 07:00 UTC" in clear["summary"]


def ended(home: Home, *spans: tuple[str, str, str, datetime, datetime], reason: EndReason = "recovered") -> None:
    """Put alerts into the store that are over: rule, subject, environment, when each began and ended."""
    book = Book()
    for number, (rule, subject, environment, began, until) in enumerate(spans, start=1):
        verdict = Verdict(rule, subject, environment, began, "ok", True, True, {"n": 90, "failures": 38})
        good = replace(verdict, at=until, raw=False, guarded=False, inputs={"n": 90, "failures": 1})
        episode = Episode(rule, subject, environment, number, "critical", began, began, verdict, verdict, good,
                          ended_at=until, end_reason=reason)  # fmt: skip
        book.keep(Matter(episode, Telling(told_at=began), is_done=True))
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        store.save(connection, book, store.Progress(evaluated_to=NOW - timedelta(minutes=10)), NOW)
    evaluated_from(home, NOW - timedelta(days=30))


def evaluated_from(home: Home, first: datetime, last: datetime = NOW - timedelta(minutes=10)) -> None:
    """Keep that rules were evaluated from `first` to `last`."""
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        connection.execute(
            "insert into evaluations (rule, subject, environment, first_tick, last_tick, ticks, evaluated_at, state, "
            "is_raw, is_guarded, is_provisional, rule_version, first_inputs, inputs) "
            "values ('arch_gap', '*', 'production', ?, ?, 30, ?, 'ok', 0, 0, 0, '1', '{}', '{}')",
            (state.moment(first), state.moment(last), state.moment(last)),
        )


def test_alerts_of_past_days_that_are_over_are_told(tmp_path: Path) -> None:
    then = datetime(2026, 11, 12, 9, tzinfo=UTC)
    home = page_homes.home_of(tmp_path, runs())
    ended(
        home,
        ("new_failure_pattern", "python_install", "production", then, then + timedelta(hours=3)),
        ("overall_success_rate", ALL, "production", then - timedelta(days=3), then - timedelta(days=1)),
        ("overall_success_rate", ALL, "production", then + timedelta(days=4), then + timedelta(days=5)),
        ("data_stale", ALL, "production", then, then + timedelta(hours=3)),
    )
    with kit_of(tmp_path) as kit:
        both = ask(kit, "GetInstallerHealth", **PAST)
        one = ask(kit, "GetInstallerHealth", fromDate="2026-11-12", toDate="2026-11-12")
        none = ask(kit, "GetInstallerHealth", fromDate="2026-11-14", toDate="2026-11-15")
        other = ask(kit, "GetInstallerHealth", environment="ci", **PAST)
        now = ask(kit, "GetInstallerHealth")
    assert (both["alerts"]["over"], both["state"], both["alerts"]["open"]) == (2, "degraded", 0)
    assert "2 alerts fired in these days, both over: " in both["summary"]
    assert "success below" in both["summary"] or "success rate" in both["summary"]
    assert "python_install" in both["summary"]
    assert "No alert is open now." in both["summary"]
    assert (one["alerts"]["over"], one["state"]) == (1, "degraded")
    assert "1 alert fired in these days and is over. " in one["summary"]
    assert "38 of 90 events failed" in one["summary"]
    assert (none["alerts"]["over"], none["state"]) == (0, "healthy")
    assert "fired in these days" not in none["summary"]
    assert other["alerts"]["over"] == 0
    assert (now["alerts"]["over"], now["state"]) == (None, "healthy")
    assert "fired in these days" not in now["summary"]


def test_alerts_of_days_of_which_none_are_kept_are_not_known(watched: Kit) -> None:
    long_ago = ask(watched, "GetInstallerHealth", **PAST)
    assert (long_ago["alerts"]["over"], long_ago["state"]) == (None, "incomplete")
    assert "Which alerts fired in these days is not known." in long_ago["summary"]


def test_days_of_which_alerts_are_known_in_part_are_not_called_healthy(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs())
    began = datetime(2026, 11, 15, 22, tzinfo=UTC)
    ended(home, ("new_failure_pattern", "python_install", "ci", began, began + timedelta(hours=3)))
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        connection.execute("update evaluations set first_tick = ?", (state.moment(began - timedelta(hours=1)),))
    with kit_of(tmp_path) as kit:
        none = ask(kit, "GetInstallerHealth", **PAST)
        some = ask(kit, "GetInstallerHealth", environment="ci", **PAST)
        whole = ask(kit, "GetInstallerHealth", fromDate="2026-11-17", toDate="2026-11-18")
    assert (none["alerts"]["over"], none["state"]) == (None, "incomplete")
    assert "Alerts of these days are known only from 2026-11-15 21:00 UTC on." in none["summary"]
    assert (some["alerts"]["over"], some["state"]) == (1, "degraded")
    assert "1 alert fired in these days and is over. " in some["summary"]
    assert "Alerts of these days are known only from 2026-11-15 21:00 UTC on." in some["summary"]
    assert (whole["alerts"]["over"], whole["state"]) == (0, "healthy")
    assert "known only" not in whole["summary"]


def test_days_after_which_rules_were_evaluated_no_more_are_not_called_healthy(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs())
    stopped = datetime(2026, 11, 14, 6, tzinfo=UTC)
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        store.save(connection, Book(), store.Progress(evaluated_to=stopped), NOW)
    evaluated_from(home, NOW - timedelta(days=30), stopped)
    with kit_of(tmp_path) as kit:
        partly = ask(kit, "GetInstallerHealth", **PAST)
        after = ask(kit, "GetInstallerHealth", fromDate="2026-11-16", toDate="2026-11-17")
    assert (partly["alerts"]["over"], partly["state"]) == (None, "incomplete")
    assert "Alerts of these days are known only to 2026-11-14 06:00 UTC." in partly["summary"]
    assert (after["alerts"]["over"], after["state"]) == (None, "incomplete")
    assert "Which alerts fired in these days is not known." in after["summary"]


def test_an_alert_that_was_taken_back_makes_no_day_bad(tmp_path: Path) -> None:
    then = datetime(2026, 11, 12, 9, tzinfo=UTC)
    home = page_homes.home_of(tmp_path, runs())
    ended(
        home,
        ("new_failure_pattern", "python_install", "production", then, then + timedelta(hours=1)),
        reason="not_confirmed",
    )
    with kit_of(tmp_path) as kit:
        day = ask(kit, "GetInstallerHealth", fromDate="2026-11-12", toDate="2026-11-12")
    assert (day["alerts"]["over"], day["state"]) == (0, "healthy")
    assert "1 alert of these days was not confirmed by complete data: " in day["summary"]
    assert "(python_install)" in day["summary"]
    assert "fired in these days" not in day["summary"]


@pytest.mark.parametrize(
    ("days", "began", "before", "said"),
    [
        (1, True, True, " in the 1 day before."),
        (2, True, None, "; how many in the 2 days before is not known: alerts are known from 2026-11-19 "),
        (30, True, None, "; how many in the 30 days before is not known: alerts are known from 2026-11-19 "),
    ],
)
def test_days_that_nobody_watched_had_an_unknown_number_of_alerts(
    watched: Kit, days: int, began: bool, before: bool | None, said: str
) -> None:
    answer = ask(watched, "GetAlerts", days=days, compare="previous")
    assert (answer["began"] is not None) == began
    assert (answer["previous_began"] is not None) == bool(before)
    assert said in answer["summary"]


def test_where_rules_stopped_or_never_ran_nothing_is_counted(watched: Kit, tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, runs(days=3))
    with kit_of(tmp_path) as kit:
        never: dict[str, Any] = ask(kit, "GetAlerts", compare="previous")
    with kit_of(watched.loaded.home, FixedClock(NOW + timedelta(days=10))) as kit:
        stopped = ask(kit, "GetAlerts", compare="previous", days=5)
    for answer in (never, stopped):
        assert (answer["began"], answer["previous_began"]) == (None, None)
        assert "How many alerts began in the last " in answer["summary"]
