"""Answers that are rows of one report: of one period as Matomo ranks them, of several periods added up.

Not here: which reports (reports.py), rows that are no report's (goals.py, sent_events.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web import tables
from matokit_pipelines.toolserver.web.aggregating import merged
from matokit_pipelines.toolserver.web.asking import Asked, begun, live_rows
from matokit_pipelines.toolserver.web.comparing import noted, of_before, with_previous_row
from matokit_pipelines.toolserver.web.dates import Span
from matokit_pipelines.toolserver.web.doubts import answerable, doubts_of, live_doubts, tables_first
from matokit_pipelines.toolserver.web.parameters import MOST_ROWS, ListParameters
from matokit_pipelines.toolserver.web.reports import RowReport
from matokit_pipelines.toolserver.web.shaping import number, shape, stamp
from matokit_pipelines.warehouse.serving import Reader

Keep = Callable[[Mapping[str, Any]], bool]
OTHERS = "Others"


@dataclass(frozen=True)
class Rows:
    """Rows as Matomo sends them. `is_whole`: there are no others in that span. `note`: what they may lack."""

    rows: Sequence[Mapping[str, Any]]
    as_of: datetime | None
    is_whole: bool
    note: str | None = None


def answer_rows(kit: Kit, parameters: ListParameters, report: RowReport, keep: Keep | None = None) -> Answer:
    """The rows that the parameters ask for; `keep` chooses rows before they are cut to the limit."""
    asked = begun(kit, parameters)
    found = rows_asked(asked, report, parameters.limit, keep)
    moment = stamp(found.as_of)
    rows = [noted(_published(asked, report, raw, moment), found.note) for raw in found.rows]
    if parameters.compare and rows:
        before = _rows_before(asked.before(), report, found.rows, keep)
        earlier = {report.identity(raw): shape(report.ready(raw), report.known) for raw in before.rows}
        rows = [
            noted(
                with_previous_row(row, earlier.get(report.identity(raw)), report.compared, is_whole=before.is_whole),
                of_before(before.note),
            )
            for row, raw in zip(rows, found.rows, strict=True)
        ]
    return Answer(rows, found.as_of)


def rows_asked(asked: Asked, report: RowReport, limit: int, keep: Keep | None = None) -> Rows:
    """The first `limit` rows over the span: from the tables when these hold all that is needed, else live."""
    return tables_first(
        asked,
        lambda one: _held_rows(one, report, limit, keep),
        lambda one: _live_rows(one, report, limit, keep),
    )


def _held_rows(asked: Asked, report: RowReport, limit: int, keep: Keep | None) -> Rows | None:
    with tables.held_in(asked.kit, asked.site) as found:
        if found:
            reader, held = found
            span = answerable(asked, held)
            if (
                span
                and not held.lacks(span, (report.name, ""))
                and (rows := _from_tables(asked, reader, report, span, limit, keep)) is not None
            ):
                return Rows(rows[0], held.as_of(span), rows[1], doubts_of(asked, held, span).note)
    return None


def _live_rows(asked: Asked, report: RowReport, limit: int, keep: Keep | None) -> Rows:
    sent = live_rows(asked, asked.span, report.name, -1 if keep else limit)
    rows_kept = [row for row in sent if keep is None or keep(report.ready(row))]
    is_whole = len(sent) < limit and not has_others(sent)
    doubts = live_doubts(replace(asked, span=asked.span.as_range()) if len(asked.span.parts) > 1 else asked)
    return Rows(rows_kept[:limit], asked.now, is_whole, doubts.note)


def _rows_before(asked: Asked, report: RowReport, shown: Sequence[Mapping[str, Any]], keep: Keep | None) -> Rows:
    """The rows of the span before that have the labels of those shown. Rows that were cut there are not known."""
    return tables_first(
        asked,
        lambda one: _held_before(one, report, shown),
        lambda one: _live_rows(one, report, MOST_ROWS, keep),
    )


def _held_before(asked: Asked, report: RowReport, shown: Sequence[Mapping[str, Any]]) -> Rows | None:
    with tables.held_in(asked.kit, asked.site) as found:
        span = answerable(asked, found[1]) if found else None
        if not found or not span or found[1].lacks(span, (report.name, "")):
            return None
        reader, held = found
        labels = sorted({report.identity(row)[0] for row in shown})
        by_period = tables.rows_of(reader, asked.site, report, span, labels=labels)
        kept = asked.kit.loaded.settings.web_reports.rows
        cut = tables.cut_periods(reader, asked.site, report, span, kept=kept)
        everywhere = [{report.identity(row) for row in by_period[start]} for start in cut]
        rows = by_period[span.parts[0].start] if len(span.parts) == 1 else _added(report, span, by_period)
        rows = [row for row in rows if all(report.identity(row) in there for there in everywhere)]
        return Rows(_plain(rows), held.as_of(span), not cut, doubts_of(asked, held, span).note)


def has_others(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last row is Matomo's sum of the rows that it did not keep, or one is an event's of such a sum.

    Its name is in the language of the token's owner; that it has nothing to drill down with is the same in each. Pairs
    of an event's parts may lack that too.
    """
    parts = [f"Events_Event{dimension}" for dimension in ("Category", "Action", "Name")]
    if any(row.get(part) == OTHERS for row in rows for part in parts):
        return True
    if not rows or not _is_bare(rows[-1]):
        return False
    is_pair = any(part in rows[-1] for part in parts)
    return rows[-1].get("label") == OTHERS or (not is_pair and not _is_bare(rows[0]))


