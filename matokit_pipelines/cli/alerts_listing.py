"""`alerts list` and `alerts history`: what fires, what fired, what is silent. Not here: keeping it (alerts/)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of, moment_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from matokit_pipelines.alerts.book import Matter
    from matokit_pipelines.alerts.lifecycle import Instance


MOST_BLIND = 5  # of each rule


def list_(context: typer.Context, as_json: bool = AsJson) -> None:
    """What fires, recovers or waits now, what cannot be evaluated, and the silences in force and to come."""
    from matokit_pipelines import state
    from matokit_pipelines.alerts import silences, store
    from matokit_pipelines.cli import silencing

    frame = frame_of(context)
    home = frame.home()
    now = home.clock.now()
    with state.opened(home.loaded.home) as connection:
        progress = store.progress(connection)
        alerts = open_alerts(connection, now)
        blind = not_evaluable(connection, progress.evaluated_to)
        silent = silences.every(connection, over_since=now)
    if as_json:
        frame.rows([*alerts, *blind, *(silencing.row(one, now) for one in silent)], as_json=True)
        return
    for row in alerts:
        frame.say(_line(row, now))
    if not alerts:
        frame.say("Nothing fires.")
    for sentence in _blind(blind):
        frame.say(sentence)
    for one in silent:
        frame.say(silencing.sentence(one, now))
    if progress.evaluated_to is None:
        frame.say("Nothing was evaluated yet; `matokit alerts evaluate` does, and so does every refresh.")
    else:
        frame.say(f"Evaluated up to {moment_of(progress.evaluated_to, now)}.")


def history(
    context: typer.Context,
    rule: str | None = typer.Option(None, help="Only this rule."),
    subject: str | None = typer.Option(None, help="Only this component, architecture or commit."),
    days: int = typer.Option(30, min=1, max=3_650, help="Look back so many days."),
    as_json: bool = AsJson,
) -> None:
    """The alerts of the last days, oldest first, also those that nobody was told of."""
    from matokit_pipelines import state
    from matokit_pipelines.alerts import store
    from matokit_pipelines.alerts.content.endings import still_fails
    from matokit_pipelines.cli.alerts_why import check_rule

    frame = frame_of(context)
    home = frame.home()
    now = home.clock.now()
    if rule is not None:
        check_rule(rule)
    with state.opened(home.loaded.home) as connection:
        found = store.history(connection, since=now - timedelta(days=days), rule=rule, subject=subject)
    alerts = home.loaded.settings.alerts
    rows = [_episode(matter) | {"failures_go_on": still_fails(matter.episode, alerts)} for matter in found]
    if as_json:
        frame.rows(rows, as_json=True)
        return
    for row in rows:
        frame.say(_line(row, now))
    frame.say(f"{len(rows):,} alert{'' if len(rows) == 1 else 's'} in {days:,} day{'' if days == 1 else 's'}.")


def open_alerts(connection: sqlite3.Connection, now: datetime) -> list[dict[str, Any]]:
    """Alerts that are pending, fire or recover, by start."""
    from matokit_pipelines.alerts import store

    book = store.book(connection, ended_after=now)
    instances = [one for kept in (book.instances, book.provisional) for one in kept.values() if one.phase != "inactive"]
    matters = {matter.episode.fingerprint: matter for matter in store.open_matters(connection)}
    rows = []
    for instance in instances:
        matter = matters.get(instance.fingerprint)
        row = _episode(matter) if matter else _pending(instance)
        rows.append(row | {"state": instance.phase})
    return sorted(rows, key=lambda row: (row["started_at"], row["rule"], row["subject"]))


def _pending(instance: Instance) -> dict[str, Any]:
    return {
        "kind": "alert", "state": instance.phase, "rule": instance.rule, "subject": instance.subject,
        "environment": instance.environment, "severity": None,
        "started_at": instance.start.at if instance.start else instance.at, "detected_at": None, "ended_at": None,
        "end_reason": None, "is_late": False, "is_provisional": False, "told_at": None, "waits_for": None,
        "due_at": None, "silenced_by": [], "n": None, "failures": None,
    }  # fmt: skip


def _episode(matter: Matter) -> dict[str, Any]:
    episode = matter.episode
    inputs = episode.last.inputs if episode.ended_at is None else episode.worst.inputs
    return {
        "kind": "alert", "state": "over" if episode.ended_at else "firing", "rule": episode.rule,
        "subject": episode.subject, "environment": episode.environment, "severity": episode.severity,
        "started_at": episode.started_at, "detected_at": episode.detected_at, "ended_at": episode.ended_at,
        "end_reason": episode.end_reason, "is_late": episode.is_late, "is_provisional": episode.is_provisional,
        "told_at": matter.telling.told_at, "waits_for": matter.digest, "due_at": matter.due,
        "silenced_by": list(matter.silenced_by), "n": inputs.get("n"), "failures": inputs.get("failures"),
    }  # fmt: skip


def not_evaluable(connection: sqlite3.Connection, at: datetime | None) -> list[dict[str, Any]]:
    """Rules and subjects of which the newest evaluation could not be made."""
    from matokit_pipelines.state import moment

    if at is None:
        return []
    rows = connection.execute(
        "select rule, subject, environment from evaluations as e "
        "where state = 'not_evaluable' and is_provisional = 0 and last_tick > ? "
        "and last_tick = (select max(last_tick) from evaluations where rule = e.rule and is_provisional = 0) "
        "group by rule, subject, environment order by rule, subject, environment",
        [moment(at - timedelta(days=2))],
    ).fetchall()
    return [
        {"kind": "not_evaluable", "state": "not_evaluable", "rule": row["rule"], "subject": row["subject"],
         "environment": row["environment"]}
        for row in rows
    ]  # fmt: skip


def _blind(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A few of each rule by name, as anybody can invent subjects, and how many more there are."""
    for rule, found in groupby(rows, key=lambda row: str(row["rule"])):
        subjects = list(found)
        for row in subjects[:MOST_BLIND]:
            yield f"{rule} of {_named(row)} cannot be evaluated; `matokit alerts why {rule}` says why."
        if (left := len(subjects) - MOST_BLIND) > 0:
            yield f"{rule} of {left:,} more cannot be evaluated; `matokit alerts list --json` names them."


