"""How rows of reports are written, and which of them a request gets.

Belongs here: keys, their order and types as recorded, percent texts, sorting, limits, columns, `Others`. Does not
belong here: any counting (matomo_web_tables).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from matokit_pipelines.simulator.matomo_live import limit_of
from matokit_pipelines.simulator.matomo_web_pages import SOCIAL_HOSTS
from matokit_pipelines.simulator.matomo_web_tables import TIMES, Row
from matokit_pipelines.simulator.matomo_web_visits import CAMPAIGN, CART, REFERRER_TYPES, SEARCH, SOCIAL, WEBSITE

OTHERS = "Others"
NO_URL = "Page URL not defined"
DEVICES = (
    "Camera", "Car browser", "Console", "Desktop", "Feature phone", "Peripheral", "Phablet", "Portable media player",
    "Smart display", "Smart speaker", "Smartphone", "Tablet", "Tv", "Wearable",
)  # fmt: skip
_ICONS = "plugins/Morpheus/icons/dist"
# What a row carries beside its figures: no choice of columns removes it, nor the label.
_BESIDE = {
    "label", "segment", "idsubdatatable", "subtable", "url", "logo", "referrer_type", "referer_type", "Actions_PageUrl",
    "Actions_EntryPageUrl", "Events_EventCategory", "Events_EventAction", "Events_EventName",
}  # fmt: skip
# Of a day these come as the texts that the database gave; sums of days are numbers.
_TEXTS = {"entry_nb_visits", "entry_nb_actions", "entry_sum_visit_length", "entry_bounce_count", "exit_nb_visits"}
_TEXTS |= {f"nb_hits_with_time_{name}" for name in TIMES}


def label_of(text: str) -> str | int:
    """A label as JSON has it: one of digits alone comes as a number."""
    return int(text) if re.fullmatch(r"0|[1-9]\d{0,17}", text) else text


def plain(value: Any) -> Any:
    """Whole floats as integers, in sub-objects too."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return int(value) if isinstance(value, float) and value == int(value) else value


def percent(part: float, whole: float, params: Mapping[str, str], digits: int = 0) -> str | float | int:
    """A share as Matomo writes it: "37%", or 0.37 with format_metrics=0."""
    share = part / whole if whole else 0.0
    if params.get("format_metrics") == "0":
        return plain(round(share, digits + 2))  # type: ignore[no-any-return]
    return f"{plain(round(100 * share, digits))}%"


def visits_row(label: str | int, row: Row, daily: bool) -> Row:
    """A row counted by visit, without what is known of its key."""
    row = {name: plain(value) for name, value in row.items()}
    visitors, users = row.pop("nb_uniq_visitors"), row.pop("nb_users")
    if not daily:
        return {"label": label, **row, "sum_daily_nb_uniq_visitors": visitors, "sum_daily_nb_users": users}
    first = {"nb_uniq_visitors": visitors, "nb_visits": row.pop("nb_visits"), "nb_actions": row.pop("nb_actions")}
    return {"label": label, **first, "nb_users": users, **row}


def page_row(label: str | int, row: Row, daily: bool, whole: Mapping[str, int], params: Mapping[str, str]) -> Row:
    """A row of page views. whole: conversions of the period by goal, for the rates."""
    figures = {name: value for name, value in row.items() if not name.startswith("sum_time_") or name[9:] == "spent"}
    made: Row = {"label": label}
    after: Row = {}
    for name, value in figures.items():
        if name == "goals":
            made[name] = {goal: _page_goal(goal, one, row, label, whole) for goal, one in value.items()}
        elif name.endswith("nb_uniq_visitors") and not daily:
            after["sum_daily_" + name] = value
        elif name.startswith(("min_time_", "max_time_")):
            made[name] = None if value is None else f"{value / 1_000:.4f}"
        else:
            made[name] = str(value) if daily and name in _TEXTS and label != OTHERS else value
    made |= after
    load = 0.0
    for name in TIMES:
        hits = row[f"nb_hits_with_time_{name}"]
        average = round(row[f"sum_time_{name}"] / hits / 1_000, 3) if hits else 0
        made[f"avg_time_{name}"] = plain(average)
        load += average
    made["avg_page_load_time"] = plain(load)
    made["avg_time_on_page"] = round(row["sum_time_spent"] / row["nb_hits"])
    made["bounce_rate"] = percent(row.get("entry_bounce_count", 0), row.get("entry_nb_visits", 0), params)
    made["exit_rate"] = percent(row.get("exit_nb_visits", 0), row["nb_visits"], params)
    return made


