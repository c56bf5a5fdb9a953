"""What surrounds an alert, read from a warehouse: the same counts as the rules see, nothing beyond what is complete."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import duckdb
import pytest
import sqlglot

from matokit_pipelines import resources
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.content.composing import compose
from matokit_pipelines.alerts.content.evidence import Counts, Evidence, Facts, gather
from matokit_pipelines.alerts.content.links import WIDGETS
from matokit_pipelines.alerts.evaluation import evaluate
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.event_log import WarehouseLog
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.windows import Window, start_of_day
from tests.alert_scenes import (
    COMPLETE,
    COMPONENTS,
    NEW,
    NOW,
    OLD,
    RULES,
    START,
    SYSTEMS,
    ZONE,
    announcement,
    episode,
    links,
    site,
    warehouse,
)

Row = tuple[Any, ...]
SQL = resources.path("sql") / "alerts_evidence"
MIDNIGHT = start_of_day(date(2026, 11, 20), ZONE)
SEVEN = datetime(2026, 11, 20, 6, tzinfo=UTC)  # 07:00 in Copenhagen


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = warehouse()
    yield connection
    connection.close()


def facts_of(con: duckdb.DuckDBPyConnection, told: Announcement) -> Facts:
    evidence = gather(con, told, links())
    assert evidence.unread == ()
    [facts] = evidence.facts.values()
    return facts


def firing(rule: str, subject: str | None = None, **more: Any) -> Announcement:
    return announcement("firing", rule, episodes=(episode(rule, subject, **more),))


def counted(rows: list[Row], name: Callable[[Row], object], wanted: Callable[[Row], bool]) -> dict[object, Counts]:
    """The same counts in plain Python."""
    events: Counter[object] = Counter()
    failures: Counter[object] = Counter()
    for row in rows:
        if wanted(row):
            events[name(row)] += 1
            failures[name(row)] += row[3] == "failure"
    return {key: Counts(events[key], failures[key]) for key in events}


def test_parts_are_those_of_the_window_and_of_what_it_is_held_against(con: duckdb.DuckDBPyConnection) -> None:
    facts = facts_of(con, firing("overall_success_rate"))
    rows, start = site(), COMPLETE - timedelta(hours=2)
    until = START - timedelta(hours=2)  # what is usual ends where it began
    before = until - timedelta(days=7)

    def in_window(row: Row) -> bool:
        return row[1] == "production" and start <= row[0] < COMPLETE

    def in_other(row: Row) -> bool:
        return row[1] == "production" and before <= row[0] < until

    for parts, name in (
        (facts.components, lambda row: (row[2], "")),
        (facts.systems, lambda row: (row[5], row[6])),
        (facts.os_releases, lambda row: (row[5], "")),
        (facts.architectures, lambda row: (row[6], "")),
    ):
        now, other = counted(rows, name, in_window), counted(rows, name, in_other)
        assert {(part.name, part.detail): part.now for part in parts.rows} == now
        for part in parts.rows:
            assert part.other == other.get((part.name, part.detail), Counts(0, 0))
        failures = [part.now.failures for part in parts.rows]
        assert failures == sorted(failures, reverse=True)
        assert parts.failing == sum(1 for one in failures if one)
    bad = {row[8] for row in rows if in_window(row) and row[3] == "failure"}
    assert facts.machines_failing == len(bad)
    assert facts.machines == len({row[8] for row in rows if in_window(row)})
    errors = counted(rows, lambda row: row[4] or "", lambda row: in_window(row) and row[3] == "failure")
    assert {part.name: part.now.failures for part in facts.errors.rows} == {
        key: one.failures for key, one in errors.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_evidence_counts_what_the_rules_counted(seed: int) -> None:
    """Verdicts of the real rules over random sites: windows and scopes of the evidence give their n and failures."""
    random, rows = Random(seed), []
    for step in range(5000):
        at = SEVEN - timedelta(seconds=random.random() * 12 * 86400)
        commit = NEW if at > SEVEN - timedelta(hours=5) else OLD
        bad = random.random() < (0.6 if commit == NEW else 0.05)
        release, architecture = random.choice(SYSTEMS)
        if architecture == "x86_64" and MIDNIGHT - timedelta(days=1) <= at < MIDNIGHT:
            bad = random.random() < 0.8
        outcome, environment = "failure" if bad else "success", random.choice(("production", "ci", "production"))
        component, machine = random.choice(COMPONENTS), f"m{step // 3}"
        rows.append((at, environment, component, outcome, None, release, architecture, commit, machine))
    con = warehouse(rows)
    try:
        verdicts = evaluate(WarehouseLog(con), [MIDNIGHT, SEVEN], AlertSettings(), zone=ZONE)
        seen = set()
        for verdict in verdicts:
            if verdict.state == "ok" and verdict.raw and verdict.rule not in ("slow_regression", "no_events"):
                check_one(con, verdict)
                seen.add(verdict.rule)
        assert {"overall_success_rate", "commit_regression", "arch_gap", "component_failure_rate"} <= seen
    finally:
        con.close()


def check_one(con: duckdb.DuckDBPyConnection, verdict: Verdict) -> None:
    one = Episode(
        verdict.rule, verdict.subject, "production", 1, "critical", verdict.at, NOW, verdict, verdict, verdict
    )
    facts = facts_of(con, Announcement("firing", (one,), verdict.at, verdict.at))
    assert facts.total is not None
    assert facts.total.now == Counts(int(verdict.inputs["n"] or 0), int(verdict.inputs["failures"] or 0)), verdict
    if verdict.rule in ("new_failure_pattern", "arch_gap", "commit_regression", "success_drop_7d"):
        before = Counts(int(verdict.inputs["before_n"] or 0), int(verdict.inputs["before_failures"] or 0))
        assert facts.total.other == before, verdict


@pytest.mark.parametrize("rule", RULES)
def test_nothing_after_what_is_complete_is_read(con: duckdb.DuckDBPyConnection, rule: str) -> None:
    known = gather(con, firing(rule), links())
    later = [
        (COMPLETE + timedelta(minutes=minute), environment, COMPONENTS[0], "failure", "disk", "macOS 26", "arm64",
         "bad1234", "late")
        for minute in range(0, 600, 7) for environment in ("production", "ci")
    ]  # fmt: skip
    more = warehouse(site() + later)
    try:
        assert gather(more, firing(rule), links()) == known
    finally:
        more.close()


def test_commits_first_seen_before_the_start_with_the_one_before(con: duckdb.DuckDBPyConnection) -> None:
    facts = facts_of(con, firing("new_failure_pattern"))
    [commit] = facts.commits
    assert (commit.sha, commit.previous) == (NEW, OLD)
    mine = [row for row in site() if row[7] == NEW and row[1] == "production"]
    assert commit.first_seen == min(row[0] for row in mine)
    of_component = [row for row in mine if row[2] == "python_install" and row[0] < COMPLETE]
    assert commit.now == Counts(len(of_component), sum(row[3] == "failure" for row in of_component))


def test_commits_older_than_48_hours_are_no_change() -> None:
    old = [(START - timedelta(hours=hour), "production", "x", "success", None, "macOS 15", "arm64", sha, "m")
           for hour, sha in ((49, "aaaaaaa"), (48, "bbbbbbb"), (47, "ccccccc"))]  # fmt: skip
    con = warehouse(old)
    try:
        found = facts_of(con, firing("overall_success_rate")).commits
        assert [(commit.sha, commit.previous) for commit in found] == [("ccccccc", "bbbbbbb"), ("bbbbbbb", "aaaaaaa")]
    finally:
        con.close()


def test_failures_began_after_the_last_ten_successes() -> None:
    def event(minute: int, outcome: str, commit: str) -> Row:
        at = START - timedelta(minutes=200 - minute)
        return (at, "production", "python_install", outcome, None, "macOS 15.1", "arm64", commit, f"m{minute}")

    rows = [event(minute, "success", OLD) for minute in range(12)]
    rows += [event(20, "failure", OLD)]  # after twelve successes, but ten more follow
    rows += [event(30 + minute, "success", OLD) for minute in range(10)]
    rows += [event(50, "failure", NEW), event(51, "success", NEW), event(52, "failure", NEW)]
    con = warehouse(rows)
    try:
        began = facts_of(con, firing("new_failure_pattern")).began
        assert began is not None
        assert (began.at, began.commit, began.os_release) == (rows[23][0], NEW, "macOS 15.1")
    finally:
        con.close()


def test_without_a_run_of_successes_nothing_is_said_of_the_beginning() -> None:
    rows = [(START - timedelta(minutes=m), "production", "python_install", "failure" if m % 3 else "success", None,
             "macOS 15.1", "arm64", OLD, f"m{m}") for m in range(60)]  # fmt: skip
    con = warehouse(rows)
    try:
        assert facts_of(con, firing("new_failure_pattern")).began is None
    finally:
        con.close()


def test_ci_of_the_same_component_and_of_the_commits_in_question(con: duckdb.DuckDBPyConnection) -> None:
    [ci] = facts_of(con, firing("new_failure_pattern")).ci
    mine = [row for row in site() if row[1] == "ci" and row[2] == "python_install"
            and COMPLETE - timedelta(days=7) <= row[0] < COMPLETE]  # fmt: skip
    assert ci.now == Counts(len(mine), 0)
    assert ci.commits == Counts(0, 0)


def test_timeline_has_no_gap_and_adds_up(con: duckdb.DuckDBPyConnection) -> None:
    facts = facts_of(con, firing("overall_success_rate"))
    starts = [slot.start for slot in facts.slots]
    assert starts == [starts[0] + place * facts.slot_length for place in range(len(starts))]
    assert starts[-1] < COMPLETE <= starts[-1] + facts.slot_length
    mine = [row for row in site() if row[1] == "production" and starts[0] <= row[0] < COMPLETE]
    assert sum(slot.events for slot in facts.slots) == len(mine)
    assert sum(slot.failures for slot in facts.slots) == sum(row[3] == "failure" for row in mine)
    assert len(facts.slots) <= 66


def test_a_component_alone_and_all_of_a_group(con: duckdb.DuckDBPyConnection) -> None:
    both = tuple(episode("new_failure_pattern", name) for name in COMPONENTS[:2])
    facts = facts_of(con, announcement("firing", "new_failure_pattern", episodes=both))
    assert {part.name for part in facts.components.rows} == set(COMPONENTS[:2])
    assert {one.component for one in facts.ci} == set(COMPONENTS[:2])


def test_environments_of_the_episodes_count(con: duckdb.DuckDBPyConnection) -> None:
    of_ci = replace(episode("overall_success_rate"), environment="ci")
    facts = facts_of(con, announcement("firing", "overall_success_rate", episodes=(of_ci,)))
    mine = [row for row in site() if row[1] == "ci" and COMPLETE - timedelta(hours=2) <= row[0] < COMPLETE]
    assert facts.total is not None
    assert facts.total.now == Counts(len(mine), 0)


def test_silence_tells_of_the_last_event() -> None:
    rows = [row for row in site() if row[0] < START]
    con = warehouse(rows)
    try:
        facts = facts_of(con, firing("no_events"))
        assert facts.last_event == max(row[0] for row in rows if row[1] == "production")
    finally:
        con.close()


def test_holes_and_withheld_events_are_told() -> None:
    con = warehouse()
    try:
        key = SourceKey("installers", "1")
        hole = Window(COMPLETE - timedelta(hours=3), COMPLETE - timedelta(hours=1))
        ledger.note_window(
            con, key, hole, Landed(7, 0, 0, 7, 7, 0, 0), tier="recent", zone=ZONE.key, proof="none",
            status="incomplete", detail=None, started=COMPLETE, finished=COMPLETE, dimensions="{}", expected=9,
        )  # fmt: skip
        con.execute(
            "insert into ledger.truncated_visits values ('installers', '1', 1, ?, 12, ?)", [date(2026, 11, 20), NOW]
        )
        con.execute("update ledger.sources set last_error = 'The server did not answer.'")
        evidence = gather(con, firing("overall_success_rate"), links())
        assert evidence.troubled == (("installers", Window(COMPLETE - timedelta(hours=2), hole.end)),)
        [source] = evidence.sources
        assert (source.withheld, source.error, source.complete_to) == (12, "The server did not answer.", COMPLETE)
        text = " ".join(compose(firing("overall_success_rate"), evidence, links()).text.split())
        assert "did not give all events from 02:00 CET to 03:00 CET" not in text
        assert "did not give all events from 01:00 CET to 02:00 CET" in text
        assert "withheld 12 events" in text
    finally:
        con.close()


def test_what_cannot_be_read_is_missing_and_the_alert_is_told_all_the_same() -> None:
    con = warehouse()
    try:
        con.execute("drop table staging.events_daily")
        con.execute("drop table ledger.truncated_visits")
        evidence = gather(con, firing("overall_success_rate"), links())
        assert evidence.facts == {}
        assert len(evidence.unread) == 2
        message = compose(firing("overall_success_rate"), evidence, links())
        assert message.text.startswith("Critical · overall success rate · production\n\n38 of 64 events failed (59 %)")
        assert "What surrounds it could not be read" in " ".join(message.text.split())
    finally:
        con.close()


def test_an_empty_warehouse_gives_empty_facts() -> None:
    con = warehouse([])
    try:
        for rule in RULES:
            evidence = gather(con, firing(rule), links())
            assert evidence.unread == ()
            assert all(facts.total is None for facts in evidence.facts.values())
            assert isinstance(evidence, Evidence)
            assert compose(firing(rule), evidence, links()).images == ()
    finally:
        con.close()


@pytest.mark.parametrize("file", sorted(SQL.glob("*.sql")), ids=lambda file: file.stem)
def test_queries_are_portable_and_say_their_grain(file: Any) -> None:
    query = file.read_text(encoding="utf-8")
    assert query.startswith("-- grain: ")
    [tree] = sqlglot.parse(query, read="duckdb")
    assert tree is not None
    code = re.sub(r"--.*|'[^']*'", "", query)
    assert not re.search(r"\b(SELECT|FROM|WHERE|JOIN|GROUP|ORDER|CASE|WHEN|AND|OR|AS|WITH)\b", code)
    assert "round(" not in code


def test_pages_of_the_rules_are_dashboards() -> None:
    folders = {path.name for path in (resources.path("sql") / "dashboards").iterdir() if path.is_dir()}
    assert set(WIDGETS) == set(RULES)
    assert {page for page, _ in WIDGETS.values()} <= folders
