"""Several periods made one, rightly: what adds up is added, rates are made again of their parts, the rest is left out.

Unique visitors do not add up: their sum is published under a name that says so, as Matomo does
(`sum_daily_nb_uniq_visitors`). Not here: which periods (dates.py), the published shape (shaping.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matokit_pipelines.toolserver.web.dates import Period
from matokit_pipelines.toolserver.web.shaping import Number, Raw, number, ratio, share

_ADDS_UP = re.compile(r"(nb_|sum_|bounce_count|revenue|items|entry_nb_|entry_sum_|entry_bounce_count|exit_nb_)")
_IS_RATE = re.compile(r"(^|_)(avg|rate|per)(_|$)")
_IS_UNIQUE = re.compile(r"(entry_|exit_)?(nb_uniq_visitors|nb_users)")
_OF_ONE_PERIOD = frozenset({"idsubdatatable"})
_SUM_OF: Mapping[Period, str] = {
    "day": "sum_daily_", "week": "sum_weekly_", "month": "sum_monthly_", "year": "sum_yearly_", "range": "sum_of_",
}  # fmt: skip


def merged(parts: Sequence[Raw], period: Period) -> dict[str, Any]:
    """One row or one set of figures out of those of several periods of one kind, in order of time.

    What is text or a mark of kind is that of the last period; averages and rates are made again where their parts are
    there, else left out.
    """
    values: dict[str, list[Any]] = {}
    for part in parts:
        for key, value in part.items():
            values.setdefault(key, []).append(value)
    found: dict[str, Any] = {}
    rates = []
    for key, all_of in values.items():
        if _IS_RATE.search(key):
            rates.append(key)
            found[key] = None  # keeps its place
        elif (name := _SUM_OF[period] + key if _IS_UNIQUE.fullmatch(key) else key) not in _OF_ONE_PERIOD:
            value = _merged_value(key, all_of, period)
            if value is not None:
                found[name] = _plus(found.get(name), value)
    for key in rates:
        found[key] = _again(key, found, parts)
    return {key: value for key, value in found.items() if value is not None}


def added(values: Sequence[Any]) -> Number | None:
    """The sum of those that are numbers; None when none is."""
    numbers = [found for value in values if (found := number(value)) is not None]
    return _clean(sum(numbers)) if numbers else None


def _plus(before: Any, value: Any) -> Any:
    # a period of days has unique visitors, a longer one their sum: under one name they add up
    return value if not isinstance(before, int | float) or not isinstance(value, int | float) else before + value


def _merged_value(key: str, values: Sequence[Any], period: Period) -> Any:
    if isinstance(values[-1], Mapping):
        return _merged_objects([value for value in values if isinstance(value, Mapping)], period)
    numbers = [found for value in values if (found := number(value)) is not None]
    if key.startswith("max_"):
        return max(numbers, default=None)
    if key.startswith("min_"):
        return min(numbers, default=None)
    if _ADDS_UP.match(key) or _IS_UNIQUE.fullmatch(key):
        return _clean(sum(numbers)) if numbers else None
    if isinstance(values[-1], str):
        return values[-1]
    return values[-1] if all(value == values[-1] for value in values) else None


def _merged_objects(values: Sequence[Mapping[str, Any]], period: Period) -> dict[str, Any]:
    return merged(values, period)


def _again(key: str, sums: Mapping[str, Any], parts: Sequence[Raw]) -> Any:
    """A rate out of the sums; None where its parts are not known."""
    get = sums.get
    if key == "bounce_rate":
        if get("entry_nb_visits") is not None:
            return share(get("entry_bounce_count"), get("entry_nb_visits"))
        return share(get("bounce_count"), get("nb_visits"))
    if key == "exit_rate":
        return share(get("exit_nb_visits"), get("nb_visits"))
    if key == "conversion_rate":
        return share(get("nb_visits_converted"), get("nb_visits"), 2)
    if key == "avg_page_load_time":
        return _page_load_time(sums, parts)
    if key.startswith("avg_time_") and f"nb_hits_with_{key.removeprefix('avg_')}" in sums:
        return _weighted(parts, key, f"nb_hits_with_{key.removeprefix('avg_')}", 3)
    if key not in _QUOTIENTS:
        return None
    above, below, digits = _QUOTIENTS[key]
    return ratio(get(above), get(below), digits)


_QUOTIENTS: Mapping[str, tuple[str, str, int | None]] = {
    "nb_actions_per_visit": ("nb_actions", "nb_visits", 1),
    "avg_time_on_site": ("sum_visit_length", "nb_visits", 0),
    "avg_time_on_page": ("sum_time_spent", "nb_hits", 0),
    "avg_event_value": ("sum_event_value", "nb_events_with_value", 2),
    "avg_order_revenue": ("revenue", "nb_conversions", 2),
    "revenue_per_conversion": ("revenue", "nb_conversions", None),
    "revenue_per_visit": ("revenue", "nb_visits", 2),
}


def _page_load_time(sums: Mapping[str, Any], parts: Sequence[Raw]) -> Number | None:
    """The steps of loading a page, each weighed by the page views that were measured; together they are the whole."""
    steps = [key.removeprefix("nb_hits_with_") for key in sums if key.startswith("nb_hits_with_time_")]
    times = [
        found for step in steps if (found := _weighted(parts, f"avg_{step}", f"nb_hits_with_{step}", 3)) is not None
    ]
    return _clean(sum(times)) if times else None


def _weighted(parts: Sequence[Raw], key: str, weight: str, digits: int) -> Number | None:
    pairs = [(number(part.get(key)), number(part.get(weight))) for part in parts]
    known = [(value, hits) for value, hits in pairs if value is not None and hits]
    return ratio(sum(value * hits for value, hits in known), sum(hits for _, hits in known), digits)


def _clean(value: Number) -> Number | None:
    return number(round(value, 9)) if isinstance(value, float) else value
