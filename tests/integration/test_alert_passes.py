"""Passes over the alerts of a home: what is evaluated, what late events change, timers, and passes that are killed."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.announcements import Announcement
from matokit_pipelines.alerts.passes import is_due, run_pass
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.warehouse.refresh import Home
from tests.landed import home_at, land, series

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CALL = "email:call@example.org"


def usual(until: datetime = NOON) -> list[Any]:
    """A week of first tries, one in a hundred of which fails."""
    good = series(until - 7 * DAY, 420, timedelta(minutes=24), machine="w{}")
    bad = series(until - 7 * DAY + 7 * MINUTE, 6, timedelta(hours=28), machine="wf{}", failed=True)
    return good + bad


def outage(start: datetime, n: int = 30) -> list[Any]:
    return series(start, n, MINUTE, machine="f{}", failed=True)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a usual week and one pass, made once: to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    made = home_at(folder, FixedClock(NOON))
    land(made, usual(), complete_to=NOON)
    run_pass(made)
    return folder


@pytest.fixture
def home(begun: Path, tmp_path: Path, clock: FixedClock) -> Home:
    return copied(begun, tmp_path / "copy", clock)


def copied(begun: Path, folder: Path, clock: FixedClock) -> Home:
    shutil.copytree(begun, folder)
    return home_at(folder, clock)


def queued(home: Home) -> list[str]:
    with state.opened(home.loaded.home) as connection:
        rows = connection.execute("select message_key from outbox order by id").fetchall()
    return [row["message_key"] for row in rows]


def payloads(home: Home) -> list[Message]:
    with state.opened(home.loaded.home) as connection:
        rows = connection.execute("select payload from outbox order by id").fetchall()
    return [Message.from_json(row["payload"]) for row in rows]


def at(home: Home, clock: FixedClock, when: datetime, events: list[Any] | None = None) -> Any:
    """Land and evaluate at an instant, with data complete to it."""
    clock.advance(when - clock.now())
    land(home, events or [], complete_to=when)
    return run_pass(home)


def test_the_first_pass_evaluates_the_newest_tick_only(home: Home) -> None:
    with state.opened(home.loaded.home) as connection:
        kept = store.progress(connection)
        ticks = connection.execute("select distinct first_tick, last_tick from evaluations").fetchall()
    assert kept.evaluated_to == NOON
    assert {(row["first_tick"], row["last_tick"]) for row in ticks} == {(state.moment(NOON), state.moment(NOON))}
    assert queued(home) == []


def test_an_outage_is_told_to_each_destination_reminded_of_and_ended(home: Home, clock: FixedClock) -> None:
    report = at(home, clock, NOON + HOUR, outage(NOON + 20 * MINUTE))
    assert (report.ticks, report.open > 0, report.queued > 0) == (12, True, True)
    assert f"overall_success_rate|*|production|1|firing|{CALL}" in queued(home)
    assert "overall_success_rate|*|production|1|firing|files" in queued(home)
    at(home, clock, NOON + HOUR + 5 * MINUTE, series(NOON + HOUR, 200, timedelta(seconds=1), machine="g{}"))
    clock.advance(5 * HOUR)
    land(home, series(NOON + 2 * HOUR, 200, timedelta(seconds=60), machine="g{}"), complete_to=clock.now())
    run_pass(home)
    keys = [key for key in queued(home) if key.startswith("overall_success_rate") and key.endswith(CALL)]
    assert keys == [f"overall_success_rate|*|production|1|{kind}|{CALL}" for kind in ("firing", "resolved")]


def test_a_pass_made_again_changes_nothing(home: Home, clock: FixedClock) -> None:
    at(home, clock, NOON + HOUR, outage(NOON + 20 * MINUTE))
    before = everything(home)
    report = run_pass(home)
    assert (report.ticks, report.again, report.queued) == (0, 0, 0)
    assert everything(home) == before


def test_messages_are_composed_of_the_evidence(home: Home, clock: FixedClock) -> None:
    at(home, clock, NOON + HOUR, outage(NOON + 20 * MINUTE))
    texts = [message.text for message in payloads(home) if "overall" in message.subject.lower() or message.html]
    assert texts
    assert any("python" in text for text in texts)


def test_words_that_cannot_be_found_lose_no_alert(home: Home, clock: FixedClock) -> None:
    def broken(announcement: Announcement, destination: str) -> Message:
        raise ZeroDivisionError

    clock.advance(HOUR)
    land(home, outage(NOON + 20 * MINUTE), complete_to=clock.now())
    assert run_pass(home, compose=broken).queued > 0
    assert any("overall_success_rate" in message.text for message in payloads(home))


def test_events_that_come_late_begin_an_alert_that_says_so(home: Home, clock: FixedClock) -> None:
    at(home, clock, NOON + 30 * MINUTE)
    report = at(home, clock, NOON + 35 * MINUTE, outage(NOON - 20 * MINUTE, 30))
    assert report.again > 0
    with state.opened(home.loaded.home) as connection:
        found = {matter.episode.rule: matter.episode for matter in store.open_matters(connection)}
    overall = found["overall_success_rate"]
    assert overall.is_late
    assert overall.started_at < NOON + 30 * MINUTE < overall.detected_at


def test_a_period_that_began_and_ended_before_anybody_could_be_told_is_one_message(
    home: Home, clock: FixedClock
) -> None:
    recovered = series(NOON + 31 * MINUTE, 300, timedelta(seconds=30), machine="g{}")
    at(home, clock, NOON + 6 * HOUR, [*outage(NOON + MINUTE), *recovered])
    keys = [key for key in queued(home) if key.startswith("overall_success_rate") and key.endswith(CALL)]
    assert keys == [f"overall_success_rate|*|production|1|past|{CALL}"]


def test_late_events_beyond_the_horizon_do_nothing(home: Home, clock: FixedClock) -> None:
    report = at(home, clock, NOON + 5 * MINUTE, outage(NOON - 30 * HOUR))
    assert (report.again, queued(home)) == (0, [])


def test_late_successes_take_no_alert_back_and_its_end_says_so(home: Home, clock: FixedClock) -> None:
    at(home, clock, NOON + 25 * MINUTE, outage(NOON, 15))
    assert any("firing" in key for key in queued(home))
    at(home, clock, NOON + 30 * MINUTE, series(NOON, 300, timedelta(seconds=5), machine="g{}"))
    with state.opened(home.loaded.home) as connection:
        overall = [m for m in store.open_matters(connection) if m.episode.rule == "overall_success_rate"]
    assert [matter.episode.corrected for matter in overall] == [True]
    at(home, clock, NOON + 4 * HOUR)
    end = [key for key in queued(home) if "overall" in key and "resolved" in key]
    assert len(end) == 2


def test_evaluations_made_again_are_kept_beside_what_was_known_then(home: Home, clock: FixedClock) -> None:
    at(home, clock, NOON + 30 * MINUTE)
    at(home, clock, NOON + 35 * MINUTE, outage(NOON - 20 * MINUTE, 30))
    tick = NOON + 10 * MINUTE
    with state.opened(home.loaded.home) as connection:
        now_known = store.evaluation_at(connection, "overall_success_rate", "*", "production", tick)
        rows = connection.execute(
            "select is_raw from evaluations where rule = 'overall_success_rate' and first_tick <= ? and last_tick >= ? "
            "order by id",
            [state.moment(tick)] * 2,
        ).fetchall()
    assert now_known is not None
    assert now_known.newest.raw
    assert [row["is_raw"] for row in rows] == [0, 1]


def test_nothing_is_evaluated_while_events_wait_to_be_derived(home: Home, clock: FixedClock) -> None:
    clock.advance(HOUR)
    land(home, outage(NOON + 20 * MINUTE), complete_to=clock.now(), build=False)
    assert run_pass(home).ticks == 0
    land(home, [], complete_to=clock.now())
    assert run_pass(home).ticks == 12
    assert any("overall_success_rate" in key for key in queued(home))


def test_old_data_are_told_to_the_operators_once_a_day_and_when_they_are_new_again(
    home: Home, clock: FixedClock
) -> None:
    clock.advance(7 * HOUR)
    assert is_due(home.loaded.home, home.loaded.settings, clock.now(), NOON) is not None
    run_pass(home)
    run_pass(home)
    assert queued(home) == ["data_stale|*|production|1|firing|files"]
    clock.advance(24 * HOUR)
    run_pass(home)
    assert queued(home)[1:] == ["data_stale|*|production|1|reminder:1|files"]
    at(home, clock, clock.now() + MINUTE)
    report = at(home, clock, clock.now() + 61 * MINUTE)
    assert report.ended >= 1
    assert queued(home)[-1] == "data_stale|*|production|1|resolved|files"


def test_data_that_grow_old_again_on_the_same_day_are_not_told_again_before_the_next(
    home: Home, clock: FixedClock
) -> None:
    def stale_at(hours: float) -> list[str]:
        clock.advance(NOON + hours * HOUR - clock.now())
        run_pass(home)
        return [key.split("|")[3] + key.split("|")[4] for key in queued(home) if key.startswith("data_stale")]

    assert stale_at(7) == ["1firing"]
    at(home, clock, NOON + 8 * HOUR)
    at(home, clock, NOON + 9.5 * HOUR)
    assert stale_at(16) == ["1firing", "1resolved"]
    with state.opened(home.loaded.home) as connection:
        assert [matter.episode.number for matter in store.open_matters(connection)] == [2]
    assert stale_at(31) == ["1firing", "1resolved", "2firing"]


def test_a_silence_that_ends_is_a_timer(home: Home, clock: FixedClock) -> None:
    with state.opened(home.loaded.home) as connection:
        silences.add(
            connection, matchers={"rule": "*"}, begins_at=NOON, ends_at=NOON + 2 * HOUR, author="a", reason="b",
            now=NOON,
        )  # fmt: skip
    at(home, clock, NOON + HOUR, outage(NOON + 20 * MINUTE))
    assert queued(home) == []
    used, folder = home.loaded.settings, home.loaded.home
    assert is_due(folder, used, NOON + 119 * MINUTE, NOON + HOUR) is None
    assert is_due(folder, used, NOON + 2 * HOUR, NOON + HOUR) is not None


def test_a_silence_that_is_ended_is_due_at_once(home: Home, clock: FixedClock) -> None:
    with state.opened(home.loaded.home) as connection:
        made = silences.add(
            connection, matchers={"rule": "*"}, begins_at=NOON, ends_at=NOON + DAY, author="a", reason="b", now=NOON
        )  # fmt: skip
    at(home, clock, NOON + HOUR, outage(NOON + 20 * MINUTE))
    clock.advance(MINUTE)
    with state.opened(home.loaded.home) as connection:
        silences.end(connection, made.id, clock.now())
    assert is_due(home.loaded.home, home.loaded.settings, clock.now(), NOON + HOUR) is not None
    clock.advance(5 * MINUTE)
    land(home, [], complete_to=NOON + HOUR + 5 * MINUTE)
    run_pass(home)
    assert f"overall_success_rate|*|production|1|firing|{CALL}" in queued(home)


def test_what_is_due_is_a_sentence_and_a_home_without_data_is_not(tmp_path: Path, clock: FixedClock) -> None:
    made = home_at(tmp_path, clock)
    assert run_pass(made).ticks == 0
    assert is_due(made.loaded.home, made.loaded.settings, NOON, None) is None
    assert is_due(made.loaded.home, made.loaded.settings, NOON, NOON) == "The rules were never evaluated."


def test_data_that_are_complete_to_later_are_due(home: Home) -> None:
    used, folder = home.loaded.settings, home.loaded.home
    assert is_due(folder, used, NOON, NOON) is None
    later = NOON + 5 * MINUTE
    assert is_due(folder, used, later, later) == ("Data are complete to 12:05 UTC, and evaluated to 12:00 UTC.")


def test_switched_off_nothing_is_evaluated(tmp_path: Path, clock: FixedClock) -> None:
    made = home_at(tmp_path, clock, "[alerts]\nenabled = false\n")
    land(made, usual(), complete_to=NOON, build=False)
    assert run_pass(made).ticks == 0
    assert is_due(made.loaded.home, made.loaded.settings, NOON, NOON) is None


# -- killed passes ----------------------------------------------------------------------------------------------------

_CHILD = """
import os, signal, sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from matokit_pipelines import state
from matokit_pipelines.alerts.passes import run_pass
from matokit_pipelines.clock import FixedClock
from tests.landed import home_at