def _page_goal(goal: str, one: Row, row: Row, label: str | int, whole: Mapping[str, int]) -> Row:
    made = plain(one)
    # Only pages outside folders get their rate when the tree is flattened; carts of the others have none at all.
    folder = str(label).rstrip("/").count("/") > 1
    if not folder:
        made["nb_conversions_page_rate"] = plain(round(one["nb_conversions_page_uniq"] / max(1, whole[goal]), 3))
    elif goal != f"idgoal={CART}":
        made["nb_conversions_page_rate"] = 0
    if "nb_conversions_entry" in one:
        entries = row["entry_nb_visits"]
        made["nb_conversions_entry_rate"] = plain(round(one["nb_conversions_entry"] / entries, 3))
        made["revenue_per_entry"] = plain(round(one["revenue_entry"] / entries, 3))
    return made  # type: ignore[no-any-return]


def page_facts(url: str | None, entry: bool) -> Row:
    """What a page's row says beside its figures; a view without an address has a null url."""
    if url is None:
        return {"url": None}
    name, word = ("Actions_EntryPageUrl", "entryPageUrl") if entry else ("Actions_PageUrl", "pageUrl")
    return {"url": url, name: page_label(url), "segment": f"{word}=={quote(quote(url, safe=''), safe='')}"}


def page_label(url: str | None) -> str:
    """Path and query of an address."""
    if url is None:
        return NO_URL
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def type_facts(number: int) -> Row:
    """What the row of a referrer type says beside its figures."""
    word = REFERRER_TYPES[number][0]
    more = {"idsubdatatable": number} if number > 1 else {}
    return {"segment": f"referrerType=={word}", "referrer_type": number, **more}


def referrer_facts(number: int, name: str | None) -> Row:
    """What a referrer's row says beside its figures; here the type is spelled with one r."""
    asked, more = quote_plus(name or ""), {}
    segment = {
        SEARCH: f"referrerType==search;referrerKeyword=={asked}",
        WEBSITE: f"referrerName=={asked}",
        CAMPAIGN: f"referrerType==campaign;referrerName=={asked}",
        SOCIAL: f"referrerType==social;referrerName=={asked}",
    }[number]
    if number == SOCIAL and name in SOCIAL_HOSTS:
        host = SOCIAL_HOSTS[name]
        more = {"url": host, "logo": f"{_ICONS}/socials/{host}.png"}
    return {**more, "segment": segment, "referer_type": number}


def device_facts(label: str) -> Row:
    """What a device type's row says beside its figures."""
    logo = f"{_ICONS}/devices/{label.lower().replace(' ', '_')}.png"
    return {"segment": f"deviceType=={quote_plus(label.lower())}", "logo": logo}


def shown(rows: list[Row], params: Mapping[str, str]) -> list[Row]:
    """The rows a request gets, with the columns it asks for."""
    pattern = params.get("filter_pattern")
    if pattern:
        column = params.get("filter_column", "label")
        rows = [row for row in rows if re.search(pattern, str(row.get(column, "")), re.IGNORECASE)]
    by = params.get("filter_sort_column")
    if by:
        down = params.get("filter_sort_order", "desc").lower() != "asc"
        # `Others` stays last however the rows are sorted.
        named, rest = [r for r in rows if r["label"] != OTHERS], [r for r in rows if r["label"] == OTHERS]
        rows = [*sorted(named, key=lambda row: _place(row.get(by)), reverse=down), *rest]
    offset, limit = _whole(params.get("filter_offset")), limit_of(params)
    rows = rows[offset:] if limit < 0 else rows[offset : offset + limit]
    show, hide = (_names(params.get(name)) for name in ("showColumns", "hideColumns"))
    if show:
        rows = [{key: value for key, value in row.items() if key in show or key in _BESIDE} for row in rows]
    return [{key: value for key, value in row.items() if key not in hide} for row in rows] if hide else rows


def _place(value: Any) -> tuple[float, str]:
    try:
        return float(str(value).rstrip("%")), ""
    except ValueError:
        return -1.0, str(value)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _names(text: str | None) -> set[str]:
    return {name.strip() for name in (text or "").split(",") if name.strip()}
