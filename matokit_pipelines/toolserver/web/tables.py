"""What the published tables hold of a site's web reports, read as Matomo would have answered it.

A question is answered from the tables only when each of its periods is there and known; `answers` decides. Not here:
asking Matomo (asking.py).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from matokit_pipelines import resources
from matokit_pipelines.errors import NothingPublished
from matokit_pipelines.sources.matomo_reports import REPORTS
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.web.dates import Span
from matokit_pipelines.toolserver.web.reports import RowReport
from matokit_pipelines.warehouse.serving import Reader, SnapshotStore

KNOWN = frozenset({"final", "provisional"})
ALL_ROWS = 1_000_000
Given = tuple[str, str]
NOTHING: frozenset[Given] = frozenset()


@dataclass(frozen=True)
class Held:
    """What one snapshot holds of a site; `states` and `moments`: of each (period, first day).

    given: of each, the reports that were landed, as (report, number of the goal or ""); None: it does not say.
    """

    zone: ZoneInfo
    currency: str | None
    has_ecommerce: bool
    states: Mapping[tuple[str, date], str]
    moments: Mapping[tuple[str, date], datetime | None]
    given: Mapping[tuple[str, date], frozenset[Given]] | None

    def lacks(self, span: Span, *reports: Given) -> bool:
        """Whether a period of the span lacks one of these reports, which does not mean that nothing happened."""
        if self.given is None:
            return False
        return any(not self.given.get((span.period, part.start), NOTHING).issuperset(reports) for part in span.parts)

    def goals(self) -> frozenset[str]:
        """The goals of the newest day: those that a question about all of them is about."""
        days = {start: found for (period, start), found in (self.given or {}).items() if period == "day"}
        newest = days[max(days)] if days else NOTHING
        return frozenset(subject for report, subject in newest if report == "goals")

    def as_of(self, span: Span) -> datetime | None:
        """The moment all periods of the span are true of: the earliest of theirs."""
        found = [self.moments.get((span.period, part.start)) for part in span.parts]
        return min((moment for moment in found if moment), default=None)


def answers(span: Span, states: Mapping[tuple[str, date], str], *, segment: str | None, fresh: bool) -> Span | None:
    """The span as the tables can answer it; None when Matomo has to be asked.

    The tables hold days, weeks and months of all visits. A range or a year is answered from its days, when every one
    of them is there; an unknown period (a zero that may mean "not archived yet") is asked live.
    """
    if segment is not None or fresh:
        return None
    asked = span if span.period in ("day", "week", "month") else span.as_days()
    known = all(states.get((asked.period, part.start)) in KNOWN for part in asked.parts)
    return asked if known else None


@contextmanager
def held_in(kit: Kit, site: Site) -> Iterator[tuple[Reader, Held] | None]:
    """The snapshot in service and what it holds of the site; None when it holds nothing of it."""
    with ExitStack() as stack:
        found = None
        if site.source is not None:
            with suppress(NothingPublished):
                reader = stack.enter_context(kit.snapshots.reading())
                held = _remembered(kit.snapshots, reader, site, "held", _read_held)
                found = None if held is None else (reader, held)
        yield found


def rows_of(
    reader: Reader, site: Site, report: RowReport, span: Span, *, most: int = ALL_ROWS, labels: list[str] | None = None
) -> dict[date, list[dict[str, Any]]]:
    """The rows of each period in Matomo's order; `most` of each, and only those of `labels` where given."""
    found: dict[date, list[dict[str, Any]]] = {part.start: [] for part in span.parts}
    wanted = {**_place(site, span), **_pair(report), "most": most}
    sql = _sql(_file(report))
    if labels is not None:
        sql += "    and list_contains($labels::varchar[], label)\n"
        wanted["labels"] = labels
    records = reader.rows(sql, wanted)
    records.sort(key=itemgetter("period_start", "position"))
    for record in records:
        start = record.pop("period_start")
        del record["position"]
        is_others = record.pop("is_others")
        row = report.as_sent(as_sent(record))
        if is_others:
            row["is_others"] = True
        found[start].append(row)
    return found


def cut_periods(reader: Reader, site: Site, report: RowReport, span: Span, *, kept: int) -> set[date]:
    """The first days of the periods that had further rows, or may have had: `kept` are kept of a period at most."""
    wanted = {**_place(site, span), **_pair(report), "most": ALL_ROWS, "kept": kept}
    counted = ("select period_start from (", ") group by period_start having count(*) >= $kept or bool_or(is_others)")
    return {record["period_start"] for record in reader.rows(_sql(_file(report)).join(counted), wanted)}


@dataclass(frozen=True)
class Ranking:
    """The first rows over several periods, by label and by what tells equal labels apart.

    is_exact: no row that was cut away could change them. is_whole: there are no further ones.
    """

    labels: list[str]
    identities: list[tuple[str, Any]]
    is_exact: bool
    is_whole: bool


def ranking_of(reader: Reader, site: Site, report: RowReport, span: Span, *, limit: int, kept: int) -> Ranking:
    """Which rows come first over all periods of the span. `kept`: rows that a period keeps at most."""
    wanted = {**_place(site, span), **_pair(report), "limit": limit, "kept": kept}
    records = reader.rows(_ranking_sql(report), wanted)
    *first, other = records  # the last record is about all that come behind
    behind = other["total"]
    is_short = len(first) < limit
    beaten = behind == 0 if is_short else first[-1]["total"] >= behind
    identities = [(record["label"], record["kind"]) for record in first]
    return Ranking(
        [label for label, _ in identities],
        identities,
        is_exact=beaten and all(record["is_exact"] for record in first),
        is_whole=behind == 0 and other["is_exact"],
    )