left = int(sys.argv[3])
opened = state.opened

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def watched(home):
    with opened(home) as connection:
        connection.set_trace_callback(count)
        yield connection

state.opened = watched
home = home_at(Path(sys.argv[1]), FixedClock(datetime.fromisoformat(sys.argv[2])))
print("begins", flush=True)
run_pass(home)
print("done", -left, flush=True)
"""


def everything(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """All that a pass writes; when rows were made is the same, since the clock is."""
    connection = sqlite3.connect(state.file_of(home.loaded.home))
    try:
        tables = {
            "progress": "select name, value from progress where name <> 'revision'",
            "instances": "select * from instances",
            "episodes": "select * from episodes",
            "evaluations": "select rule, subject, environment, first_tick, last_tick, ticks, state, is_raw, "
            "is_guarded, first_inputs, inputs from evaluations",
            "outbox": "select message_key, conversation, destination, severity, state, next_at from outbox",
        }
        return {name: sorted(connection.execute(query).fetchall()) for name, query in tables.items()}
    finally:
        connection.close()


def child(folder: Path, now: datetime, *, statement: int = 0, seconds: float | None = None) -> int | None:
    """A pass in a child that is killed before its n-th statement to the store, or after so many seconds.

    None when it was killed, else how many statements it made.
    """
    ran = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), now.isoformat(), str(statement)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert ran.stdout is not None
    assert ran.stdout.readline().strip() == "begins"
    if seconds is not None:
        time.sleep(seconds)
        ran.kill()
    said = ran.stdout.read().split()
    ran.wait()
    return int(said[1]) if said else None


@pytest.fixture
def homes(begun: Path, tmp_path: Path, clock: FixedClock) -> tuple[Home, Home, int]:
    """Two homes with the same to do, in the second of which it is done, and how many statements that took."""
    first = copied(begun, tmp_path / "killed", clock)
    clock.advance(HOUR)
    land(first, [*outage(NOON + 20 * MINUTE), *outage(NOON - HOUR, 3)], complete_to=clock.now())
    second = copied(tmp_path / "killed", tmp_path / "whole", clock)
    statements = child(tmp_path / "whole", clock.now())
    assert statements is not None
    return first, second, statements


def struck(homes: tuple[Home, Home, int], clock: FixedClock, statements: Iterable[int]) -> None:
    """The same comes of it, however often a pass was killed before the given statements."""
    first, second, _ = homes
    folder = first.loaded.home.parent
    was = everything(first)
    for statement in statements:
        assert child(folder, clock.now(), statement=statement) is None
        assert everything(first) == was  # wholly, or not at all
    run_pass(first)
    assert everything(first) == everything(second)
    assert queued(first)


def test_passes_that_are_killed_at_any_statement_come_to_the_same_when_made_again(
    homes: tuple[Home, Home, int], clock: FixedClock
) -> None:
    first, _, last = homes
    struck(homes, clock, [*random.Random().sample(range(2, last), 30), *range(last - 4, last + 1)])
    for number in range(20):  # what was done meanwhile stays as it is
        child(first.loaded.home.parent, clock.now(), seconds=0.05 * number)
    assert everything(first) == everything(homes[1])
