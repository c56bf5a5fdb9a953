"""Alerts in the store: what is written comes back, an evaluation added twice changes nothing, old rows go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.evaluator import Evaluator
from matokit_pipelines.alerts.lifecycle import GRID
from matokit_pipelines.alerts.tracing import RuleTicks, Run, by_fingerprint
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.errors import SettingsError

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
RULE, KEY = "slow_regression", "slow_regression|python|production"
FOLLOWS = {RULE: RuleTicks(), "data_stale": RuleTicks.of("data_stale", AlertSettings(), ZoneInfo("UTC"))}
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with state.opened(tmp_path) as opened:
        yield opened


def verdict(letter: str, tick: int, rule: str = RULE) -> Verdict:
    at = START + tick * GRID
    given: Any = "no_data" if letter == "N" else "ok"
    return Verdict(rule, "python", "production", at, given, letter in "TR", letter == "T", {"n": tick, "failures": 1})


def add(connection: sqlite3.Connection, letters: str, first: int = 0, *, cut: bool = True) -> None:
    """Evaluations, each a run of its own, or neighbours that are equal as one."""
    runs: list[Run] = []
    for tick, letter in enumerate(letters, start=first):
        found = verdict(letter, tick)
        same = runs and (runs[-1].verdict.raw, runs[-1].verdict.state) == (found.raw, found.state)
        if not cut and same and runs[-1].verdict.guarded == found.guarded:
            runs[-1] = runs[-1]._replace(last=found.at, newest=found)
        else:
            runs.append(Run(found, found.at, found.at, found))
    with state.transaction(connection):
        store.add_runs(connection, {KEY: runs}, rule_version="1", now=START + first * GRID, follows=FOLLOWS)


def kept(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "select first_tick, last_tick, ticks, state, is_raw, is_guarded, first_inputs, inputs from evaluations "
        "order by first_tick, id"
    ).fetchall()
    return [tuple(row) for row in rows]


def said(connection: sqlite3.Connection, tick: int) -> str:
    """What is known of an evaluation now."""
    found = store.evaluation_at(connection, RULE, "python", "production", START + tick * GRID)
    if found is None:
        return "-"
    return "N" if found.newest.state == "no_data" else "FRT"[found.newest.raw + found.newest.guarded]


def test_an_unchanged_verdict_extends_its_run_and_keeps_its_first_and_newest_figures(
    connection: sqlite3.Connection,
) -> None:
    add(connection, "FFF")
    add(connection, "FT", first=3)
    runs = store.evaluations(connection, RULE, until=START + HOUR)
    assert [(run.first_tick, run.ticks, run.newest.raw) for run in runs] == [
        (START + 4 * GRID, 1, True),
        (START, 4, False),
    ]
    assert (runs[1].first_inputs["n"], runs[1].newest.inputs["n"]) == (0, 3)


def test_a_hole_begins_a_new_run(connection: sqlite3.Connection) -> None:
    add(connection, "FF")
    add(connection, "FF", first=5)
    assert [row[2] for row in kept(connection)] == [2, 2]
    assert [said(connection, tick) for tick in range(7)] == list("FF---FF")


LETTERS = st.text("TRFN", min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LETTERS, st.integers(0, 39), st.integers(1, 40), st.booleans())
def test_an_evaluation_added_twice_changes_nothing(
    connection: sqlite3.Connection, letters: str, again: int, length: int, cut: bool
) -> None:
    connection.execute("delete from evaluations")
    add(connection, letters, cut=cut)
    before = kept(connection)
    assert [said(connection, tick) for tick in range(len(letters))] == list(letters)
    part = letters[again : again + length]
    add(connection, part, first=again, cut=cut)
    assert kept(connection) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LETTERS, st.integers(0, 39), LETTERS, st.text("TF", max_size=5))
def test_what_is_known_is_what_was_found_last(
    connection: sqlite3.Connection, letters: str, again: int, later: str, new: str
) -> None:
    """Evaluations made again for late events, and the ones after them."""
    connection.execute("delete from evaluations")
    again = min(again, len(letters) - 1)
    later = later[: len(letters) - again]
    add(connection, letters)
    add(connection, later, first=again)
    add(connection, new, first=len(letters))
    wanted = letters[:again] + later + letters[again + len(later) :] + new
    assert "".join(said(connection, tick) for tick in range(len(wanted))) == wanted


def test_old_data_are_one_run_however_the_passes_come(connection: sqlite3.Connection) -> None:
    for minutes in (0, 3, 9, 16, 40):
        at = START + minutes * timedelta(minutes=1)
        stale = Verdict("data_stale", "*", "production", at, "ok", True, True, {"age_hours": 7.0})
        with state.transaction(connection):
            store.add_runs(
                connection, {stale.fingerprint: [Run(stale, at, at)]}, rule_version="1", now=at, follows=FOLLOWS
            )
    assert [row[2] for row in kept(connection)] == [5]


def _course(connection: sqlite3.Connection) -> Evaluator:
    evaluator = Evaluator(AlertSettings(), zone=ZoneInfo("Europe/Copenhagen"))
    runs = [Run(verdict(letter, 10 * place), START + 10 * place * GRID, START + (10 * place + 9) * GRID)
            for place, letter in enumerate("FTFFFTT")]  # fmt: skip
    evaluator.advance(by_fingerprint(runs), until=START + 69 * GRID)
    with state.transaction(connection):
        done = store.Progress(0, evaluator.evaluated_to, START, START + HOUR, START + 2 * HOUR)
        store.save(connection, evaluator.book, done, START)
    return evaluator


def test_a_book_comes_back_as_it_was(connection: sqlite3.Connection) -> None:
    evaluator = _course(connection)
    again = store.book(connection, ended_after=START - HOUR)
    assert again.instances == evaluator.book.instances
    assert again.matters == evaluator.book.matters
    assert (again.threads, again.sent) == (evaluator.book.threads, evaluator.book.sent)
    assert again.ended == evaluator.book.ended
    assert store.progress(connection) == store.Progress(1, START + 69 * GRID, START, START + HOUR, START + 2 * HOUR)


def test_open_alerts_and_history(connection: sqlite3.Connection) -> None:
    _course(connection)
    [open_now] = store.open_matters(connection)
    assert (open_now.episode.number, open_now.episode.started_at) == (2, START + 50 * GRID)
    past = store.history(connection, since=START)
    assert [(matter.episode.number, matter.episode.end_reason) for matter in past] == [(1, "recovered"), (2, None)]
    assert store.history(connection, since=START, rule="arch_gap") == []
    assert len(store.history(connection, since=START + 60 * GRID, subject="python")) == 1


def test_what_is_older_than_90_days_goes_and_numbers_go_on(connection: sqlite3.Connection) -> None:
    _course(connection)
    add(connection, "FF")
    later = START + timedelta(days=91)
    with state.transaction(connection):
        assert store.tidy(connection, START + timedelta(days=89)) == 0
        assert store.tidy(connection, later) == 2  # the run, and the first episode; the second is still open
    assert [matter.episode.number for matter in store.history(connection, since=START)] == [2]
    assert store.book(connection, ended_after=START).instances[KEY].episodes == 2


def test_silences_are_kept_ended_early_and_listed(connection: sqlite3.Connection) -> None:
    made = silences.add(
        connection, matchers={"component": "py*", "rule": "*"}, begins_at=START, ends_at=START + HOUR, author=" A ",
        reason="works", now=START,
    )  # fmt: skip
    assert (made.author, made.until, dict(made.matchers)) == ("A", START + HOUR, {"component": "py*", "rule": "*"})
    assert made.fits("slow_regression", "python")
    assert not made.fits("overall_success_rate", "*")
    assert not made.fits("success_drop_7d", "*")
    ended = silences.end(connection, made.id, START + HOUR / 2)
    assert ended.until == START + HOUR / 2
    assert not ended.is_active(START + HOUR / 2)
    assert silences.end(connection, made.id, START + HOUR) == ended
    assert silences.every(connection) == [ended]
    assert silences.every(connection, over_since=START + HOUR / 2) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matchers": {}}, "nothing is no such thing"),
        ({"matchers": {"colour": "red"}}, "colour is no such thing"),
        ({"ends_at": START}, "ends after it begins"),
        ({"now": START + 2 * HOUR}, "in the future"),
        ({"author": " "}, "names its author"),
        ({"reason": ""}, "names its author and its reason"),
    ],
)
def test_a_silence_that_means_nothing_is_a_sentence(
    connection: sqlite3.Connection, change: dict[str, Any], words: str
) -> None:
    fine = {
        "matchers": {"rule": "*"}, "begins_at": START, "ends_at": START + HOUR, "author": "a", "reason": "b",
        "now": START,
    }  # fmt: skip
    with pytest.raises(SettingsError, match=words):
        silences.add(connection, **(fine | change))  # type: ignore[arg-type]


def test_a_silence_nobody_knows_is_a_sentence(connection: sqlite3.Connection) -> None:
    with pytest.raises(SettingsError, match="no silence 7"):
        silences.end(connection, 7, START)
