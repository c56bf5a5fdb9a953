"""`status`: is it all right? Freshness, watermarks, completeness, what is withheld or quarantined.

Not here: making any of it.
"""

from __future__ import annotations

from typing import Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of

_SOURCES = """
with compared as (
    select source, count(*) as days, count(*) filter (verdict = 'differs') as differing,
           count(*) filter (verdict = 'not_archived') as unreported, count(*) filter (verdict = 'equal') as equal,
           count(*) filter (verdict = 'report_behind') as surplus
    from ledger.reconciliation group by source
),
unproven as (
    select source, window_start, window_end from ledger.windows where tier in ('history', 'asked', 'reconcile')
    group by all having count(*) filter (status <> 'incomplete') = 0
)
select s.source, s.zone, s.watermark, s.last_read_at, s.last_error,
       (select count(*) from raw.matomo_events e where e.source = s.source and e.vanished_at is null) as events,
       (select count(*) from raw.quarantine q where q.source = s.source) as quarantined,
       (select coalesce(sum(truncated), 0)::bigint from ledger.truncated_visits t where t.source = s.source)
           as withheld,
       coalesce(c.days, 0) as compared_days, coalesce(c.differing, 0) as differing_days,
       coalesce(c.unreported, 0) as unreported_days, coalesce(c.equal, 0) as equal_days,
       coalesce(c.surplus, 0) as surplus_days,
       (select count(*) from unproven u where u.source = s.source) as unproven_days,
       coalesce(s.watermark < (select watermark from ledger.product_watermark), false) as left_behind
from ledger.sources s left join compared c using (source) order by s.source
"""
SHORT_WAIT_SECONDS = 2.0


def status(context: typer.Context, as_json: bool = AsJson) -> None:
    """Up to where each source is complete, what is missing, and which snapshot is in service."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import NothingPublished, WarehouseLocked
    from matokit_pipelines.warehouse.refresh import Home
    from matokit_pipelines.warehouse.snapshots import open_current, select

    frame = frame_of(context)
    home = Home.of(frame.loaded(), SystemClock(), wait_seconds=SHORT_WAIT_SECONDS)
    rows: list[dict[str, Any]] = []
    waiting = 0
    busy = ""
    try:
        with home.warehouse.reader() as connection:
            rows = select(connection, _SOURCES).to_dicts()
            waiting = connection.execute("select count(distinct event_date) from ledger.touched_days").fetchall()[0][0]
    except WarehouseLocked as error:
        busy = str(error)
    try:
        with open_current(home.loaded.home) as snapshot:
            published = snapshot.manifest
    except NothingPublished:
        published = None
    if as_json:
        frame.rows(rows, as_json=True)
        return
    now = home.clock.now()
    for row in rows:
        frame.say(f"{row['source']}: complete to {_moment(row['watermark'], now)}, {row['events']:,} events.")
        for line in _trouble(row):
            frame.say(f"  {line}")
    if busy:
        frame.say(f"A pass is running: {busy}")
    elif not rows:
        frame.say("No source was read yet; run `matokit extract`.")
    if waiting:
        frame.say(f"{waiting} days wait to be derived; run `matokit build`.")
    if published:
        frame.say(f"Snapshot {published.generation}, published {_moment(published.published_at, now)}.")
    else:
        frame.say("Nothing is published yet; run `matokit build`.")


def _moment(value: Any, now: Any) -> str:
    if value is None:
        return "nothing"
    minutes = max(0, round((now - value).total_seconds() / 60))
    ago = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
    return f"{value:%Y-%m-%d %H:%M} UTC ({ago} ago)"


def _trouble(row: dict[str, Any]) -> list[str]:
    lines = []
    if row["last_error"]:
        lines.append(f"last pass failed: {row['last_error']}")
    if row["left_behind"]:
        lines.append("it is more than six hours behind the other sources, which go on without it.")
    if row["unproven_days"]:
        lines.append(f"{row['unproven_days']} days could not be read whole; see ledger.windows.")
    if row["withheld"]:
        lines.append(
            f"{row['withheld']:,} actions of very long visits are withheld by the server; its setting "
            "visitor_log_maximum_actions_per_visit lifts that."
        )
    if row["differing_days"]:
        lines.append(f"{row['differing_days']} days on which the source's report counts more events than it gives.")
    if row["unreported_days"]:
        lines.append(
            f"{row['unreported_days']} of {row['compared_days']} closed days have no report at the source yet, "
            "so nothing independent confirms them."
        )
    if row["surplus_days"]:
        lines.append(
            f"{row['surplus_days']} days hold more events than the source's report, which is late or counts less."
        )
    if row["equal_days"]:
        every = "all" if row["equal_days"] == row["compared_days"] else f"{row['equal_days']} of"
        lines.append(f"{every} {row['compared_days']} closed days agree with the source's own report.")
    if row["quarantined"]:
        lines.append(f"{row['quarantined']:,} pieces could not become rows; see raw.quarantine.")
    return lines
