"""What `alerts why` says of what became of an alert: told, waiting, silenced, inhibited, pending, over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.lifecycle import Telling
from matokit_pipelines.alerts.tracing import RuleTicks, Run
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.alerts.why import Kept, aftermath, how_known, in_force, kept_at
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.messages import Message

ZONE = ZoneInfo("Europe/Copenhagen")
START = datetime(2026, 11, 20, 8, 40, tzinfo=UTC)  # 09:40 in Copenhagen, a Friday
NOW = START + timedelta(hours=3)
MINUTE = timedelta(minutes=1)
RULE, SUBJECT = "new_failure_pattern", "latex_install"
SLACK = "slack:#alerts"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with state.opened(tmp_path) as found:
        yield found


def verdict(at: datetime = START, *, raw: bool = True, guarded: bool = True, rule: str = RULE) -> Verdict:
    return Verdict(rule, SUBJECT, "production", at, "ok", raw, guarded, {"n": 9, "failures": 5})


def episode(**more: Any) -> Episode:
    rule = more.pop("rule", RULE)
    first = verdict(rule=rule)
    return Episode(rule, SUBJECT, "production", 1, "critical", START, START, first, first, first, **more)


def remember(connection: sqlite3.Connection, matter: Matter) -> None:
    """Keep an episode and what was told of it."""
    book = Book()
    book.keep(matter)
    with state.transaction(connection):
        store.save(connection, book, store.Progress(), NOW)


def put(connection: sqlite3.Connection, kind: str, conversation: str, destination: str = SLACK) -> None:
    """A message on its way."""
    with state.transaction(connection):
        outbox.enqueue(
            connection, message_key=f"{RULE}|{SUBJECT}|production|1|{kind}|{destination}", conversation=conversation,
            destination=destination, severity="critical", message=Message("s", "t"), due=NOW, now=NOW,
        )  # fmt: skip


def said(connection: sqlite3.Connection, found: Verdict, *, is_stored: bool = True) -> list[str]:
    run = None
    if is_stored:
        run = store.Evaluation(found, found.at, found.at, 1, found.at, False, "1", {})
    return aftermath(connection, Kept(found, run, exact=True), AlertSettings(), ZONE, NOW)


def test_an_alert_that_was_told_names_its_messages(connection: sqlite3.Connection) -> None:
    own = f"{RULE}|{SUBJECT}|production|1|{SLACK}"
    telling = Telling(START + 6 * MINUTE, START + 6 * MINUTE)
    remember(connection, Matter(episode(), telling, {SLACK: own}))
    put(connection, "firing", own)
    put(connection, "reminder:1", own, SLACK)
    connection.execute(
        "update outbox set state = 'sent', sent_at = ? where message_key like '%firing%'", [state.moment(NOW)]
    )
    assert said(connection, verdict()) == [
        "It fires since 09:40 CET.",
        "It was told 09:46 CET.",
        "  slack:#alerts: firing sent 12:40 CET.",
        "  slack:#alerts: reminder:1 due 12:40 CET.",
    ]
    connection.execute(
        "update outbox set state = 'dead', error = 'no such channel' where message_key like '%reminder%'"
    )
    number = connection.execute("select id from outbox where state = 'dead'").fetchone()["id"]
    assert said(connection, verdict())[-1] == (
        f"  slack:#alerts: reminder:1 given up (no such channel); `matokit outbox retry {number}` tries again."
    )


def test_an_alert_that_recovers_or_is_over_says_so(connection: sqlite3.Connection) -> None:
    remember(connection, Matter(episode(), Telling(START), {}))
    clear = verdict(START + 60 * MINUTE, raw=False, guarded=False)
    assert said(connection, clear)[:2] == [
        "It fires since 09:40 CET.",
        "It is recovering: over when the trigger was not met for 60 minutes.",
    ]
    over = episode(ended_at=START + 120 * MINUTE, end_reason="no_longer_measurable")
    remember(connection, Matter(over, Telling(START), {}, is_done=True))
    assert said(connection, verdict())[0] == "It fired from 09:40 CET to 11:40 CET; it could no longer be measured."
    new = replace(verdict(), inputs={"n": 44, "failures": 14, "before_n": 31, "before_failures": 2})
    bad = replace(episode(ended_at=START + 120 * MINUTE, end_reason="recovered"), last=replace(new, raw=False))
    remember(connection, Matter(bad, Telling(START), {}, is_done=True))
    assert said(connection, verdict())[0].endswith("its condition ended, failures go on (no longer new, as the day "
                                                   "before is no longer above 95 %).")  # fmt: skip
    later = verdict(START + 170 * MINUTE, raw=False, guarded=False)
    assert said(connection, later) == ["It last fired until 11:40 CET."]


def test_an_alert_that_waits_for_a_digest_says_when_it_comes(connection: sqlite3.Connection) -> None:
    monday = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
    remember(connection, Matter(episode(), digest="warnings", due=monday))
    assert said(connection, verdict()) == [
        "It fires since 09:40 CET.",
        "It waits for the digest of warnings, due Mon 23 Nov 08:30 CET.",
    ]
    remember(connection, Matter(episode(is_late=True), digest="health", due=monday))
    assert said(connection, verdict())[0] == "It fires since 09:40 CET, found 09:40 CET in data that came late."


def test_an_alert_that_is_inhibited_names_the_thread(connection: sqlite3.Connection) -> None:
    thread = f"overall_success_rate|*|production|3|{SLACK}"
    remember(connection, Matter(episode(), Telling(START), {SLACK: thread}))
    put(connection, "joined", thread)
    assert said(connection, verdict())[2:] == [
        "  slack:#alerts: inhibited: a line in the thread of overall_success_rate.",
        "  slack:#alerts: joined due 12:40 CET.",
    ]
    grouped = f"{RULE}|other_component|production|2|{SLACK}"
    remember(connection, Matter(episode(), Telling(START), {SLACK: grouped}))
    assert f"  slack:#alerts: a line in the thread of {RULE} of other_component." in said(connection, verdict())


def test_a_silence_is_named(connection: sqlite3.Connection) -> None:
    made = silences.add(
        connection, matchers={"component": "latex*"}, begins_at=START - 5 * MINUTE, ends_at=NOW + 60 * MINUTE,
        author="ops", reason="mirror is moving", now=NOW,
    )  # fmt: skip
    remember(connection, Matter(episode(), Telling(is_withheld=True), silenced_by=(made.id,)))
    assert said(connection, verdict()) == [
        f"Silence {made.id} by ops (mirror is moving) withheld messages of it, until Fri 20 Nov 2026 13:40 CET.",
        "It fires since 09:40 CET.",
        "Nobody was told: a silence withheld it.",
    ]


def test_what_nobody_follows_up_is_said(connection: sqlite3.Connection) -> None:
    assert said(connection, verdict(), is_stored=False) == ["No pass evaluated this time, so nothing came of it."]
    assert said(connection, verdict()) == ["No pass has followed it up yet."]
    assert said(connection, verdict(raw=False, guarded=False)) == []
    settings = AlertSettings.model_validate({"rules": {RULE: {"for": 15}}})
    kept = Kept(verdict(), store.Evaluation(verdict(), START, START, 1, START, False, "1", {}), exact=True)
    assert aftermath(connection, kept, settings, ZONE, NOW) == [
        "It has to hold for 15 minutes before it fires (`for`)."
    ]


def test_the_stored_run_that_a_time_lies_in_is_found(connection: sqlite3.Connection) -> None:
    ticks = RuleTicks.of(RULE, AlertSettings(), ZONE)
    later = replace(verdict(START + 20 * MINUTE, raw=False, guarded=False), inputs={"n": 3, "failures": 0})
    runs = [
        Run(verdict(START), START, START),
        Run(verdict(START + 5 * MINUTE), START + 5 * MINUTE, START + 5 * MINUTE),
        Run(replace(verdict(START + 10 * MINUTE), inputs={"n": 12, "failures": 8}), *[START + 10 * MINUTE] * 2),
        Run(later, later.at, later.at),
    ]
    with state.transaction(connection):
        for run in runs:
            store.add_runs(
                connection, {run.verdict.fingerprint: [run]}, rule_version="1", now=NOW, follows={RULE: ticks}
            )
    [first] = kept_at(connection, RULE, SUBJECT, START, ticks)
    assert (first.exact, first.verdict.inputs["n"], first.run and first.run.ticks) == (True, 9, 3)
    [middle] = kept_at(connection, RULE, None, START + 7 * MINUTE, ticks)
    assert (middle.exact, middle.verdict.inputs["n"]) == (False, 12)
    assert "3 evaluations; the numbers are those of the last" in how_known(middle, ZONE)
    [last] = kept_at(connection, RULE, SUBJECT, START + 22 * MINUTE, ticks)
    assert (last.exact, last.verdict.raw) == (True, False)
    assert how_known(last, ZONE).startswith("Evaluated Fri 20 Nov 2026 12:40 CET")
    assert kept_at(connection, RULE, SUBJECT, START + 17 * MINUTE, ticks) == []  # that evaluation said nothing of it
    assert kept_at(connection, RULE, "other", START, ticks) == []
    assert kept_at(connection, RULE, SUBJECT, START - MINUTE, ticks) == []


def test_what_cannot_be_evaluated_now_is_listed(connection: sqlite3.Connection) -> None:
    from matokit_pipelines.cli.alerts_listing import not_evaluable

    follows = {name: RuleTicks.of(name, AlertSettings(), ZONE) for name in ("commit_regression", "arch_gap")}

    def kept(rule: str, subject: str, at: datetime, found: Any) -> None:
        verdict = Verdict(rule, subject, "production", at, found)
        with state.transaction(connection):
            store.add_runs(
                connection, {verdict.fingerprint: [Run(verdict, at, at)]}, rule_version="1", now=NOW, follows=follows
            )

    kept("commit_regression", "aaaaaaa", START, "not_evaluable")
    kept("commit_regression", "bbbbbbb", START, "ok")
    kept("arch_gap", "*", START - timedelta(hours=9), "not_evaluable")
    store_at = START + 2 * MINUTE
    assert [(row["rule"], row["subject"]) for row in not_evaluable(connection, store_at)] == [
        ("arch_gap", "*"), ("commit_regression", "aaaaaaa"),
    ]  # fmt: skip
    kept("commit_regression", "ccccccc", START + 5 * MINUTE, "ok")  # by now the first is not watched any more
    assert [row["rule"] for row in not_evaluable(connection, store_at)] == ["arch_gap"]
    assert not_evaluable(connection, START + timedelta(days=3)) == []
    assert not_evaluable(connection, None) == []


def test_a_flood_of_names_that_cannot_be_evaluated_is_cut_and_counted() -> None:
    from matokit_pipelines.cli.alerts_listing import MOST_BLIND, _blind

    def row(rule: str, subject: str) -> dict[str, Any]:
        return {"rule": rule, "subject": subject}

    told = list(_blind([row("arch_gap", "*"), *(row("slow_regression", f"c{number}") for number in range(2_000))]))
    assert len(told) == 1 + MOST_BLIND + 1
    assert told[0].startswith("arch_gap of everything cannot be evaluated")
    assert told[-1] == "slow_regression of 1,995 more cannot be evaluated; `matokit alerts list --json` names them."


def test_a_rule_that_runs_once_a_day_answers_until_its_next_run() -> None:
    daily = RuleTicks.of("component_failure_rate", AlertSettings(), ZONE)
    assert in_force(datetime(2026, 10, 25, 5, 59, tzinfo=UTC), daily) == datetime(2026, 10, 24, 5, tzinfo=UTC)
    assert in_force(datetime(2026, 10, 25, 6, tzinfo=UTC), daily) == datetime(
        2026, 10, 25, 6, tzinfo=UTC
    )  # clocks changed
    usual = RuleTicks.of(RULE, AlertSettings(), ZONE)
    assert in_force(START + 4 * MINUTE, usual) == START
