"""Visits of Matomo into `raw.matomo_events`: one reading of a window, landed part by part, and what is cut off.

Not here: the diff (landing.py), what a page holds (matomo_pages.py), when to read (matomo_pass.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import duckdb

from matokit_pipelines.sources.matomo_visits import TruncatedVisit
from matokit_pipelines.warehouse.landing import (
    Landed,
    RawTable,
    SourceKey,
    put_in_quarantine,
    write_difference,
    write_vanished,
)
from matokit_pipelines.warehouse.matomo_pages import COLUMNS, Arrived
from matokit_pipelines.windows import Window

# A live visit moves its own end all the time; that alone is no change of its events, and no day is touched by it.
_BOUNDS = ("visit_first_ts", "visit_last_ts")
EVENTS = RawTable(
    name="raw.matomo_events",
    columns=COLUMNS,
    content=tuple(column for column in COLUMNS if column not in ("event_id", *_BOUNDS)),
    # a visit keeps its id, so its range finds the stored rows
    along="visit_id",
    near="visit_id >= $least::bigint and visit_id <= $greatest::bigint",
    gone="visit_last_ts >= $gone_start and visit_last_ts < $gone_end "
    "and visit_id not in (select unnest($truncated_visits::bigint[]))",
)
# Of copies of an event stays the one of the newest state of its visit, and of those the one that came last.
_DROP_COPIES = """
delete from received where rowid in (
    select rowid from (
        select
            rowid,
            row_number() over (
                partition by event_id order by visit_last_ts desc, page desc, place desc, number desc
            ) as copy
        from received
        where event_id in (select event_id from received group by event_id having count(*) > 1)
    ) where copy > 1
)
"""
# Pages come in the order of their visits' ends, so what an earlier part gave is hardly ever newer.
_DROP_OLDER = """
delete from received using read_so_far as known
where received.visit_last_ts < (select max(visit_last_ts) from read_so_far)
  and known.event_id = received.event_id and known.visit_last_ts > received.visit_last_ts
"""
# The bounds are kept true all the same: by the visit's end it is known in which windows it must be received.
_MOVE_BOUNDS = """
update raw.matomo_events set visit_first_ts = moved.visit_first_ts, visit_last_ts = moved.visit_last_ts
from (
    select r.event_id, r.visit_first_ts, r.visit_last_ts from received r join stored s using (event_id)
    where (r.visit_first_ts <> s.visit_first_ts or r.visit_last_ts <> s.visit_last_ts)
      and r.event_id not in (select event_id from changed)
) as moved
where source = $source and site_id = $site_id and matomo_events.event_id = moved.event_id
"""


@dataclass(frozen=True)
class Place:
    """Where rows go: the connection, whose they are, the site's zone and the project's."""

    connection: duckdb.DuckDBPyConnection
    key: SourceKey
    site_zone: str
    project_zone: str


class WindowLanding:
    """One reading of a window: `add` for each part of it, then `finish`, each in a transaction of the caller.

    What is in memory is one part, and the ids of all that was read. `broken`: pages that could not be read.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection = place.connection
        self._cut_off: dict[int, TruncatedVisit] = {}
        self.broken = 0
        self._rows = self._quarantined = self._inserted = self._changed = 0
        self._connection.execute(
            "create or replace temp table read_so_far (event_id varchar, visit_id bigint, visit_last_ts timestamptz)"
        )

    @property
    def received(self) -> int:
        """Event rows the source gave, readable or not."""
        return self._rows + self._quarantined

    def add(self, part: Arrived, now: datetime) -> None:
        """Write what differs between the temp table `received` and what is stored."""
        self.broken += part.broken
        self._rows += part.rows
        self._quarantined += len(part.quarantined)
        self._cut_off |= {visit.visit_id: visit for visit in part.truncated}
        put_in_quarantine(self._connection, self._place.key, part.quarantined, now)
        if not part.rows:
            return
        self._connection.execute(_DROP_COPIES)
        self._connection.execute(_DROP_OLDER)
        written = write_difference(
            self._connection, EVENTS, self._place.key, gone=None, project_zone=self._place.project_zone, now=now
        )
        self._connection.execute(_MOVE_BOUNDS, self._place.key.names)
        self._connection.execute("insert into read_so_far select event_id, visit_id, visit_last_ts from received")
        self._inserted += written.inserted
        self._changed += written.changed

    def finish(self, gone: Window | None, now: datetime) -> Landed:
        """What the whole reading did.

        `gone`: stored rows whose visit ended in this window and that were not received are marked as vanished; None
        when the reading was not whole or is no proof of absence. Rows of truncated visits are never taken for vanished.
        """
        connection, key = self._connection, self._place.key
        connection.execute(
            "create or replace temp table received as select event_id, any_value(visit_id) as visit_id "
            "from read_so_far group by event_id"
        )
        landed = connection.execute("select count(*) from received").fetchall()[0][0]
        vanished = 0
        if gone and not self._quarantined:  # a row that cannot be read any more may be one that is stored
            absent = {"gone_start": gone.start, "gone_end": gone.end, "truncated_visits": list(self._cut_off)}
            vanished = write_vanished(
                connection, EVENTS, key, gone=absent, project_zone=self._place.project_zone, now=now
            )
        return Landed(
            received=self.received,
            duplicates=self._rows - landed,
            quarantined=self._quarantined,
            landed=landed,
            inserted=self._inserted,
            changed=self._changed,
            vanished=vanished,
            truncated=sum(visit.missing for visit in self._cut_off.values()),
            newly_truncated=_note_truncated(connection, key, self._cut_off.values(), self._place.site_zone, now),
        )


def _note_truncated(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    visits: Iterable[TruncatedVisit],
    site_zone: str,
    now: datetime,
) -> int:
    """Keep which visits are cut off; gives how many actions are missing that were not known to be.

    A visit that comes back whole (the server's limit was raised) is forgotten. The temp table `received` is read.
    """
    visits = list(visits)
    connection.execute(
        "delete from ledger.truncated_visits where source = ? and site_id = ? "
        "and visit_id in (select visit_id from received) and not list_contains(?::bigint[], visit_id)",
        [key.source, key.site_id, [visit.visit_id for visit in visits]],
    )
    new = 0
    for visit in visits:
        values = [key.source, key.site_id, visit.visit_id]
        mine = "source = ? and site_id = ? and visit_id = ?"
        known = connection.execute(f"select truncated from ledger.truncated_visits where {mine}", values).fetchall()
        if known == [(visit.missing,)]:
            continue
        new += max(0, visit.missing - (known[0][0] if known else 0))
        connection.execute(f"delete from ledger.truncated_visits where {mine}", values)
        connection.execute(
            "insert into ledger.truncated_visits values (?, ?, ?, cast(timezone(?, ?::timestamptz) as date), ?, ?)",
            [*values, site_zone, visit.last_action, visit.missing, now],
        )
    return new
