"""Landing the reports of one period: all of them replaced, or put away. The caller holds the transaction.

Not here: asking (web_pass.py), what a reading is worth (web_planning.py), what is derived (sql/marts/web_*).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from matokit_pipelines.sources.matomo_reports import Report, figures_in, rows_in
from matokit_pipelines.warehouse.landing import SourceKey
from matokit_pipelines.warehouse.web_planning import PeriodName, Span, State

_PERIOD = "source = $source and site_id = $site_id and period = $period and period_start = $start"


@dataclass(frozen=True)
class Answered:
    """One report as it is kept: `body` JSON text, `rows` kept of it, `received` rows that came."""

    report: str
    subject: str
    body: str
    rows: int
    received: int


@dataclass(frozen=True)
class Reading:
    """One reading of one period. `visits` is None while unknown; `fetched_at`: when it was asked for, UTC."""

    span: Span
    state: State
    visits: int | None
    is_proven: bool
    answers: Sequence[Answered]
    fetched_at: datetime


def answered(report: Report, subject: str, answer: Any, most: int) -> Answered | None:
    """An answer as it is kept, of a list the first `most` rows; None when it is not of the report's shape."""
    if report.has_rows:
        rows = rows_in(answer)
        if rows is None or (text := _text(rows[:most])) is None:
            return None
        return Answered(report.name, subject, text, min(len(rows), most), len(rows))
    figures = figures_in(answer)
    if figures is None or (text := _text(figures)) is None:
        return None
    return Answered(report.name, subject, text, 1, 1)


def land(connection: duckdb.DuckDBPyConnection, key: SourceKey, reading: Reading) -> None:
    """Replace what is known of the period by this reading; an unknown one keeps no report."""
    span = reading.span
    put_away(connection, key, [span.key])
    kept = [] if reading.state == "unknown" else reading.answers
    place = [key.source, key.site_id, span.period, span.start, span.end]
    if kept:
        connection.executemany(
            "insert into raw.web_reports (source, site_id, period, period_start, period_end, report, subject, body, "
            "rows, fetched_at, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [[*place, one.report, one.subject, one.body, one.rows, reading.fetched_at, reading.state] for one in kept],
        )
    connection.execute(
        "insert into ledger.web_periods (source, site_id, period, period_start, period_end, state, visits, is_proven, "
        "reports, fetched_at, asked_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*place, reading.state, reading.visits, reading.is_proven, len(kept), reading.fetched_at if kept else None,
         reading.fetched_at],
    )  # fmt: skip


def note_asked(connection: duckdb.DuckDBPyConnection, key: SourceKey, span: Span, at: datetime) -> None:
    """The period was asked for in vain; what is known of it stays."""
    named = _named(key, span.key) | {"at": at}
    connection.execute(f"update ledger.web_periods set asked_at = $at where {_PERIOD}", named)


def put_away(connection: duckdb.DuckDBPyConnection, key: SourceKey, periods: Iterable[tuple[PeriodName, date]]) -> None:
    """Delete all that is known of the periods, and have them derived anew."""
    for period in periods:
        named = _named(key, period)
        connection.execute(f"delete from raw.web_reports where {_PERIOD}", named)
        connection.execute(f"delete from ledger.web_periods where {_PERIOD}", named)
        connection.execute("insert into ledger.touched_web values ($source, $site_id, $period, $start)", named)


def _named(key: SourceKey, period: tuple[PeriodName, date]) -> dict[str, Any]:
    return key.names | {"period": period[0], "start": period[1]}


def _text(answer: Any) -> str | None:
    """An answer as JSON; None for numbers that JSON does not know, which Python reads and a database does not."""
    try:
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return None
    return text.encode("utf-8", errors="replace").decode()  # half a pair of surrogates is no text either
