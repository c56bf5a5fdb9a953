"""`status`: is it all right? Freshness, watermarks, completeness, what is withheld or quarantined, alerts, deliveries.

Not here: making any of it, the sentences (status_words.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from matokit_pipelines.warehouse.web_facts import WebFacts

_SOURCES = """
, compared as (
    select source, count(*) as days, count(*) filter (verdict = 'differs') as differing,
           count(*) filter (verdict = 'not_archived') as unreported, count(*) filter (verdict = 'equal') as equal,
           count(*) filter (verdict = 'report_behind') as surplus
    from ledger.reconciliation group by source
)
select s.source, s.kind, s.mirror_of, s.zone, s.watermark, s.last_read_at, s.last_error,
       (select count(*) from landed e where e.source = s.source and e.vanished_at is null) as events,
       (select count(*) from raw.piwik_pro_provisional p where p.source = s.source) as provisional,
       s.real_time_note,
       (select count(*) from raw.quarantine q where q.source = s.source) as quarantined,
       (select coalesce(sum(truncated), 0)::bigint from ledger.truncated_visits t where t.source = s.source)
           as withheld,
       coalesce(c.days, 0) as compared_days, coalesce(c.differing, 0) as differing_days,
       coalesce(c.unreported, 0) as unreported_days, coalesce(c.equal, 0) as equal_days,
       coalesce(c.surplus, 0) as surplus_days,
       (select max_by(p.requests, p.finished_at) from ledger.passes p where p.source = s.source) as requests_last_pass,
       (select coalesce(sum(p.requests), 0)::bigint from ledger.passes p
        where p.source = s.source and p.finished_at > $now - interval 24 hours) as requests_last_day,
       (select coalesce(sum(p.bytes_received), 0)::bigint from ledger.passes p
        where p.source = s.source and p.finished_at > $now - interval 24 hours) as bytes_last_day,
       coalesce(s.mirror_of is null and s.watermark < (select watermark from ledger.product_watermark), false)
           as left_behind
from ledger.sources s left join compared c using (source) order by s.source
"""
_MIRRORED = """
select source, count(*) filter (verdict = 'equal') as mirror_equal_days,
       count(*) filter (verdict = 'differs') as mirror_differing_days,
       max(event_date) filter (verdict = 'differs') as mirror_last_differing_day
from marts.mirror_daily group by source
"""
_DETAIL = """
select detail from ledger.windows where source = ? and window_start = ? and window_end = ? and status = 'incomplete'
order by window_id desc limit 1
"""
SHORT_WAIT_SECONDS = 2.0


def status(context: typer.Context, as_json: bool = AsJson) -> None:
    """Up to where each source is complete, what is missing, and which snapshot is in service."""
    from dataclasses import asdict

    from matokit_pipelines.cli import drift_words, status_words, web_words
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.delivery.files import open_notices
    from matokit_pipelines.errors import NothingPublished, WarehouseLocked
    from matokit_pipelines.warehouse.refresh import Home
    from matokit_pipelines.warehouse.snapshots import open_current
    from matokit_pipelines.warehouse.web_facts import web_facts

    frame = frame_of(context)
    home = Home.of(frame.loaded(), SystemClock(), wait_seconds=SHORT_WAIT_SECONDS)
    now = home.clock.now()
    found: list[dict[str, Any]] = []
    reports: list[WebFacts] = []
    waiting = 0
    busy = ""
    try:
        with home.warehouse.reader() as connection:
            found = sources(connection, now)
            settings = home.loaded.settings
            reports = web_facts(connection, settings.sources, settings.web_reports, now)
            waiting = connection.execute("select count(distinct event_date) from ledger.touched_days").fetchall()[0][0]
    except WarehouseLocked as error:
        busy = str(error)
    try:
        with open_current(home.loaded.home) as snapshot:
            published = snapshot.manifest
            drifts = drift_words.lines(snapshot)
    except NothingPublished:
        published, drifts = None, []
    if as_json:
        frame.rows([*found, *(asdict(facts) | {"what": "web reports"} for facts in reports)], as_json=True)
        return
    for row in found:
        for line in status_words.lines(row, now, most_requests=home.loaded.settings.http.requests):
            frame.say(line)
    for facts in reports:
        for line in web_words.lines(facts, now):
            frame.say(line)
    if busy:
        frame.say(f"A pass is running: {busy}")
    elif not found and not reports:
        frame.say("No source was read yet; run `matokit extract`.")
    if waiting:
        frame.say(f"{waiting} days wait to be derived; run `matokit build`.")
    if published:
        frame.say(f"Snapshot {published.generation}, published {moment_of(published.published_at, now)}.")
    else:
        frame.say("Nothing is published yet; run `matokit build`.")
    for line in drifts:
        frame.say(line)
    for line in _told(home.loaded.home, now):
        frame.say(line)
    for line in status_words.notices(open_notices(home.loaded.home), now):
        frame.say(line)


def _told(folder: Path, now: datetime) -> Iterator[str]:
    """Alerts that fire, and messages that were given up, as far as there is anything to tell of."""
    from matokit_pipelines import state
    from matokit_pipelines.alerts import store
    from matokit_pipelines.cli import status_words
    from matokit_pipelines.cli.alerts_listing import open_alerts
    from matokit_pipelines.delivery import outbox

    if not state.file_of(folder).exists():
        return
    with state.opened(folder) as connection:
        evaluated_to = store.progress(connection).evaluated_to
        yield from status_words.alerts(open_alerts(connection, now), evaluated_to, now)
        yield from status_words.deliveries(outbox.counts(connection), outbox.listed(connection, ("dead",), 1))


def sources(connection: duckdb.DuckDBPyConnection, now: datetime) -> list[dict[str, Any]]:
    """One row a source with everything known of it; `troubled`: its windows that do not add up, oldest first."""
    from matokit_pipelines.cli.landed import has_table, rows, rows_of_landed

    mirrored = {}
    if has_table(connection, "marts", "mirror_daily"):
        mirrored = {row.pop("source"): row for row in rows(connection, _MIRRORED)}
    found = rows_of_landed(connection, _SOURCES, {"now": now})
    return [row | mirrored.get(row["source"], {}) | {"troubled": _troubled(connection, row["source"], now)}
            for row in found]  # fmt: skip


def _troubled(connection: duckdb.DuckDBPyConnection, name: str, now: datetime) -> list[dict[str, Any]]:
    """Windows whose last reading did not add up, whether they were given up, and what was wrong at last."""
    from matokit_pipelines.warehouse import ledger
    from matokit_pipelines.warehouse.piwik_pro_pass import ALL_TIERS

    given_up = set(ledger.given_up_windows(connection, name, now, ALL_TIERS))
    found = []
    for window in ledger.troubled_windows(connection, name, now):
        [(detail,)] = connection.execute(_DETAIL, [name, window.start, window.end]).fetchall()
        found.append({"start": window.start, "end": window.end, "given_up": window in given_up, "detail": detail})
    return found