def _is_bare(row: Mapping[str, Any]) -> bool:
    return not row.get("segment") and not row.get("url")


def _from_tables(
    asked: Asked, reader: Reader, report: RowReport, span: Span, limit: int, keep: Keep | None
) -> tuple[list[Mapping[str, Any]], bool] | None:
    """The rows, and whether they are all; None when rows that were not kept could belong to them."""
    kept = asked.kit.loaded.settings.web_reports.rows
    if keep is None and len(span.parts) == 1:
        rows = tables.rows_of(reader, asked.site, report, span, most=limit)[span.parts[0].start]
        if kept <= len(rows) < limit:
            return None
        is_whole = len(rows) < limit and not any(row.get("is_others") for row in rows)
        return _plain(rows), is_whole
    if keep is None:
        return _ranked(asked, reader, report, span, limit, kept)
    by_period = tables.rows_of(reader, asked.site, report, span)
    if any(len(rows) >= kept for rows in by_period.values()):
        return None
    every = by_period[span.parts[0].start] if len(span.parts) == 1 else _added(report, span, by_period)
    chosen = [row for row in every if keep(report.ready(row))]
    is_whole = not any(row.get("is_others") for rows in by_period.values() for row in rows)
    return _plain(chosen[:limit]), is_whole and len(chosen) <= limit


def _ranked(
    asked: Asked, reader: Reader, report: RowReport, span: Span, limit: int, kept: int
) -> tuple[list[Mapping[str, Any]], bool] | None:
    ranking = tables.ranking_of(reader, asked.site, report, span, limit=limit, kept=kept)
    if not ranking.is_exact:
        return None
    if not ranking.labels:
        return [], True
    by_period = tables.rows_of(reader, asked.site, report, span, labels=ranking.labels)
    wanted = set(ranking.identities)
    rows = [row for row in _added(report, span, by_period) if report.identity(row) in wanted]
    return _plain(rows), ranking.is_whole


def _added(
    report: RowReport, span: Span, by_period: Mapping[date, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """One row for each label over all periods, by the report's main figure, then by label."""
    same: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for rows in by_period.values():
        for row in rows:
            if not row.get("is_others"):
                same.setdefault(report.identity(row), []).append(row)
    added = [report.summed(merged(rows, span.period), len(rows) == len(span.parts)) for rows in same.values()]
    return sorted(added, key=lambda row: (-(number(row.get(report.main)) or 0), str(row.get("label", ""))))


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [{key: value for key, value in row.items() if key != "is_others"} for row in rows]


def _published(asked: Asked, report: RowReport, raw: Mapping[str, Any], moment: str | None) -> dict[str, Any]:
    return {**shape(report.ready(raw), report.known, asked.facts.currency), "as_of": moment}