def _line(row: dict[str, Any], now: datetime) -> str:
    """An alert in one line: what, since or from when, how far people know."""
    from matokit_pipelines.alerts.content.wording import failed, lasting

    numbers = (
        f", {failed(row['failures'], row['n'])}" if isinstance(row["n"], int) and row["failures"] is not None else ""
    )
    worst = " at the worst" if numbers and row["ended_at"] else ""
    mark = "provisional, " if row["is_provisional"] else ""
    when = f"since {moment_of(row['started_at'], now)}"
    if row["ended_at"]:
        from matokit_pipelines.alerts.why import ENDED, GOES_ON

        length = lasting(row["ended_at"] - row["started_at"])
        why = GOES_ON if row.get("failures_go_on") else ENDED.get(row["end_reason"], "over")
        when = f"{row['started_at']:%Y-%m-%d %H:%M} UTC for {length}; {why}"
    return f"{row['state']:<11}{row['rule']} of {_named(row)}: {mark}{when}{numbers}{worst}{_known(row)}."


def _known(row: dict[str, Any]) -> str:
    if row["told_at"]:
        return f"; told {row['told_at']:%Y-%m-%d %H:%M} UTC"
    if row["waits_for"] and row["due_at"]:
        return f"; waits for the {row['waits_for']} digest of {row['due_at']:%Y-%m-%d %H:%M} UTC"
    return "; silenced" if row["silenced_by"] else "; nobody was told" if row["state"] != "pending" else ""


def _named(row: dict[str, Any]) -> str:
    from matokit_pipelines.alerts.content.wording import name
    from matokit_pipelines.alerts.verdicts import ALL

    return "everything" if row["subject"] == ALL else name(row["subject"])
