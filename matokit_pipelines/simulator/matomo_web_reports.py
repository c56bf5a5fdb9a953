"""The reports on web traffic of one site: pages, referrers, campaigns, goals, orders, devices.

Belongs here: which report counts what, periods, and keeping what was counted. Does not belong here: counting
(matomo_web_tables), writing rows (matomo_web_rows), visits and events reports (matomo_reports), access (matomo_api).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from matokit_pipelines.simulator import matomo_web_rows as rows
from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_answers import MatomoError
from matokit_pipelines.simulator.matomo_log import MatomoLog, Visit
from matokit_pipelines.simulator.matomo_periods import Span, archived, spans
from matokit_pipelines.simulator.matomo_segments import Test, segment
from matokit_pipelines.simulator.matomo_web_tables import (
    Row,
    Table,
    add_row,
    added,
    by_page,
    by_visit,
    goal_totals,
    viewed,
    visits_of,
)
from matokit_pipelines.simulator.matomo_web_visits import CAMPAIGN, CART, DIRECT, ORDER, REFERRER_TYPES, SEARCH

MOST_ROWS = 500
_EPOCH = date(1970, 1, 1)
_SCOPES: dict[str, Callable[[Visit], bool]] = {
    "": lambda visit: True,
    "_new_visit": lambda visit: visit.number == 1,
    "_returning_visit": lambda visit: visit.number > 1,
}
_MONEY = ("revenue_subtotal", "revenue_tax", "revenue_shipping", "revenue_discount")
# What a report counts by visit; null leaves a visit out.
_KEYS: dict[str, Callable[[Visit], Hashable | None]] = {
    "Referrers.getReferrerType": lambda visit: visit.came.type,
    "Referrers.getAll": lambda visit: None if visit.came.type == DIRECT else _referrer(visit),
    "Referrers.getCampaigns": lambda visit: visit.came.name if visit.came.type == CAMPAIGN else None,
    "DevicesDetection.getType": lambda visit: visit.came.device,
}
_PAGES = ("Actions.getPageUrls", "Actions.getEntryPageUrls")
METHODS = (*_KEYS, *_PAGES, "Actions.get", "Goals.get")


def _referrer(visit: Visit) -> tuple[int, str | None]:
    came = visit.came
    return came.type, came.keyword if came.type == SEARCH else came.name


class WebReports:
    """Reports of one log. What a day or a longer period counted is kept until something is stored in it."""

    def __init__(self, log: MatomoLog, dice: Dice, site_id: int) -> None:
        self._log, self._dice, self._site = log, dice, site_id
        self._kept: dict[Hashable, tuple[int, Table]] = {}

    def answer(self, method: str, params: Mapping[str, str], now: int) -> Any:
        """Rows or figures of a report; a dict by period where several are asked for. Raises MatomoError."""
        if method in _PAGES and params.get("flat") != "1":
            raise MatomoError("This server answers page reports as flat lists only: send flat=1.")
        one = {"Actions.get": self._actions, "Goals.get": self._goals}.get(method)
        several, found = spans(params["period"], params["date"], datetime.fromtimestamp(now, self._log.zone).date())
        made = {}
        for span in found:
            seen = self._archived(method, span, params, now)
            if one is None:
                made[span.key] = self._rows(method, seen, params)
            else:
                made[span.key] = _columns(*one(seen, params), params, several)
        return made if several else made[found[0].key]

    def _archived(self, method: str, span: Span, params: Mapping[str, str], now: int) -> Span | None:
        """The part of a period that the server has archived, and the time it takes the first time."""
        report = f"{method} of site {self._site}"
        if self._dice.unarchived(report, span.first):
            return None
        self._dice.first_time((report, span, params.get("segment", "")), params["period"])
        return archived(span, self._log.zone, now, self._dice.faults.archived_after_seconds)

    def _table(
        self, kind: Hashable, span: Span | None, params: Mapping[str, str], count: Callable[..., Table]
    ) -> Table:
        """The table of a period: the sum of its days, each counted once."""
        if span is None:
            return {}
        text = params.get("segment", "")
        days = range((span.first - _EPOCH).days, (span.last - _EPOCH).days + 1)
        sizes = [len(self._log.days.get(day, ())) + len(self._log.converted.get(day, ())) for day in days]
        key = (kind, span.first, span.last, text)
        kept = self._kept.get(key)
        if kept is None or kept[0] != sum(sizes):
            test = segment(text) if text else None
            if len(days) == 1:
                table = count(visits_of(self._log, days[0], test), test)
            else:
                parts = [_day(number) for number, size in zip(days, sizes, strict=True) if size]
                table = added([self._table(kind, part, params, count) for part in parts])
            kept = self._kept[key] = (sum(sizes), table)
        return kept[1]

    def _rows(self, method: str, span: Span | None, params: Mapping[str, str]) -> list[Row]:
        daily = params["period"] == "day"
        if method in _PAGES:
            return rows.shown(self._page_rows(method, span, params, daily), params)
        key = _KEYS[method]
        table = self._table(method, span, params, lambda visits, test: by_visit(visits, key))
        made = []
        for of, row in _largest(table):
            if of is None:
                made.append(rows.visits_row(rows.OTHERS, row, daily))
                continue
            label, facts = _facts(method, of)
            made.append(rows.visits_row(rows.label_of(label), row, daily) | facts)
        if method == "DevicesDetection.getType" and made:
            known = {row["label"] for row in made}
            made += [
                {"label": name, "nb_visits": 0} | rows.device_facts(name) for name in rows.DEVICES if name not in known
            ]
        return rows.shown(made, params)

    def _page_rows(self, method: str, span: Span | None, params: Mapping[str, str], daily: bool) -> list[Row]:
        entry = method == "Actions.getEntryPageUrls"
        table = self._table("pages", span, params, self._count_pages)
        goals = self._table("conversions", span, params, _count_conversions)
        whole = {str(name): row["nb_conversions"] for name, row in goals.items()}
        wanted = {url: row for url, row in table.items() if not entry or "entry_nb_visits" in row}
        made = []
        for key, row in _largest({(url,): row for url, row in wanted.items()}):
            if key is None:
                made.append(rows.page_row(rows.OTHERS, row, daily, whole, params))
                continue
            (url,) = key
            label = rows.page_label(url)
            made.append(rows.page_row(rows.label_of(label), row, daily, whole, params) | rows.page_facts(url, entry))
        return made

    def _count_pages(self, visits: list[Visit], test: Test | None) -> Table:
        return by_page(self._log, visits, test)

    def _actions(self, span: Span | None, params: Mapping[str, str]) -> tuple[Row, bool]:
        table = self._table("pages", span, params, self._count_pages)
        nothing = dict.fromkeys(("downloads", "uniq_downloads", "outlinks", "uniq_outlinks", "searches", "keywords"), 0)
        views, unique = (sum(row[name] for row in table.values()) for name in ("nb_hits", "nb_visits"))
        made = {"nb_pageviews": views, "nb_uniq_pageviews": unique}
        return made | {f"nb_{name}": value for name, value in nothing.items()}, bool(views)

    def _goals(self, span: Span | None, params: Mapping[str, str]) -> tuple[Row, bool]:
        text = params.get("idGoal", "")
        wanted = int(text) if text.isdigit() else text or None

        def count(visits: list[Visit], test: Test | None) -> Table:
            return {name: goal_totals(filter(of, visits), wanted) for name, of in _SCOPES.items()}

        table = self._table(("goals", wanted), span, params, count)
        made: Row = {}
        for scope in _SCOPES:
            for name, value in _goal_figures(table.get(scope, {}), wanted, params).items():
                made[name + scope] = value
        return made, bool(table and table[""]["visits"])


def _day(number: int) -> Span:
    day = _EPOCH + timedelta(days=number)
    return Span(day.isoformat(), day, day)


def _count_conversions(visits: list[Visit], test: Test | None) -> Table:
    """Conversions by goal of visits that looked at a page."""
    table: Table = {}
    for visit in visits:
        if viewed(visit):
            for one in visit.conversions:
                add_row(table.setdefault(f"idgoal={one.goal}", {}), {"nb_conversions": 1})
    return table


def _goal_figures(total: Row, wanted: int | str | None, params: Mapping[str, str]) -> Row:
    count = total.get("nb_conversions", 0)
    made = {name: total.get(name, 0) for name in ("nb_conversions", "nb_visits_converted")}
    made["revenue"] = rows.plain(round(total.get("revenue", 0), 2))
    if wanted == ORDER:
        made |= {name: rows.plain(round(total.get(name, 0), 2)) for name in _MONEY}
    if wanted in (ORDER, CART):
        made["items"] = total.get("items", 0)
        made["avg_order_revenue"] = rows.plain(round(total.get("revenue", 0) / count, 2)) if count else 0
    made["conversion_rate"] = rows.percent(made["nb_visits_converted"], total.get("visits", 0), params, 2)
    return made


def _largest(table: Table) -> list[tuple[Any, Row]]:
    """The rows by visits; above 500 the smallest are one, with null as key."""
    found: list[tuple[Any, Row]] = sorted(table.items(), key=lambda pair: (-pair[1]["nb_visits"], str(pair[0])))
    if len(found) <= MOST_ROWS:
        return found
    rest: Row = {}
    for _, row in found[MOST_ROWS - 1 :]:
        add_row(rest, row)
    return [*found[: MOST_ROWS - 1], (None, rest)]


def _facts(method: str, of: Any) -> tuple[str, Row]:
    """A row's label and what it says beside its figures."""
    if method == "Referrers.getReferrerType":
        return REFERRER_TYPES[of][1], rows.type_facts(of)
    if method == "Referrers.getAll":
        number, name = of
        return name or "Keyword not defined", rows.referrer_facts(number, name)
    if method == "Referrers.getCampaigns":
        facts = rows.referrer_facts(CAMPAIGN, of)
        return of, {"segment": facts["segment"]}
    return of, rows.device_facts(of)


def _columns(row: Row, any_traffic: bool, params: Mapping[str, str], several: bool) -> Any:
    """The figures asked for by `columns`; [] for an empty period beside others."""
    names = [name for name in params.get("columns", "").split(",") if name]
    if names:
        row = {name: row[name] for name in names if name in row}
        if not row:
            return []
        if len(names) == 1:
            value = row[names[0]]
            return value if several else {"value": value}
    return row if any_traffic or not several else []
