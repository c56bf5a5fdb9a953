"""What is told of web reports: up to which day they are final, how many periods are read, unknown, still to come.

Not here: the sentences (cli/web_words.py), reading (web_pass.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver_settings import WebReportSettings
from matokit_pipelines.warehouse import web_ledger, web_planning
from matokit_pipelines.warehouse.landing import SourceKey
from matokit_pipelines.warehouse.web_due import is_due as pass_is_due
from matokit_pipelines.windows import local_date


@dataclass(frozen=True)
class WebFacts:
    """The web reports of one source. Days in the site's zone, instants in UTC; None: not yet.

    `unknown`: periods whose 0 may mean that Matomo has not counted yet; `waiting`: kept periods never asked for;
    `refused`: reports this Matomo does not give.
    """

    source: str
    site: str
    zone: str
    last_complete_day: date | None
    read_at: datetime | None
    periods: int
    unknown: int
    oldest_unknown: date | None
    waiting: int
    refused: tuple[str, ...]
    error: str | None


def is_due(
    connection: duckdb.DuckDBPyConnection, source: SourceSettings, settings: WebReportSettings, clock: Clock
) -> bool:
    """Whether a pass would ask for anything now. After a failure one is due as often as running periods are."""
    met = web_ledger.site(connection, source.name)
    if met is None or (not met.name and met.last_error_at is None):
        return True
    now = clock.now()
    if met.last_error_at and timedelta() <= now - met.last_error_at < timedelta(minutes=settings.every_minutes):
        return False
    known = web_ledger.periods(connection, SourceKey(source.name, source.site_id))
    return not met.name or pass_is_due(met, known, source, settings, now)


def web_facts(
    connection: duckdb.DuckDBPyConnection,
    sources: Iterable[SourceSettings],
    settings: WebReportSettings,
    now: datetime,
) -> list[WebFacts]:
    """The sources that provide web reports, by name; one that was never met has no zone."""
    wanted = sorted((source for source in sources if source.has_web_reports), key=lambda source: source.name)
    return [_of(connection, source, settings, now) for source in wanted]


def _of(
    connection: duckdb.DuckDBPyConnection, source: SourceSettings, settings: WebReportSettings, now: datetime
) -> WebFacts:
    met = web_ledger.site(connection, source.name)
    if met is None:
        return WebFacts(source.name, "", "", None, None, 0, 0, None, 0, (), None)
    known = web_ledger.periods(connection, SourceKey(source.name, source.site_id))
    first_day = max((day for day in (met.first_day, source.start_date) if day), default=date.min)
    spans = web_planning.kept(settings, local_date(now, ZoneInfo(met.zone)), first_day)
    unknown = [start for (_, start), entry in known.items() if entry.state == "unknown"]
    refused = connection.execute(
        "select report from ledger.web_refusals where source = ? order by report", [source.name]
    ).fetchall()
    return WebFacts(
        source.name, met.name, met.zone, web_planning.last_complete_day(known), met.read_at, len(known), len(unknown),
        min(unknown, default=None), sum(span.key not in known for span in spans), tuple(row[0] for row in refused),
        met.last_error,
    )  # fmt: skip
