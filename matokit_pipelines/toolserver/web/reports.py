"""The reports with rows: which fields are published and in which order, what they are ranked by, what tells rows apart.

Not here: their results as pydantic models (results.py), the questions to Matomo (sources/matomo_reports.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.toolserver.web.shaping import number, share

KEY_NUMBERS = (
    "nb_visits", "nb_uniq_visitors", "nb_actions", "nb_users", "nb_visits_converted", "sum_visit_length", "max_actions",
    "bounce_rate", "nb_actions_per_visit", "nb_pageviews", "nb_uniq_pageviews", "bounce_count", "avg_time_on_site",
)  # fmt: skip
ECOMMERCE = (
    "nb_conversions", "nb_visits", "nb_visits_converted", "conversion_rate", "revenue", "revenue_per_visit",
    "revenue_per_conversion", "avg_order_revenue", "items", "revenue_subtotal", "revenue_tax", "revenue_shipping",
    "revenue_discount",
)  # fmt: skip
_EVENTS = (
    "nb_events", "nb_visits", "nb_actions", "sum_event_value", "nb_events_with_value", "avg_event_value",
    "min_event_value", "max_event_value",
)  # fmt: skip


@dataclass(frozen=True)
class RowReport:
    """One report with rows. `name`: of its question and of its SQL; `main`: the figure it is ranked by.

    compared: the figures that a comparison shows. pair: of a report of events, its two dimensions. sure:
    beginnings of the figures that are 0 in a period whose report lacks the row; () for all of them.
    """

    name: str
    known: tuple[str, ...]
    main: str
    compared: tuple[str, ...]
    has_bounce_rate: bool = False
    pair: tuple[str, ...] = ()
    sure: tuple[str, ...] = ()

    def ready(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """A row with what it lacks beside Matomo's own fields: a rate, the one spelling of the type of a referrer."""
        made: dict[str, Any] = dict(raw)
        if self.has_bounce_rate and not raw.get("bounce_rate"):
            rate = share(raw.get("bounce_count"), raw.get("nb_visits"))
            if rate is not None:
                made["bounce_rate"] = rate
        if "referer_type" in raw and "referrer_type" not in raw:
            made["referrer_type"] = number(raw["referer_type"])
        for dimension in self.pair:
            if dimension not in made and (value := made.get(f"Events_Event{dimension.capitalize()}")) is not None:
                made[dimension] = value
        if self.pair and not any(dimension in made for dimension in self.pair):
            made[self.pair[0]] = made.get("label")  # a Matomo that does not join labels tells the first one only
        return made

    def as_sent(self, raw: dict[str, Any]) -> dict[str, Any]:
        """A row of the tables with the fields that these spell otherwise than Matomo."""
        if self.name == "referrers" and "referrer_type" in raw:
            raw.setdefault("referer_type", raw["referrer_type"])
        for dimension in self.pair:
            if dimension in raw:
                raw.setdefault(f"Events_Event{dimension.capitalize()}", raw[dimension])
        return raw

    def summed(self, row: dict[str, Any], is_in_each: bool) -> dict[str, Any]:
        """A row added up over periods, without what it lacks of periods whose report does not have it."""
        if is_in_each or not self.sure:
            return row
        return {key: value for key, value in row.items() if key.startswith(self.sure)}

    def identity(self, raw: Mapping[str, Any]) -> tuple[str, Any]:
        """What makes two rows of different periods the same: the label, and the type of a referrer."""
        kind = raw.get("referrer_type", raw.get("referer_type")) if self.name == "referrers" else None
        return str(raw.get("label", "")), number(kind)


PAGE_URLS = RowReport(
    "page_urls", ("label", "url", "nb_hits", "nb_visits", "nb_uniq_visitors", "sum_time_spent"), "nb_visits",
    ("nb_hits", "nb_visits"),
)  # fmt: skip
ENTRY_PAGES = RowReport(
    "entry_pages",
    (
        "label", "url", "nb_visits", "nb_uniq_visitors", "nb_hits", "sum_time_spent", "entry_nb_uniq_visitors",
        "entry_nb_visits", "entry_nb_actions", "entry_sum_visit_length", "entry_bounce_count", "exit_nb_uniq_visitors",
        "exit_nb_visits", "avg_page_load_time", "avg_time_on_page", "bounce_rate", "exit_rate",
    ),
    "entry_nb_visits",
    ("entry_nb_visits", "entry_bounce_count", "bounce_rate"),
    # a page on which no visit began is not in the report, however often it was viewed
    sure=("label", "url", "segment", "Actions_", "entry_", "sum_daily_entry_", "bounce_rate"),
)  # fmt: skip
_REFERRER = ("label", "nb_visits", "nb_actions", "nb_visits_converted")
_REFERRER_FIGURES = ("nb_visits", "nb_actions", "nb_visits_converted")
REFERRERS = RowReport("referrers", _REFERRER, "nb_visits", _REFERRER_FIGURES)
CHANNELS = RowReport(
    "referrer_types", (*_REFERRER, "sum_visit_length", "nb_hits", "bounce_rate"), "nb_visits",
    (*_REFERRER_FIGURES, "bounce_rate"), has_bounce_rate=True,
)  # fmt: skip
CAMPAIGNS = RowReport("campaigns", (*_REFERRER, "revenue"), "nb_visits", (*_REFERRER_FIGURES, "revenue"))
DEVICE_TYPES = RowReport(
    "device_types",
    (
        "label", "nb_visits", "nb_actions", "nb_visits_converted", "nb_hits", "sum_visit_length", "avg_time_on_site",
        "max_actions", "bounce_rate",
    ),
    "nb_visits",
    (*_REFERRER_FIGURES, "bounce_rate"),
    has_bounce_rate=True,
)  # fmt: skip
EVENT_CATEGORIES = RowReport(
    "event_categories", ("label", *_EVENTS), "nb_events", ("nb_events", "nb_visits", "sum_event_value")
)


def events_report(first: str, second: str) -> RowReport:
    """Events by two of category, action and name."""
    return RowReport(
        f"events_{first}_{second}", ("label", "category", "action", "name", *_EVENTS), "nb_events",
        ("nb_events", "nb_visits", "sum_event_value"), pair=(first, second),
    )  # fmt: skip
