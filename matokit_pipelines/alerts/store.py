"""Alerts in the SQLite store: where each stands, episodes with what was told of them, every evaluation as runs.

What a pass changes is written by `save` within one transaction of the caller, together with the messages. Not here:
the tables (state_migrations/), what is decided (evaluator.py), silences (silences.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines.alerts import shapes
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.lifecycle import GRID, Instance
from matokit_pipelines.alerts.tracing import RuleTicks, Run
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.state import instant, moment

KEPT = timedelta(days=90)
REVISION, EVALUATED_TO, LANDED_TO, TIMER, COMPLETE_TO = (
    "revision", "evaluated_to", "landed_to", "next_timer", "complete_to",
)  # fmt: skip
_THREADS, _SENT = "threads", "sent"


@dataclass(frozen=True)
class Progress:
    """How far the evaluation is; times in UTC, None: not begun.

    revision: how often it was written. evaluated_to: the newest evaluation. landed_to: when what was looked at had
    landed. next_timer: when something is due without an evaluation. complete_to: to when data were complete.
    """

    revision: int = 0
    evaluated_to: datetime | None = None
    landed_to: datetime | None = None
    next_timer: datetime | None = None
    complete_to: datetime | None = None


def progress(connection: sqlite3.Connection) -> Progress:
    """How far the evaluation is."""
    found = _values(connection)
    return Progress(
        int(found.get(REVISION, "0")), instant(found.get(EVALUATED_TO)), instant(found.get(LANDED_TO)),
        instant(found.get(TIMER)), instant(found.get(COMPLETE_TO)),
    )  # fmt: skip


def book(connection: sqlite3.Connection, *, ended_after: datetime) -> Book:
    """What is remembered; `ended_after`: episodes that ended later are known, so that they are not found again."""
    found = Book()
    for row in connection.execute("select is_provisional, body from instances order by fingerprint").fetchall():
        instance = shapes.instance_of(json.loads(row["body"]))
        (found.provisional if row["is_provisional"] else found.instances)[instance.fingerprint] = instance
    for row in connection.execute("select body from episodes where is_done = 0").fetchall():
        matter = shapes.matter_of(json.loads(row["body"]))
        found.matters[matter.key] = matter
    ended = connection.execute(
        "select fingerprint, started_at, ended_at from episodes where ended_at > ? order by started_at",
        [moment(ended_after)],
    ).fetchall()
    for row in ended:
        began, over = instant(row["started_at"]), instant(row["ended_at"])
        if began and over:
            found.ended.setdefault(row["fingerprint"], []).append((began, over))
    values = _values(connection)
    found.threads = [shapes.thread_of(entry) for entry in json.loads(values.get(_THREADS, "[]"))]
    found.sent = [(rule, shapes.time_of(at)) for rule, at in json.loads(values.get(_SENT, "[]"))]
    return found


def save(connection: sqlite3.Connection, kept: Book, done: Progress, now: datetime) -> None:
    """Write what a pass changed. Call inside a transaction."""
    for fingerprint in sorted(kept.changed_instances):
        for is_provisional, of in ((0, kept.instances), (1, kept.provisional)):
            _write_instance(connection, fingerprint, is_provisional, of, now)
    for key in sorted(kept.changed_matters):
        _write_matter(connection, kept.changed_matters[key])
    threads = [shapes.of_thread(thread) for thread in kept.threads]
    sent = [(rule, shapes.of_time(at)) for rule, at in kept.sent]
    values: dict[str, str | None] = {
        REVISION: str(done.revision + 1),
        EVALUATED_TO: moment(done.evaluated_to),
        LANDED_TO: moment(done.landed_to),
        TIMER: moment(done.next_timer),
        COMPLETE_TO: moment(done.complete_to),
        _THREADS: _text(threads),
        _SENT: _text(sent),
    }
    for name, value in values.items():
        if value is None:
            connection.execute("delete from progress where name = ?", [name])
        else:
            connection.execute(
                "insert into progress (name, value) values (?, ?) "
                "on conflict (name) do update set value = excluded.value",
                [name, value],
            )
    kept.changed_instances.clear()
    kept.changed_matters.clear()


def _write_instance(
    connection: sqlite3.Connection, fingerprint: str, is_provisional: int, of: Mapping[str, Instance], now: datetime
) -> None:
    instance = of.get(fingerprint)
    if instance is None or (instance.phase == "inactive" and not instance.episodes):
        connection.execute(
            "delete from instances where fingerprint = ? and is_provisional = ?", [fingerprint, is_provisional]
        )
        return
    connection.execute(
        "insert into instances (fingerprint, is_provisional, rule, subject, environment, state, body, updated_at) "
        "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (fingerprint, is_provisional) do update set "
        "state = excluded.state, body = excluded.body, updated_at = excluded.updated_at",
        [
            fingerprint, is_provisional, instance.rule, instance.subject, instance.environment, instance.phase,
            _text(shapes.of_instance(instance)), moment(now),
        ],
    )  # fmt: skip


def _write_matter(connection: sqlite3.Connection, matter: Matter) -> None:
    episode = matter.episode
    connection.execute(
        "insert or replace into episodes (fingerprint, number, rule, subject, environment, severity, started_at, "
        "detected_at, ended_at, end_reason, is_late, is_provisional, told_at, digest, digest_due_at, is_done, body) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            episode.fingerprint, episode.number, episode.rule, episode.subject, episode.environment, episode.severity,
            moment(episode.started_at), moment(episode.detected_at), moment(episode.ended_at), episode.end_reason,
            int(episode.is_late), int(episode.is_provisional), moment(matter.telling.told_at), matter.digest,
            moment(matter.due), int(matter.is_done), _text(shapes.of_matter(matter)),
        ],
    )  # fmt: skip


# -- evaluations ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """A run of one verdict as it is kept. `newest`: the verdict of its last evaluation, `first_inputs` the numbers of
    its first. evaluated_at: the pass that made the newest of them. ticks: how many evaluations it stands for."""

    newest: Verdict
    first_tick: datetime
    last_tick: datetime
    ticks: int
    evaluated_at: datetime
    is_provisional: bool
    rule_version: str
    first_inputs: Mapping[str, Any]


_COLUMNS = (
    "id, rule, subject, environment, first_tick, last_tick, ticks, evaluated_at, state, is_raw, is_guarded, "
    "is_provisional, rule_version, first_inputs, inputs"
)
_ONE = "rule = ? and subject = ? and environment = ? and is_provisional = ?"


def add_runs(
    connection: sqlite3.Connection,
    runs: Mapping[str, list[Run]],
    *,
    rule_version: str,
    now: datetime,
    follows: Mapping[str, RuleTicks],
    is_provisional: bool = False,
) -> None:
    """Keep verdicts; an unchanged one extends its run, one that is known already changes nothing. Call inside a
    transaction.

    `follows`: by rule, its RuleTicks, which say what evaluation comes next. An earlier evaluation that says something
    else when it is made again is kept beside what was known then, as a run with a greater id.
    """
    for fingerprint in sorted(runs):
        for run in _together(runs[fingerprint], follows):
            _add(connection, run, follows[run.verdict.rule], rule_version, now, int(is_provisional))


def _together(runs: Iterable[Run], follows: Mapping[str, RuleTicks]) -> list[Run]:
    """Neighbours that say the same as one run."""
    found: list[Run] = []
    for run in runs:
        verdict, before = run.verdict, found[-1] if found else None
        if (
            before is not None
            and (verdict.state, verdict.raw, verdict.guarded)
            == (before.verdict.state, before.verdict.raw, before.verdict.guarded)
            and follows[verdict.rule].follows(before.last, run.first)
        ):
            found[-1] = before._replace(last=run.last, newest=run.newest or verdict)
        else:
            found.append(run)
    return found


def _add(
    connection: sqlite3.Connection, run: Run, ticks: RuleTicks, rule_version: str, now: datetime, is_provisional: int
) -> None:
    verdict = run.verdict
    one = [verdict.rule, verdict.subject, verdict.environment, is_provisional]
    said = (verdict.state, int(verdict.raw), int(verdict.guarded), rule_version)
    at = moment(run.first)
    known = _covering(connection, [*one, at, at])
    if known is not None and _said(known) == said:
        if (left := run.within(ticks.next(shapes.time_of(known["last_tick"])), run.last)) is not None:
            _add(connection, left, ticks, rule_version, now, is_provisional)
        return
    before = _newest(connection, f"{_ONE} and last_tick < ?", [*one, at])
    first_inputs, inputs = _text(dict(verdict.inputs)), _text(dict((run.newest or verdict).inputs))
    last = instant(before["last_tick"]) if before is not None else None
    # a run that is older than what was known of this evaluation would be hidden by it
    is_hidden = known is not None and before is not None and before["id"] < known["id"]
    if (
        before is not None
        and last is not None
        and _said(before) == said
        and not is_hidden
        and ticks.follows(last, run.first)
    ):
        connection.execute(
            "update evaluations set last_tick = ?, ticks = ticks + ?, evaluated_at = ?, inputs = ? where id = ?",
            [moment(run.last), _count(run, ticks), moment(now), inputs, before["id"]],
        )
        return
    connection.execute(
        "insert into evaluations (rule, subject, environment, is_provisional, first_tick, last_tick, ticks, "
        "evaluated_at, state, is_raw, is_guarded, rule_version, first_inputs, inputs) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*one, moment(run.first), moment(run.last), _count(run, ticks), moment(now), *said, first_inputs, inputs],
    )


def _covering(connection: sqlite3.Connection, values: list[Any]) -> sqlite3.Row | None:
    """What is known of one evaluation: of the runs that hold it, the one made last."""
    found: sqlite3.Row | None = connection.execute(
        f"select {_COLUMNS} from evaluations where {_ONE} and first_tick <= ? and last_tick >= ? "  # noqa: S608
        "order by id desc limit 1",
        values,
    ).fetchone()
    return found


def _newest(connection: sqlite3.Connection, where: str, values: list[Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        f"select {_COLUMNS} from evaluations where {where} order by last_tick desc, id desc limit 1",  # noqa: S608
        values,
    ).fetchone()
    return found


def _said(row: sqlite3.Row) -> tuple[str, int, int, str]:
    return row["state"], row["is_raw"], row["is_guarded"], row["rule_version"]


def _count(run: Run, ticks: RuleTicks) -> int:
    if ticks.clock is None:
        return (run.last - run.first) // GRID + 1
    count, at = 1, run.first
    while (at := ticks.next(at)) <= run.last:
        count += 1
    return count


def evaluation_at(
    connection: sqlite3.Connection, rule: str, subject: str, environment: str, at: datetime
) -> Evaluation | None:
    """What a rule said of a subject at an evaluation, as it is known now; None when it is not kept."""
    rows = connection.execute(
        f"select {_COLUMNS} from evaluations where rule = ? and subject = ? and environment = ? "  # noqa: S608
        "and first_tick <= ? and last_tick >= ? order by is_provisional, id desc limit 1",
        [rule, subject, environment, moment(at), moment(at)],
    ).fetchall()
    return _evaluation(rows[0]) if rows else None


def evaluations(
    connection: sqlite3.Connection, rule: str, subject: str | None = None, *, until: datetime, most: int = 100
) -> list[Evaluation]:
    """The runs of a rule (and subject) that began by `until`, the newest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from evaluations where rule = :rule and (:subject is null or subject = :subject) "  # noqa: S608
        "and first_tick <= :until order by last_tick desc, id desc limit :most",
        {"rule": rule, "subject": subject, "until": moment(until), "most": most},
    ).fetchall()
    return [_evaluation(row) for row in rows]


