"""What is known of web reports between passes: the site, its goals, each period, reports it does not give, refusals.

Not here: the reports (web_landing.py), what is due (web_planning.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.landing import SourceKey
from matokit_pipelines.warehouse.web_planning import Known, PeriodName

_MINE = "source = $source and site_id = $site_id"


@dataclass(frozen=True)
class WebSite:
    """A site as its Matomo described it last. Instants in UTC; `first_day` in the site's zone."""

    site_id: str
    zone: str
    url: str
    name: str
    currency: str
    has_ecommerce: bool
    first_day: date | None
    read_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    refused_credentials: str | None = None
    refused_at: datetime | None = None


@dataclass(frozen=True)
class WebGoal:
    """A goal: what its visits have to match to convert is in `match_attribute`, such as "url" or "manually"."""

    goal_id: str
    name: str
    match_attribute: str


def site(connection: duckdb.DuckDBPyConnection, source: str) -> WebSite | None:
    """What is known of the source's site, None before it was met."""
    rows = connection.execute(
        "select site_id, zone, url, name, currency, has_ecommerce, first_day, read_at, last_error, last_error_at, "
        "refused_credentials, refused_at from ledger.web_sites where source = ?",
        [source],
    ).fetchall()
    if not rows:
        return None
    site_id, zone, url, name, currency, shop, first_day, read, error, error_at, refused, refused_at = rows[0]
    return WebSite(
        site_id, zone, url, name or "", currency or "", shop, first_day, _utc(read), error, _utc(error_at), refused,
        _utc(refused_at),
    )  # fmt: skip


def meet(connection: duckdb.DuckDBPyConnection, key: SourceKey, met: WebSite) -> None:
    """Keep how the site describes itself; SettingsError for another site or zone than before: rows must never mix."""
    known = site(connection, key.source)
    if known and known.name:  # refused until now where it has no name
        for what, before, now in (("site", known.site_id, met.site_id), ("time zone", known.zone, met.zone)):
            if before != now:
                raise SettingsError(
                    f"Web reports of source {key.source} were read from {what} {before} until now and would be from "
                    f"{now}; give the new one another name, or start a new home."
                )
    connection.execute("delete from ledger.web_sites where source = ?", [key.source])
    connection.execute(
        "insert into ledger.web_sites (source, site_id, zone, url, name, currency, has_ecommerce, first_day, read_at, "
        "last_error, last_error_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [key.source, met.site_id, met.zone, met.url, met.name, met.currency, met.has_ecommerce, met.first_day,
         known.read_at if known else None, known.last_error if known else None, known.last_error_at if known else None],
    )  # fmt: skip
    if known is None or (known.currency, known.has_ecommerce) != (met.currency, met.has_ecommerce):
        touch_all(connection, key)


def note_read(connection: duckdb.DuckDBPyConnection, key: SourceKey, now: datetime) -> None:
    """A pass read what was due: no error stands any more."""
    connection.execute(
        "update ledger.web_sites set read_at = $now, last_error = null, last_error_at = null, "
        f"refused_credentials = null, refused_at = null where {_MINE}",
        key.names | {"now": now},
    )


def note_error(connection: duckdb.DuckDBPyConnection, key: SourceKey, url: str, sentence: str, now: datetime) -> None:
    """Keep why a pass ended early, also of a site that was never met."""
    _make(connection, key, url)
    connection.execute(
        "update ledger.web_sites set last_error = ?, last_error_at = ? where source = ?", [sentence, now, key.source]
    )


def note_refusal(
    connection: duckdb.DuckDBPyConnection, key: SourceKey, url: str, credentials: str, now: datetime
) -> None:
    """Keep the fingerprint of refused credentials, also of a site that was never met."""
    _make(connection, key, url)
    connection.execute(
        "update ledger.web_sites set refused_credentials = ?, refused_at = ? where source = ?",
        [credentials, now, key.source],
    )


def periods(connection: duckdb.DuckDBPyConnection, key: SourceKey) -> dict[tuple[PeriodName, date], Known]:
    """Every period that was asked for."""
    rows = connection.execute(
        f"select period, period_start, state, visits, asked_at, is_proven from ledger.web_periods where {_MINE}",
        key.names,
    ).fetchall()
    return {
        (period, start): Known(state, visits, asked.astimezone(UTC), proven)
        for period, start, state, visits, asked, proven in rows
    }


def keep_goals(connection: duckdb.DuckDBPyConnection, key: SourceKey, goals: Sequence[WebGoal]) -> None:
    """Keep what the goals are called; one that is gone keeps its name. Derives goals anew where a name changed."""
    rows = connection.execute(
        f"select goal_id, name, match_attribute from ledger.web_goals where {_MINE}", key.names
    ).fetchall()
    known = {goal_id: WebGoal(goal_id, name, match) for goal_id, name, match in rows}
    changed = [goal for goal in goals if known.get(goal.goal_id) != goal]
    for goal in changed:
        given = key.names | {"goal": goal.goal_id, "name": goal.name, "match": goal.match_attribute}
        connection.execute(
            f"delete from ledger.web_goals where {_MINE} and goal_id = $goal", key.names | {"goal": goal.goal_id}
        )
        connection.execute("insert into ledger.web_goals values ($source, $site_id, $goal, $name, $match)", given)
    if any(goal.goal_id in known for goal in changed):
        touch_all(connection, key)


def keep_refusals(
    connection: duckdb.DuckDBPyConnection, key: SourceKey, refused: dict[str, str], given: set[str], now: datetime
) -> None:
    """Keep which reports (name -> Matomo's words) are not given; those that are given again are forgotten."""
    rows = connection.execute(f"select report, said from ledger.web_refusals where {_MINE}", key.names).fetchall()
    known = dict(rows)
    for report in sorted((known.keys() & given) | {name for name, said in refused.items() if known.get(name) != said}):
        connection.execute(
            f"delete from ledger.web_refusals where {_MINE} and report = $report", key.names | {"report": report}
        )
        if report in refused:
            connection.execute(
                "insert into ledger.web_refusals values ($source, $site_id, $report, $said, $now)",
                key.names | {"report": report, "said": refused[report], "now": now},
            )


def touch_all(connection: duckdb.DuckDBPyConnection, key: SourceKey) -> None:
    """Have every period of the site derived anew."""
    connection.execute(
        "insert into ledger.touched_web select source, site_id, period, period_start from ledger.web_periods "
        f"where {_MINE}",
        key.names,
    )


def is_touched(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether any period waits to be derived."""
    return bool(connection.execute("select 1 from ledger.touched_web limit 1").fetchall())


def _make(connection: duckdb.DuckDBPyConnection, key: SourceKey, url: str) -> None:
    """A row for a site of which nothing is known; it has no name."""
    if site(connection, key.source) is None:
        connection.execute(
            "insert into ledger.web_sites (source, site_id, zone, url, has_ecommerce) values (?, ?, 'UTC', ?, false)",
            [key.source, key.site_id, url],
        )


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None
