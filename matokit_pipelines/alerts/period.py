"""The alerts of a period, for reports: what fired, recovered, still fired at its end, was silenced or held back.

Read from what every pass keeps. Evaluations and episodes are kept for ninety days, so of an older period nothing is
known any more, which is None and never 0. Not here: the page that shows it (reports/), why one alert fired (why.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.endings import still_fails
from matokit_pipelines.alerts.content.wording import RULE_NAMES, name, whole
from matokit_pipelines.alerts.lifecycle import GRID
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.settings import Loaded
from matokit_pipelines.state import instant, moment

MOST_NAMED = 10
FOR_OPERATORS = "data_stale"
Known = Literal["all", "part", "nothing"]
Standing = Literal["firing", "recovered", "failures_go_on", "no_longer_measurable", "not_confirmed"]
_GRAVE = {"critical": 0, "warning": 1}


@dataclass(frozen=True)
class PeriodAlert:
    """One episode that touches the period, as it stood at the period's end.

    `subject`: None for a rule over everything. `fired`: whether it started within the period. `failures` of `events`:
    what the rule counted at the worst; None for a rule that counts none.
    """

    rule: str
    name: str
    subject: str | None
    environment: str
    severity: str
    started_at: datetime
    ended_at: datetime | None
    fired: bool
    standing: Standing
    failures: int | None
    events: int | None
    is_silenced: bool


@dataclass(frozen=True)
class HeldBack:
    """A rule and subject whose printed condition was met while its guard was not, and that never fired then.

    `first_at`, `last_at`: the evaluations between which that was so, within the period; the counts are those of the
    last.
    """

    rule: str
    name: str
    subject: str | None
    environment: str
    first_at: datetime
    last_at: datetime
    failures: int | None
    events: int | None


@dataclass(frozen=True)
class AlertsOfPeriod:
    """Counts of `[start, end)` and the gravest ones by name; all counts None where nothing is known any more.

    `known_from` to `evaluated_to`: what is known of at all; `known`: how much of the period that covers. Started in the
    period: `fired`; ended in it: `recovered`, and `ended_otherwise` (failures went on, no events any more, not
    confirmed); not ended at its end: `still_firing`. `silenced`: of those that touch it, how many had a message held
    back. `more_…`: how many are not named. `installers_firing`: those of `still_firing` that are of installers in
    production; all other counts are of every environment, and of what concerns operators.
    """

    known: Known
    known_from: datetime | None
    evaluated_to: datetime | None
    fired: int | None = None
    recovered: int | None = None
    ended_otherwise: int | None = None
    still_firing: int | None = None
    silenced: int | None = None
    held_back: int | None = None
    alerts: tuple[PeriodAlert, ...] = ()
    more_alerts: int = 0
    held_back_named: tuple[HeldBack, ...] = ()
    more_held_back: int = 0
    installers_firing: int | None = None


def alerts_of(
    connection: sqlite3.Connection, start: datetime, end: datetime, now: datetime, settings: AlertSettings | None = None
) -> AlertsOfPeriod:
    """The alerts of `[start, end)`, UTC, as known at `now`. `settings`: the thresholds that say what counts as well."""
    known, known_from, evaluated_to = known_part(connection, start, end, now)
    if known == "nothing":
        return AlertsOfPeriod(known, known_from, evaluated_to)
    touching = store.history(connection, since=start - timedelta(microseconds=1))
    matters = [matter for matter in touching if matter.episode.started_at < end]
    alerts = [_alert(matter, start, end, settings or AlertSettings()) for matter in matters]
    held = _held_back(connection, start, end)
    alerts.sort(key=_gravest)
    ended = [alert for alert in alerts if alert.standing != "firing"]
    recovered = sum(alert.standing == "recovered" for alert in ended)
    return AlertsOfPeriod(
        known=known,
        known_from=known_from,
        evaluated_to=evaluated_to,
        fired=sum(alert.fired for alert in alerts),
        recovered=recovered,
        ended_otherwise=len(ended) - recovered,
        still_firing=len(alerts) - len(ended),
        silenced=sum(alert.is_silenced for alert in alerts),
        held_back=len(held),
        alerts=tuple(alerts[:MOST_NAMED]),
        more_alerts=max(0, len(alerts) - MOST_NAMED),
        held_back_named=tuple(held[:MOST_NAMED]),
        more_held_back=max(0, len(held) - MOST_NAMED),
        installers_firing=sum(alert.standing == "firing" for alert in named(alerts)),
    )


def alerts_of_home(loaded: Loaded, start: datetime, end: datetime, now: datetime) -> AlertsOfPeriod | None:
    """The same of a home; None where alerts are off or nothing was ever evaluated. StateError for a broken store."""
    settings = loaded.settings.alerts
    if not settings.enabled or not state.file_of(loaded.home).is_file():
        return None
    with state.opened(loaded.home) as connection:
        if store.progress(connection).evaluated_to is None:
            return None
        return alerts_of(connection, start, end, now, settings)


def known_from(connection: sqlite3.Connection, now: datetime) -> datetime | None:
    """From when anything is known of alerts, UTC: from the first evaluation, and not for longer than they are kept."""
    first = instant(connection.execute("select min(first_tick) as first from evaluations").fetchone()["first"])
    return None if first is None else max(first, now - store.KEPT)


def known_part(
    connection: sqlite3.Connection, start: datetime, end: datetime, now: datetime
) -> tuple[Known, datetime | None, datetime | None]:
    """How much of `[start, end)`, UTC, is known of alerts, from when and to when anything is."""
    to, since = store.progress(connection).evaluated_to, known_from(connection, now)
    if since is None or to is None:
        return "nothing", None, to
    if since >= end or to < start:
        return "nothing", since, to
    return ("all" if since <= start and to >= end - GRID else "part"), since, to


def _alert(matter: Matter, start: datetime, end: datetime, settings: AlertSettings) -> PeriodAlert:
    episode = matter.episode
    is_over = episode.ended_at is not None and episode.ended_at < end
    return PeriodAlert(
        **_about(episode.rule, episode.subject),
        environment=episode.environment,
        severity=episode.severity,
        started_at=episode.started_at,
        ended_at=episode.ended_at if is_over else None,
        fired=episode.started_at >= start,
        standing=_standing(episode, settings) if is_over else "firing",
        **_counts(episode.worst.inputs),
        is_silenced=bool(matter.silenced_by),
    )


def _standing(episode: Episode, settings: AlertSettings) -> Standing:
    if episode.end_reason is None or episode.end_reason == "recovered":
        return "failures_go_on" if still_fails(episode, settings) else "recovered"
    return episode.end_reason


def _gravest(alert: PeriodAlert) -> tuple[bool, int, bool, int, datetime, str, str, str]:
    """Those of installers in production first, then by severity, still firing, failures and start; a total order."""
    return (
        not named((alert,)),
        _GRAVE.get(alert.severity, 2), alert.standing != "firing", -(alert.failures or 0), alert.started_at, alert.rule,
        alert.subject or "", alert.environment,
    )  # fmt: skip


# Of the runs that say something of an evaluation, the one made last holds.
_HELD_BACK = """
select run.rule, run.subject, run.environment, run.first_tick, run.last_tick, run.inputs
from evaluations as run
where run.is_raw = 1 and run.is_guarded = 0 and run.is_provisional = 0 and run.state = 'ok'
  and run.last_tick >= :start and run.first_tick < :end
  and not exists (
      select 1 from evaluations as later
      where later.rule = run.rule and later.subject = run.subject and later.environment = run.environment
        and later.is_provisional = 0 and later.id > run.id
        and later.first_tick <= run.first_tick and later.last_tick >= run.last_tick)
  and not exists (
      select 1 from episodes as episode
      where episode.rule = run.rule and episode.subject = run.subject and episode.environment = run.environment
        and episode.started_at < :end and (episode.ended_at is null or episode.ended_at >= :start))
