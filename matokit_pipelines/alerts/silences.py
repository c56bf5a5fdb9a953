"""Silences: for whom, from when to when, by whom and why an alert is not told. Evaluation goes on all the same.

A silence holds for what is told between its two ends on the clock on the wall, and for what happened between them:
data are complete only hours later, and a maintenance must not be told of then. Not here: what is held back
(announcing.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from matokit_pipelines import state
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.errors import SettingsError, StateError

BY_COMPONENT = (
    "new_failure_pattern", "component_failure_rate", "new_component_failure", "success_drop_7d", "slow_regression",
)  # fmt: skip
BY_COMMIT = ("commit_regression",)
KEYS = ("rule", "subject", "component", "commit")
_COLUMNS = "id, matchers, begins_at, ends_at, author, reason, created_at, ended_at"


@dataclass(frozen=True)
class Silence:
    """One silence, `[begins_at, ends_at)`, UTC. matchers: `rule`, `subject`, `component`, `commit` -> a pattern with
    `*` and `?`; all of them must fit, none fits everything. ended_at: when somebody ended it early."""

    id: int
    matchers: Mapping[str, str]
    begins_at: datetime
    ends_at: datetime
    author: str
    reason: str
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def until(self) -> datetime:
        """When it is over."""
        return self.ends_at if self.ended_at is None else min(self.ends_at, self.ended_at)

    def is_active(self, at: datetime) -> bool:
        return self.begins_at <= at < self.until

    def fits(self, rule: str, subject: str) -> bool:
        """Whether it is about this rule and subject."""
        subjects = {
            "rule": rule,
            "subject": subject,
            "component": subject if rule in BY_COMPONENT and subject != ALL else None,
            "commit": subject if rule in BY_COMMIT else None,
        }
        found = ((subjects[key], pattern) for key, pattern in self.matchers.items())
        return all(value is not None and fnmatchcase(value, pattern) for value, pattern in found)

    def covers(self, episode: Episode) -> bool:
        """Whether the whole episode happened while it was active."""
        ended = episode.ended_at
        return ended is not None and self.begins_at <= episode.started_at and ended <= self.until


def silencing(
    silences: Iterable[Silence], episode: Episode, *, now: datetime, complete_to: datetime
) -> tuple[Silence, ...]:
    """The silences that hold an episode back: active now, or at the newest evaluation, or all through the episode."""
    return tuple(
        silence
        for silence in silences
        if silence.fits(episode.rule, episode.subject)
        and (silence.is_active(now) or silence.is_active(complete_to) or silence.covers(episode))
    )


def add(
    connection: sqlite3.Connection,
    *,
    matchers: Mapping[str, str],
    begins_at: datetime,
    ends_at: datetime,
    author: str,
    reason: str,
    now: datetime,
) -> Silence:
    """Keep a silence. SettingsError for one that could never hold anything back, or is about nothing."""
    if not matchers or (unknown := set(matchers) - set(KEYS)):
        said = f"{', '.join(sorted(unknown))} is" if matchers else "nothing is"
        raise SettingsError(f"A silence is about {', '.join(KEYS[:-1])} or {KEYS[-1]}; {said} no such thing.")
    if ends_at <= begins_at or ends_at <= now:
        raise SettingsError("A silence ends after it begins, and in the future; give a later end.")
    if not author.strip() or not reason.strip():
        raise SettingsError("A silence names its author and its reason.")
    with state.transaction(connection):
        cursor = connection.execute(
            "insert into silences (matchers, begins_at, ends_at, author, reason, created_at) values (?, ?, ?, ?, ?, ?)",
            [
                json.dumps(dict(sorted(matchers.items())), ensure_ascii=False), state.moment(begins_at),
                state.moment(ends_at), author.strip(), reason.strip(), state.moment(now),
            ],
        )  # fmt: skip
        ask_again(connection, now)
    return _only(connection, int(cursor.lastrowid or 0))


def end(connection: sqlite3.Connection, number: int, now: datetime) -> Silence:
    """End a silence now; what still fires is told by the next evaluation. One that is over stays as it was."""
    silence = _only(connection, number)
    if silence.until > now:
        with state.transaction(connection):
            connection.execute("update silences set ended_at = ? where id = ?", [state.moment(now), number])
            ask_again(connection, now)
    return _only(connection, number)


def ask_again(connection: sqlite3.Connection, now: datetime) -> None:
    """Have what is due looked at anew, at once: the timer of the last evaluation knew nothing of this."""
    connection.execute(
        "insert into progress (name, value) values ('next_timer', ?) "
        "on conflict (name) do update set value = min(value, excluded.value)",
        [state.moment(now)],
    )


def every(connection: sqlite3.Connection, *, over_since: datetime | None = None) -> list[Silence]:
    """The silences, oldest first; with `over_since` without those that were over by then."""
    rows = connection.execute(f"select {_COLUMNS} from silences order by id").fetchall()  # noqa: S608
    found = [_silence(row) for row in rows]
    return found if over_since is None else [silence for silence in found if silence.until > over_since]


def _only(connection: sqlite3.Connection, number: int) -> Silence:
    row = connection.execute(f"select {_COLUMNS} from silences where id = ?", [number]).fetchone()  # noqa: S608
    if row is None:
        raise SettingsError(f"There is no silence {number}; `matokit alerts list` shows those there are.")
    return _silence(row)


def _silence(row: sqlite3.Row) -> Silence:
    begins, ends, created = (state.instant(row[name]) for name in ("begins_at", "ends_at", "created_at"))
    if begins is None or ends is None or created is None:
        raise StateError(f"Silence {row['id']} in {state.FILE} has no time; end it with `matokit alerts unsilence`.")
    return Silence(
        row["id"], json.loads(row["matchers"]), begins, ends, row["author"], row["reason"], created,
        state.instant(row["ended_at"]),
    )  # fmt: skip
