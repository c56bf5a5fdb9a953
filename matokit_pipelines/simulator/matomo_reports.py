"""Reports on events and visits: Events.getCategory, getAction and getName, VisitsSummary.get.

Belongs here: counting from the same log as Live, in the shapes Matomo gives (numbers now and then as texts,
`Others` above 500 names, [] for an empty period of several). Does not belong here: access and errors (matomo_api),
reports on pages, referrers, goals and devices (matomo_web_reports).
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
from matokit_pipelines.simulator.matomo_answers import MatomoError, escaped
from matokit_pipelines.simulator.matomo_log import Action, MatomoLog, Visit
from matokit_pipelines.simulator.matomo_periods import Span, archived, midnight, spans
from matokit_pipelines.simulator.matomo_segments import Test, segment
from matokit_pipelines.simulator.matomo_web_rows import label_of, shown
from matokit_pipelines.simulator.matomo_web_visits import CART

Row = dict[str, Any]
Pair = tuple[Visit, Action]
MOST_ROWS = 500
_EPOCH = date(1970, 1, 1)
_DAY = 86_400
_NOT_DEFINED = "Event Name not defined"
# Of each report: its dimension and the one its rows are split by where the request does not say.
EVENTS = {
    "Events.getCategory": ("eventCategory", "eventAction"),
    "Events.getAction": ("eventAction", "eventName"),
    "Events.getName": ("eventName", "eventAction"),
}
_PLACES = {"eventCategory": 0, "eventAction": 1, "eventName": 2}


class Reports:
    """Reports of one log. Answers are kept until something is stored."""

    def __init__(self, log: MatomoLog, dice: Dice, site: str = "") -> None:
        self._log = log
        self._dice = dice
        self._site = site
        self._kept: dict[tuple[str, ...], tuple[int, list[Row]]] = {}

    def events(self, method: str, params: Mapping[str, str], now: int) -> Any:
        """Rows by category, action or name; a dict by period where several are asked for. Raises MatomoError."""
        return self._by_period(params, now, lambda span: self._event_rows(method, span, params, now), [])

    def visits(self, params: Mapping[str, str], now: int) -> Any:
        """The metrics of visits whose last action lies in the period. Raises MatomoError."""
        several, found = self._spans(params, now)
        columns = [name for name in params.get("columns", "").split(",") if name]
        made = {span.key: self._visit_metrics(span, params, now) for span in found}
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

    def _event_rows(self, method: str, span: Span, params: Mapping[str, str], now: int) -> list[Row]:
        split = _split(method, params)
        if self._dice.unarchived(method + self._site, span.first):
            return []
        self._dice.first_time((method + self._site, span, split, params.get("segment", "")), params["period"])
        seen = archived(span, self._log.zone, now, self._dice.faults.archived_after_seconds)
        form = [params.get(name, "") for name in ("flat", "expanded", "period", "segment")]
        key = (method, split, str(seen.first), str(seen.last), *form)
        kept = self._kept.get(key)
        if kept is None or kept[0] != self._log.version:
            kept = self._kept[key] = (self._log.version, self._count(method, split, seen, params))
        rows = [dict(row) for row in kept[1]]
        off = self._dice.lie(method, span.first) if rows and not self._site else 0
        if off:
            rows[0]["nb_events"] = max(0, int(rows[0]["nb_events"]) + off)
        return shown(rows, params)

    def _count(self, method: str, split: str, span: Span, params: Mapping[str, str]) -> list[Row]:
        """Rows of a period; `split` is the second dimension of flat rows or of subtables, or nothing."""
        test = segment(params["segment"]) if params.get("segment") else None
        daily = params["period"] == "day"
        pairs = self._of(span, test)
        own = EVENTS[method][0]
        if split and params.get("flat") == "1":
            return _most(_flat(pairs, own, split, daily))
        made = _groups(pairs, own, daily)
        for number, row in enumerate(made, 1):
            row["segment"] = f"{own}=={quote(row['label'] or '', safe='')}"
            row["idsubdatatable"] = number
        if split and params.get("expanded") == "1":
            of = _PLACES[own]
            for row in made:
                inside = [pair for pair in pairs if _text(pair, of) == row["label"]]
                row["subtable"] = _finished(_groups(inside, split, daily))
        return _most(_finished(made))

    def _of(self, span: Span, test: Test | None) -> list[Pair]:
        first, last = (span.first - _EPOCH).days, (span.last - _EPOCH).days
        pairs = [pair for day in range(first, last + 1) for pair in self._log.days.get(day, ())]
        return [pair for pair in pairs if pair[1].category is not None and (test is None or test(*pair))]

    def _visit_metrics(self, span: Span, params: Mapping[str, str], now: int) -> Row:
        zone = self._log.zone
        unarchived = self._dice.unarchived("VisitsSummary.get" + self._site, span.first)
        if not unarchived:
            what = ("VisitsSummary.get" + self._site, span, params.get("segment", ""))
            self._dice.first_time(what, params["period"])
        span = archived(span, zone, now, self._dice.faults.archived_after_seconds)
        last, ids = self._log.order()
        low = np.searchsorted(last, midnight(span.first, zone), side="left")
        high = np.searchsorted(last, midnight(span.last + timedelta(days=1), zone), side="left")
        found = [self._log.visits[i - 1] for i in ids[low:high].tolist()]
        if unarchived:
            found = []
        if params.get("segment"):
            test = segment(params["segment"])
            found = [visit for visit in found if any(test(visit, action) for action in visit.actions)]
        return _metrics(found, params)


def _split(method: str, params: Mapping[str, str]) -> str:
    """The second dimension of an events report, "" where none is asked for. Raises MatomoError."""
    own, usual = EVENTS[method]
    asked = params.get("secondaryDimension")
    if asked:
        # Names cannot be split by each other's own dimension, nor actions and categories by themselves.
        allowed = sorted(name for name in _PLACES if name != own)
        if asked not in allowed:
            text = f"Secondary dimension '{escaped(asked)}' is not valid for the API {method.split('.')[1]}."
            raise MatomoError(f"{text} Use one of: {', '.join(allowed)}")
        return asked
    return usual if params.get("flat") == "1" or params.get("expanded") == "1" else ""


def _text(pair: Pair, place: int) -> str | None:
    return (pair[1].category, pair[1].action, pair[1].name)[place]


def _groups(pairs: list[Pair], field: str, daily: bool) -> list[Row]:
    """Rows by one dimension, most events first; labels as stored, null for a missing name."""
    place = _PLACES[field]
    groups: dict[str | None, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(_text(pair, place), []).append(pair)
    made: list[Row] = [{"label": label, **_figures(found, daily)} for label, found in groups.items()]
    made.sort(key=lambda row: (-int(row["nb_events"]), row["label"] or _NOT_DEFINED))
    return made


def _flat(pairs: list[Pair], field: str, split: str, daily: bool) -> list[Row]:
    """Rows by two dimensions, labelled with both."""
    places = _PLACES[field], _PLACES[split]
    groups: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        key = tuple(_NOT_DEFINED if _text(pair, at) is None else unquote_plus(_text(pair, at) or "") for at in places)
        groups.setdefault(key, []).append(pair)
    made = []
    for key, found in groups.items():
        names = {f"Events_E{one[1:]}": text for one, text in zip((field, split), key, strict=True)}
        made.append({"label": " - ".join(key)} | _figures(found, daily) | names)
    made.sort(key=lambda row: (-int(row["nb_events"]), row["label"]))
    return made


def _finished(made: list[Row]) -> list[Row]:
    """The rows with labels as they are shown: decoded once more, numbers as numbers."""
    for row in made:
        text = row["label"]
        row["label"] = _NOT_DEFINED if text is None else label_of(unquote_plus(text))
    return made


def _most(made: list[Row]) -> list[Row]:
    return [*made[: MOST_ROWS - 1], _others(made[MOST_ROWS - 1 :])] if len(made) > MOST_ROWS else made


def _figures(pairs: list[Pair], daily: bool) -> Row:
    parts: dict[tuple[Any, ...], list[Pair]] = {}
    for visit, action in pairs:
        # Longer periods are sums of days.
        key = (0 if daily else action.wall // _DAY, action.category, action.action, action.name)
        parts.setdefault(key, []).append((visit, action))
    # Matomo leaves a number that was not summed as the text its database gave.
    number: Callable[[int], Any] = str if daily and len(parts) == 1 else int
    by_part = [[action.value for _, action in found if action.value is not None] for found in parts.values()]
    values = [round(value, 2) for inside in by_part for value in inside]
    # An overcount, as Matomo's: visits and visitors are summed over (category, action, name).
    visits = sum(len({visit.id for visit, _ in found}) for found in parts.values())
    visitors = sum(len({visit.visitor for visit, _ in found}) for found in parts.values())
    # One after the other, as the server does; newer Pythons' sum() is more exact. The database rounds what it sums.
    total = reduce(add, (round(reduce(add, inside, 0), 2) for inside in by_part), 0)
    made = {
        "nb_uniq_visitors": visitors,
        "nb_visits": number(visits),
        "nb_events": number(len(pairs)),
        "nb_events_with_value": number(len(values)),
        "sum_event_value": _plain(total),
        "min_event_value": min(values, default=None),
        "max_event_value": max(values, default=None),
        "avg_event_value": _plain(round(total / len(values), 2)) if values else 0,
    }
    if not daily:
        made["sum_daily_nb_uniq_visitors"] = made.pop("nb_uniq_visitors")
    return made


def _others(rows: list[Row]) -> Row:
    sums = [name for name in rows[0] if name.startswith(("nb_", "sum_"))]
    made: Row = {"label": "Others"} | {name: reduce(add, (_number(row[name]) for row in rows), 0) for name in sums}
    for name, most in (("min_event_value", min), ("max_event_value", max)):
        made[name] = most((row[name] for row in rows if row[name] is not None), default=None)
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
        "nb_visits_converted": sum(any(one.goal != CART for one in visit.conversions) for visit in visits),
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
