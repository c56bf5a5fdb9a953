"""What a Matomo server has stored of a web site: the log of its actions, with origins and conversions.

Belongs here: bringing a truth's or a tracker's hits into visits. Does not belong here: the rules of visits
(matomo_log), what is accepted from a tracker (matomo_tracking).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from matokit_pipelines.simulator.matomo_log import DAY, Action, Arrival, MatomoLog, Visit
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.simulator.matomo_web_pages import THANKS
from matokit_pipelines.simulator.matomo_web_visits import CART, GOALS, ORDER, Came, Conversion, Goal

_NO_DIMENSIONS = (None, None, None)
_GOALS = {goal.id: goal for goal in GOALS}


class WebHit(NamedTuple):
    """A hit on its way. action: whether it is a page view or event, not only a conversion; timed: with load times."""

    arrival: Arrival
    came: Came
    converts: tuple[Conversion, ...] = ()
    action: bool = True
    timed: bool = False


class WebLog(MatomoLog):
    """The visits of a web site. See MatomoLog."""

    def __init__(self, coming: list[WebHit], zone: str) -> None:
        super().__init__([], zone)
        self._hits = coming
        self._next_hit = 0

    def advance(self, now: int) -> None:
        """Take in everything that has arrived by `now` (epoch seconds, inclusive)."""
        while self._next_hit < len(self._hits) and self._hits[self._next_hit].arrival.at <= now:
            self.take_hit(self._hits[self._next_hit])
            self._next_hit += 1

    def take_hit(self, hit: WebHit) -> None:
        """Store a hit: its action, if it is one, and what it converts, unless the visit has done so before."""
        visit = self.take(hit.arrival) if hit.action else self._touched(hit.arrival)
        if hit.action and not hit.timed:
            self.untimed.add(self.version)
        if hit.action and len(visit.actions) == 1 and not visit.conversions:
            visit.came = hit.came
        for conversion in hit.converts:
            self._convert(visit, conversion)

    def _touched(self, arrival: Arrival) -> Visit:
        self.version += 1
        visit = self._visit_of(arrival) or self._new_visit(arrival)
        if arrival.ts > visit.last:
            visit.last, visit.last_day = arrival.ts, arrival.wall // DAY
        return visit

    def _convert(self, visit: Visit, conversion: Conversion) -> None:
        goal = _GOALS.get(conversion.goal) if isinstance(conversion.goal, int) else None
        if goal and not goal.several and any(known.goal == goal.id for known in visit.conversions):
            return
        if conversion.goal in (ORDER, CART):
            # The same order again is no second one; an order uses the cart up, a new cart replaces the old.
            if any(known.order == conversion.order for known in visit.conversions if known.goal == ORDER):
                return
            visit.conversions = tuple(known for known in visit.conversions if known.goal != CART)
        visit.conversions = (*visit.conversions, conversion)
        self.converted.setdefault(conversion.wall // DAY, []).append(visit)


def reached(action: Action | Arrival, revenue: float | None = None) -> tuple[Conversion, ...]:
    """The goals a page view or event reaches by its address or action."""
    return tuple(converted(goal, action, revenue) for goal in GOALS if _matches(goal, action))


def converted(goal: Goal, action: Action | Arrival, revenue: float | None = None) -> Conversion:
    """The conversion of a goal by an action; its revenue is the goal's where none was sent."""
    return Conversion(goal.id, action.ts, action.wall, goal.revenue if revenue is None else revenue, action.url)


def _matches(goal: Goal, action: Action | Arrival) -> bool:
    if goal.match == "url":
        return action.category is None and goal.pattern in (action.url or "")
    return goal.match == "event_action" and action.action == goal.pattern


def web_hits(truth: WebTruth) -> list[WebHit]:
    """The hits of a truth in order of arrival: each reaches the server in the second it happens."""
    visits = truth.visits
    came = [
        Came(*row)
        for row in visits.select(
            "referrer_type", "referrer_name", "referrer_keyword", "referrer_url", "device"
        ).iter_rows()
    ]
    visitors = visits["visitor"].to_list()
    wall = pl.col("ts").dt.convert_time_zone(truth.zone).dt.replace_time_zone(None).dt.epoch("s")
    rows = truth.hits.with_columns(wall=wall, ts=pl.col("ts").dt.epoch("s"))
    return [_hit(row, visitors[row[0]], came[row[0]]) for row in rows.select(_COLUMNS).iter_rows()]


_COLUMNS = [
    "visit", "ts", "wall", "kind", "url", "title", "category", "action", "name", "value",
    "goal", "revenue", "order_id", "items", "subtotal", "tax", "shipping", "discount",
]  # fmt: skip


def _hit(row: tuple, visitor: str, came: Came) -> WebHit:  # type: ignore[type-arg]
    _, ts, wall, kind, url, title, category, action, name, value, goal, revenue, order, items, *money = row
    kept = int(value) if value is not None and value == int(value) else value
    called = title if kind == "page" else name
    arrival = Arrival(ts, visitor, ts, wall, category, action, called, kept, _NO_DIMENSIONS, url)
    if kind in ("page", "event"):
        return WebHit(arrival, came, timed=kind == "page" and not (url or "").endswith(THANKS))
    what = {"order": ORDER, "cart": CART}.get(kind, goal)
    return WebHit(arrival, came, (Conversion(what, ts, wall, revenue, url, order, items, *money),), action=False)
