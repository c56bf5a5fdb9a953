"""The reports an event reader reconciles with: Events.getCategory, Events.getName, VisitsSummary.get.

Belongs here: counting from the same log as Live, in the shapes Matomo gives (numbers now and then as texts,
`Others` above 500 names, [] for an empty period of several). Does not belong here: access and errors (matomo_api).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any
from urllib.parse import quote, unquote_plus

import numpy as np

from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_live import limit_of
from matokit_pipelines.simulator.matomo_log import Action, MatomoLog, Visit
from matokit_pipelines.simulator.matomo_periods import Span, midnight, spans
from matokit_pipelines.simulator.matomo_segments import Test, segment

Row = dict[str, Any]
MOST_ROWS = 500
_EPOCH = date(1970, 1, 1)
_LABELS = {"Events.getCategory": ("eventCategory", 0), "Events.getName": ("eventName", 2)}


class Reports:
    """Reports of one log. Answers are kept until something is stored."""

    def __init__(self, log: MatomoLog, dice: Dice) -> None:
        self._log = log
        self._dice = dice
        self._kept: dict[tuple[str, Span, str], tuple[int, list[Row]]] = {}

    def events(self, method: str, params: Mapping[str, str], now: int) -> Any:
        """Rows by category or name; a dict by period where several are asked for. Raises MatomoError."""
        return self._by_period(params, now, lambda span: self._event_rows(method, span, params), [])

    def visits(self, params: Mapping[str, str], now: int) -> Any:
        """The metrics of visits whose last action lies in the period. Raises MatomoError."""
        several, found = self._spans(params, now)
        columns = [name for name in params.get("columns", "").split(",") if name]
        made = {span.key: self._visit_metrics(span, params) for span in found}
        if columns:
            made = {key: {c: row[c] for c in columns if c in row} for key, row in made.items()}
        if several:
            if len(columns) == 1:
                return {key: next(iter(row.values()), 0) for key, row in made.items()}
            return {key: row if row.get("nb_visits", 1) else [] for key, row in made.items()}
        row = made[found[0].key]
        return ({"value": row[columns[0]]} if len(columns) == 1 else row) if row else []

    def _spans(self, params: Mapping[str, str], now: int) -> tuple[bool, list[Span]]:
        return spans(params["period"], params["date"], datetime.fromtimestamp(now, self._log.zone).date())

    def _by_period(self, params: Mapping[str, str], now: int, rows: Callable[[Span], list[Row]], none: Any) -> Any:
        several, found = self._spans(params, now)
        return {span.key: rows(span) or none for span in found} if several else rows(found[0]) or none

    def _event_rows(self, method: str, span: Span, params: Mapping[str, str]) -> list[Row]:
        limit = limit_of(params)
        if self._dice.unarchived(method, span.first):
            return []
        kept = self._kept.get((method, span, params.get("segment", "")))
        if kept is None or kept[0] != self._log.version:
            kept = (self._log.version, self._count(method, span, params))
            self._kept[method, span, params.get("segment", "")] = kept
        rows = [dict(row) for row in kept[1]]
        off = self._dice.lie(method, span.first) if rows else 0
        if off:
            rows[0]["nb_events"] = max(0, int(rows[0]["nb_events"]) + off)
        shown = [name for name in params.get("showColumns", "").split(",") if name]
        if shown:
            always = {*shown, "segment", "idsubdatatable"}
            rows = [{key: value for key, value in row.items() if key in always} for row in rows]
        return rows if limit < 0 else rows[:limit]

    def _count(self, method: str, span: Span, params: Mapping[str, str]) -> list[Row]:
        field, index = _LABELS[method]
        test = segment(params["segment"]) if params.get("segment") else None
        groups: dict[str | None, dict[tuple[Any, ...], list[tuple[Visit, Action]]]] = {}
        for visit, action in self._of(span, test):
            key = (action.category, action.action, action.name)
            groups.setdefault(key[index], {}).setdefault(key, []).append((visit, action))
        none = "Event Name not defined"
        made = [_row(field, label, none, list(parts.values())) for label, parts in groups.items()]
        made.sort(key=lambda row: (-int(row["nb_events"]), row["label"]))
        for number, row in enumerate(made, 1):
            row["idsubdatatable"] = number
        if len(made) > MOST_ROWS:
            made = [*made[: MOST_ROWS - 1], _others(made[MOST_ROWS - 1 :])]
        return made

    def _of(self, span: Span, test: Test | None) -> list[tuple[Visit, Action]]:
        first, last = (span.first - _EPOCH).days, (span.last - _EPOCH).days
        pairs = [pair for day in range(first, last + 1) for pair in self._log.days.get(day, ())]
        return [pair for pair in pairs if pair[1].category is not None and (test is None or test(*pair))]

    def _visit_metrics(self, span: Span, params: Mapping[str, str]) -> Row:
        zone = self._log.zone
        last, ids = self._log.order()
        low = np.searchsorted(last, midnight(span.first, zone), side="left")
        high = np.searchsorted(last, midnight(span.last + timedelta(days=1), zone), side="left")
        found = [self._log.visits[i - 1] for i in ids[low:high].tolist()]
        if self._dice.unarchived("VisitsSummary.get", span.first):
            found = []
        if params.get("segment"):
            test = segment(params["segment"])
            found = [visit for visit in found if any(test(visit, action) for action in visit.actions)]
        return _metrics(found, params)


def _row(field: str, label: str | None, none: str, parts: list[list[tuple[Visit, Action]]]) -> Row:
    # Matomo leaves a number that was not summed as the text its database gave.
    number: Callable[[int], Any] = str if len(parts) == 1 else int
    values = [action.value for part in parts for _, action in part if action.value is not None]
    # An overcount, as Matomo's: visits and visitors are summed over (category, action, name).
    visits = sum(len({visit.id for visit, _ in part}) for part in parts)
    visitors = sum(len({visit.visitor for visit, _ in part}) for part in parts)
    total = reduce(add, values, 0)  # one after the other, as the server does; newer Pythons' sum() is more exact
    return {
        "label": none if label is None else unquote_plus(label),
        "nb_uniq_visitors": visitors,
        "nb_visits": number(visits),
        "nb_events": number(sum(map(len, parts))),
        "nb_events_with_value": number(len(values)),
        "sum_event_value": _plain(total),
        "min_event_value": min(values, default=0),
        "max_event_value": max(values, default=0),
        "avg_event_value": _plain(round(total / len(values), 2)) if values else 0,
        "segment": f"{field}=={quote(label or '', safe='')}",
    }


def _others(rows: list[Row]) -> Row:
    sums = ("nb_uniq_visitors", "nb_visits", "nb_events", "nb_events_with_value", "sum_event_value")
    made: Row = {"label": "Others"} | {name: reduce(add, (_number(row[name]) for row in rows), 0) for name in sums}
    made["min_event_value"] = min(row["min_event_value"] for row in rows)
    made["max_event_value"] = max(row["max_event_value"] for row in rows)
    events = made["nb_events_with_value"]
    made["avg_event_value"] = _plain(round(made["sum_event_value"] / events, 2)) if events else 0
    return made


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) else value


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _metrics(visits: list[Visit], params: Mapping[str, str]) -> Row:
    actions = [len(visit.actions) for visit in visits]
    seconds = sum(visit.duration for visit in visits)
    bounces, count = Counter(actions)[1], len(visits)
    rate = bounces / count if count else 0.0
    row: Row = {
        "nb_uniq_visitors": len({visit.visitor for visit in visits}),
        "nb_users": 0,
        "nb_visits": count,
        "nb_actions": sum(actions),
        "nb_visits_converted": 0,
        "bounce_count": bounces,
        "sum_visit_length": seconds,
        "max_actions": max(actions, default=0),
        "bounce_rate": _plain(round(rate, 2)) if params.get("format_metrics") == "0" else f"{round(100 * rate)}%",
        "nb_actions_per_visit": _plain(round(sum(actions) / count, 1)) if count else 0,
        "avg_time_on_site": round(seconds / count) if count else 0,
    }
    if params.get("period") in ("range", "year"):
        del row["nb_uniq_visitors"], row["nb_users"]
    return row
