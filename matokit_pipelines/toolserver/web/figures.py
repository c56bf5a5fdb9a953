"""Figures of each period of a span, from the tables when these hold every one of them, else live.

Belongs here: visits and page views, orders, and what is not known of them. Not here: the published shape
(key_numbers.py, ecommerce.py), goals (goals.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from matokit_pipelines.toolserver.web import tables
from matokit_pipelines.toolserver.web.aggregating import merged
from matokit_pipelines.toolserver.web.asking import Asked, live_figures, note_of_unknown, question, unproven
from matokit_pipelines.toolserver.web.dates import Part, Period, Span
from matokit_pipelines.toolserver.web.doubts import Doubts, answerable, doubts_of, live_doubts, tables_first
from matokit_pipelines.toolserver.web.shaping import number
from matokit_pipelines.toolserver.web.tables import Held

PAGE_VIEWS = ("nb_pageviews", "nb_uniq_pageviews")


@dataclass(frozen=True)
class Figures:
    """The figures of each period in order of time; None: not known. `period`: what the periods are.

    doubts: what those that are known may lack.
    """

    parts: Sequence[tuple[Part, Mapping[str, Any] | None]]
    period: Period
    as_of: datetime | None
    doubts: Doubts = field(default_factory=Doubts)

    @property
    def unknown(self) -> list[Part]:
        """The periods that are not known."""
        return [part for part, figures in self.parts if figures is None]

    @property
    def note(self) -> str | None:
        """What to say of the unknown ones, else of what the known ones may lack; None: nothing."""
        return note_of_unknown(self.unknown) if self.unknown else self.doubts.note

    def whole(self) -> dict[str, Any] | None:
        """All periods as one; None when one of them is not known."""
        known = [figures for _, figures in self.parts if figures is not None]
        if len(known) < len(self.parts):
            return None
        return dict(known[0]) if len(known) == 1 else merged(known, self.period)

    def of(self, part: Part) -> Figures:
        """Those within one longer period."""
        inside = [one for one in self.parts if part.start <= one[0].start <= part.end]
        return Figures(inside, self.period, self.as_of, self.doubts.within(part))


def key_figures(asked: Asked) -> Figures:
    """Visits and page views."""
    return tables_first(asked, lambda one: from_tables(one, "key_numbers"), _live_key_figures)


def _live_key_figures(asked: Asked) -> Figures:
    span = asked.span
    visits, actions = live_figures(asked, span, question(asked, span, "visits"), [question(asked, span, "actions")])
    views = {start: {key: of[key] for key in PAGE_VIEWS if key in of} for start, of in actions.items()}
    return _live(asked, visits, {start: {**of, **views[start]} for start, of in visits.items()})


def order_figures(asked: Asked) -> Figures:
    """Orders, and beside them the number of visits. A site without ecommerce has none but those it had."""
    if not asked.facts.has_ecommerce and not _had_orders(asked):
        return Figures([(part, {}) for part in asked.span.parts], asked.span.period, asked.now)
    return tables_first(asked, lambda one: from_tables(one, "ecommerce"), _live_order_figures)


def _live_order_figures(asked: Asked) -> Figures:
    span = asked.span
    orders, visits = live_figures(asked, span, question(asked, span, "ecommerce"), [question(asked, span, "visits")])
    beside = {start: {"nb_visits": of["nb_visits"]} if "nb_visits" in of else {} for start, of in visits.items()}
    evidence = {start: {**of, **orders[start]} for start, of in visits.items()}
    return _live(asked, evidence, {start: {**of, **beside[start]} if of else {} for start, of in orders.items()})


def from_tables(asked: Asked, table: str) -> Figures | None:
    """The figures of every period in that table; None when one is not there or not known."""
    with tables.held_in(asked.kit, asked.site) as found:
        if not found:
            return None
        reader, held = found
        span = answerable(asked, held)
        if not span:
            return None
        records = tables.figures_of(asked.kit, reader, asked.site, table, span)
        if table == "ecommerce" and not asked.facts.has_ecommerce:
            records = {part.start: records.get(part.start, {}) for part in span.parts}  # none while it was off
        if any(part.start not in records for part in span.parts) or _lacks_some(held, span, "actions"):
            return None
        parts = [(part, records[part.start]) for part in span.parts]
        return Figures(parts, span.period, held.as_of(span), doubts_of(asked, held, span))


def _had_orders(asked: Asked) -> bool:
    """Whether the tables have orders of the span: of when a site had ecommerce that has none now."""
    span = asked.span if asked.span.period in ("day", "week", "month") else asked.span.as_days()
    with tables.held_in(asked.kit, asked.site) as found:
        return bool(found and tables.figures_of(asked.kit, found[0], asked.site, "ecommerce", span))


def _lacks_some(held: Held, span: Span, report: str) -> bool:
    """Whether some periods have the report beside the main one and others not: then it has no sum."""
    return held.lacks(span, (report, "")) and any(
        not held.lacks(replace(span, parts=(part,)), (report, "")) for part in span.parts
    )


def doubtful(asked: Asked, span: Span, visits: Mapping[date, Mapping[str, Any]]) -> set[date]:
    """The first days of the periods that are reported without anything and not proven to be so."""
    empty = [part for part in span.parts if not _says_something(visits.get(part.start, {}))]
    return unproven(asked, empty) if empty else set()


def _live(
    asked: Asked, evidence: Mapping[date, Mapping[str, Any]], figures: Mapping[date, Mapping[str, Any]]
) -> Figures:
    unknown = doubtful(asked, asked.span, evidence)
    parts = [(part, None if part.start in unknown else figures[part.start]) for part in asked.span.parts]
    return Figures(parts, asked.span.period, asked.now, live_doubts(asked))


def _says_something(figures: Mapping[str, Any]) -> bool:
    """Whether anything happened: then the period is archived, and its zeros are zeros."""
    return any(number(figures.get(key)) for key in ("nb_visits", "nb_conversions"))