def figures_of(kit: Kit, reader: Reader, site: Site, table: str, span: Span) -> dict[date, dict[str, Any]]:
    """The record of `table` (key_numbers, ecommerce) of each period of the span that has one."""
    records = _remembered(kit.snapshots, reader, site, table, _all_figures)
    found = {part.start: records.get((span.period, part.start)) for part in span.parts}
    return {start: as_sent(record) for start, record in found.items() if record}


def goals_of(reader: Reader, site: Site, span: Span) -> list[dict[str, Any]]:
    """The records of goals, orders and abandoned carts of each period, in order of time."""
    return sorted(reader.rows(_sql("web_goals"), _place(site, span)), key=itemgetter("period_start", "goal_id"))


def question_of(reader: Reader, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of one SQL file of the tools."""
    return reader.rows(_sql(name), params)


def as_sent(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a table as Matomo sent it: what is null was not sent, the further keys stand beside the others."""
    row = {key: _plain(value) for key, value in record.items() if value is not None and key != "further"}
    if further := record.get("further"):
        for key, value in json.loads(further).items():
            row.setdefault(key, value)
    return row


def _plain(value: Any) -> Any:
    """Figures are doubles in the tables; a whole one is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _place(site: Site, span: Span) -> dict[str, Any]:
    return {
        "source": site.source, "site": site.id, "period": span.period, "first": span.parts[0].start,
        "last": span.parts[-1].start,
    }  # fmt: skip


def _file(report: RowReport) -> str:
    return "web_events" if report.pair else f"web_{report.name}"


def _pair(report: RowReport) -> dict[str, str]:
    return {"pair": "_".join(report.pair)} if report.pair else {}


@cache
def _sql(name: str) -> str:
    return (resources.path("sql") / "tools" / f"{name}.sql").read_text(encoding="utf-8")


def _ranking_sql(report: RowReport) -> str:
    return _ranking_text(REPORTS[report.name].table, report.main, report.name == "referrers", bool(report.pair))


_OTHERS_OF_EVENTS = "coalesce('Others' in (label, category, action, name), false)"


@cache
def _ranking_text(table: str, main: str, has_kinds: bool, has_pairs: bool) -> str:
    """The ranking for one table; all that is put in are names of ours."""
    text = _sql("web_ranking").partition("with kept as")[2]  # the comment names the stand-ins too
    names = {
        "web_report": table,
        "main_figure": main,
        "kind_of_row": "referrer_type" if has_kinds else "null::bigint",
        "mark_of_others": _OTHERS_OF_EVENTS if has_pairs else "is_others",
        "which_rows": "pair = $pair" if has_pairs else "true",
    }
    for stand_in, name in names.items():
        text = text.replace(stand_in, name)
    return f"with kept as{text}"


_REMEMBERED: WeakKeyDictionary[SnapshotStore, dict[tuple[int, str, str, str], Any]] = WeakKeyDictionary()
_REMEMBERING = threading.Lock()


def _remembered(
    store: SnapshotStore, reader: Reader, site: Site, what: str, read: Callable[[Reader, Site, str], Any]
) -> Any:
    """Read once from each snapshot: periods and their figures are few, and looked up for every answer."""
    generation = reader.manifest.generation
    key = (generation, str(site.source), site.id, what)
    with _REMEMBERING:
        known = _REMEMBERED.setdefault(store, {})
        if key in known:
            return known[key]
    found = read(reader, site, what)
    with _REMEMBERING:
        for old in [one for one in known if one[0] < generation]:
            del known[old]
        known[key] = found
    return found


def _all_figures(reader: Reader, site: Site, table: str) -> dict[tuple[str, date], dict[str, Any]]:
    rows = reader.rows(_sql(f"web_{table}"), {"source": site.source, "site": site.id})
    return {(row.pop("period"), row.pop("period_start")): row for row in rows}


def _read_held(reader: Reader, site: Site, what: str) -> Held | None:
    if not reader.has("web_sites") or not reader.has("web_periods"):
        return None
    place = {"source": site.source, "site": site.id}
    sites: Sequence[Mapping[str, Any]] = reader.rows(_sql("web_site"), place)
    if not sites or not sites[0]["zone"]:
        return None
    states, moments = {}, {}
    for row in reader.rows(_sql("web_periods"), place):
        states[row["period"], row["period_start"]] = row["state"]
        moments[row["period"], row["period_start"]] = row["as_of"]
    one = sites[0]
    given = _read_given(reader, place) if reader.has("web_period_reports") else None
    return Held(ZoneInfo(one["zone"]), one["currency"] or None, bool(one["has_ecommerce"]), states, moments, given)


def _read_given(reader: Reader, place: Mapping[str, Any]) -> dict[tuple[str, date], frozenset[Given]]:
    found: dict[tuple[str, date], set[Given]] = {}
    for row in reader.rows(_sql("web_period_reports"), place):
        found.setdefault((row["period"], row["period_start"]), set()).add((row["report"], row["subject"]))
    return {period: frozenset(reports) for period, reports in found.items()}