order by run.last_tick, run.id
"""


def _held_back(connection: sqlite3.Connection, start: datetime, end: datetime) -> list[HeldBack]:
    """One entry a rule and subject, most failures first."""
    found: dict[tuple[str, str, str], HeldBack] = {}
    for row in connection.execute(_HELD_BACK, {"start": moment(start), "end": moment(end)}):
        one = (row["rule"], row["subject"], row["environment"])
        first, last = (instant(row[edge]) or start for edge in ("first_tick", "last_tick"))
        found[one] = HeldBack(
            **_about(row["rule"], row["subject"]),
            environment=row["environment"],
            first_at=min(found[one].first_at if one in found else end, max(first, start)),
            last_at=min(last, end),
            **_counts(json.loads(row["inputs"])),
        )
    return sorted(found.values(), key=lambda one: (-(one.failures or 0), one.rule, one.subject or "", one.environment))


def _about(rule: str, subject: str) -> dict[str, Any]:
    shown = None if subject == ALL else name(subject)
    return {"rule": rule, "name": RULE_NAMES.get(rule, rule), "subject": shown}


def _counts(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"failures": whole(inputs, "failures"), "events": whole(inputs, "n")}


def named(alerts: Sequence[PeriodAlert]) -> tuple[PeriodAlert, ...]:
    """Those that say something of installers in production: not confirmed ones and those for operators do not."""
    return tuple(
        alert
        for alert in alerts
        if alert.environment == "production" and alert.rule != FOR_OPERATORS and alert.standing != "not_confirmed"
    )