def _evaluation(row: sqlite3.Row) -> Evaluation:
    first, last, made = (shapes.time_of(row[name]) for name in ("first_tick", "last_tick", "evaluated_at"))
    newest = Verdict(
        row["rule"], row["subject"], row["environment"], last, row["state"], bool(row["is_raw"]),
        bool(row["is_guarded"]), json.loads(row["inputs"]),
    )  # fmt: skip
    return Evaluation(
        newest, first, last, row["ticks"], made, bool(row["is_provisional"]), row["rule_version"],
        json.loads(row["first_inputs"]),
    )  # fmt: skip


# -- episodes ---------------------------------------------------------------------------------------------------------


def open_matters(connection: sqlite3.Connection) -> list[Matter]:
    """Alerts that fire or recover now, by start."""
    return _matters(connection, "ended_at is null", [])


def history(
    connection: sqlite3.Connection, *, since: datetime, rule: str | None = None, subject: str | None = None
) -> list[Matter]:
    """The episodes that were not over at `since`, by start."""
    where = (
        "(ended_at is null or ended_at > :since) and (:rule is null or rule = :rule) "
        "and (:subject is null or subject = :subject)"
    )
    return _matters(connection, where, {"since": moment(since), "rule": rule, "subject": subject})


def _matters(connection: sqlite3.Connection, where: str, values: Any) -> list[Matter]:
    rows = connection.execute(
        f"select body from episodes where {where} order by started_at, fingerprint, number",  # noqa: S608 - ours
        values,
    ).fetchall()
    return [shapes.matter_of(json.loads(row["body"])) for row in rows]


def tidy(connection: sqlite3.Connection, now: datetime) -> int:
    """Delete evaluations, episodes and silences that ended more than 90 days ago. Call inside a transaction. Gives how
    many rows went. Instances stay: the number of the next episode must be a new one."""
    before = moment(now - KEPT)
    gone = 0
    for statement in (
        "delete from evaluations where last_tick < ?",
        "delete from episodes where is_done = 1 and ended_at < ?",
        "delete from silences where min(ends_at, coalesce(ended_at, ends_at)) < ?",
    ):
        gone += connection.execute(statement, [before]).rowcount
    return gone


def _values(connection: sqlite3.Connection) -> dict[str, str]:
    return {row["name"]: row["value"] for row in connection.execute("select name, value from progress").fetchall()}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=shapes.plain)
