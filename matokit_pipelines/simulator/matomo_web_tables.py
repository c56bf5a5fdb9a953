"""Counting one day of a log into tables: visits by origin or device, page views by address, and sums of such tables.

Belongs here: what each figure counts. Does not belong here: which rows a request gets and how they are written
(matomo_web_reports, matomo_web_rows).

A table is a dict of rows by key, a row a dict of figures. Longer periods are sums of days, as on the server; so
visitors become sums of daily visitors, and money keeps the rounding errors of adding it up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from matokit_pipelines.simulator.matomo_log import Action, MatomoLog, Visit
from matokit_pipelines.simulator.matomo_segments import Test
from matokit_pipelines.simulator.matomo_web_visits import CART, ORDER, Conversion

Row = dict[str, Any]
Table = dict[Hashable, Row]
TIMES = ("network", "server", "transfer", "dom_processing")
# Milliseconds: least, and how many more there can be.
_RANGES = {"network": (5, 56), "server": (50, 351), "transfer": (1, 80), "dom_processing": (100, 801)}


def visits_of(log: MatomoLog, day: int, test: Test | None) -> list[Visit]:
    """The visits of a day (days since 1970), those of a segment if there is one."""
    found = dict.fromkeys(visit for visit, _ in log.days.get(day, ()))
    found |= dict.fromkeys(log.converted.get(day, ()))
    if test is None:
        return list(found)
    return [visit for visit in found if any(test(visit, action) for action in visit.actions)]


def by_visit(visits: Iterable[Visit], key: Callable[[Visit], Hashable | None]) -> Table:
    """Visits counted by a key; None leaves a visit out."""
    table: Table = {}
    visitors: dict[Hashable, set[str]] = {}
    for visit in visits:
        of = key(visit)
        if of is None:
            continue
        row = table.setdefault(of, _visit_row())
        seen = visitors.setdefault(of, set())
        seen.add(visit.visitor)
        row["nb_uniq_visitors"] = len(seen)
        row["nb_visits"] += 1
        row["nb_actions"] += len(visit.actions)
        row["max_actions"] = max(row["max_actions"], len(visit.actions))
        row["sum_visit_length"] += visit.duration
        row["bounce_count"] += len(visit.actions) == 1
        row["nb_visits_converted"] += any(conversion.goal != CART for conversion in visit.conversions)
        _add_goals(row, visit)
    return table


def _visit_row() -> Row:
    names = "nb_uniq_visitors nb_visits nb_actions nb_users max_actions sum_visit_length bounce_count"
    return dict.fromkeys([*names.split(), "nb_visits_converted"], 0)


def _add_goals(row: Row, visit: Visit) -> None:
    seen: set[str] = set()
    for conversion in visit.conversions:
        row.setdefault("nb_conversions", 0)
        row.setdefault("revenue", 0)
        if conversion.goal != CART:
            row["nb_conversions"] += 1
            row["revenue"] += conversion.revenue
        name = f"idgoal={conversion.goal}"
        goal = row.setdefault("goals", {}).setdefault(name, {"nb_conversions": 0, "nb_visits_converted": 0})
        goal["nb_conversions"] += 1
        goal["nb_visits_converted"] += name not in seen
        seen.add(name)
        for column, value in _money(conversion).items():
            goal[column] = goal.get(column, 0) + value


def _money(one: Conversion) -> Row:
    if one.goal == CART:
        return {"revenue": one.revenue, "items": one.items}
    if one.goal != ORDER:
        return {"revenue": one.revenue}
    return {
        "revenue": one.revenue,
        "revenue_subtotal": one.subtotal,
        "revenue_tax": one.tax,
        "revenue_shipping": one.shipping,
        "revenue_discount": one.discount,
        "items": one.items,
    }


def goal_totals(visits: Iterable[Visit], wanted: int | str | None) -> Row:
    """The figures of Goals.get of some visits: of all goals and orders, or of one, carts included."""
    total: Row = {"visits": 0, "nb_conversions": 0, "nb_visits_converted": 0, "revenue": 0}
    for visit in visits:
        total["visits"] += 1
        found = [one for one in visit.conversions if (one.goal == wanted if wanted else one.goal != CART)]
        total["nb_conversions"] += len(found)
        total["nb_visits_converted"] += bool(found)
        for one in found:
            for column, value in _money(one).items():
                total[column] = total.get(column, 0) + value
    return total


def by_page(log: MatomoLog, visits: Iterable[Visit], test: Test | None) -> Table:
    """Page views by address (None: none was sent). Of a segment only the views that pass it themselves count."""
    table: Table = {}
    people: dict[tuple[Hashable, str], set[str]] = {}

    def counted(row: Row, url: str | None, what: str, visit: Visit) -> None:
        seen = people.setdefault((url, what), set())
        seen.add(visit.visitor)
        row[f"{what}nb_uniq_visitors"] = len(seen)
        row[f"{what}nb_visits"] = row.get(f"{what}nb_visits", 0) + 1

    for visit in visits:
        views = [view for view in viewed(visit) if test is None or test(visit, view[0])]
        for number, (action, seconds) in enumerate(views):
            row = table.setdefault(action.url, {"nb_visits": 0, "nb_uniq_visitors": 0, "nb_hits": 0})
            if all(action.url != before.url for before, _ in views[:number]):
                counted(row, action.url, "", visit)
            row["nb_hits"] += 1
            row["sum_time_spent"] = row.get("sum_time_spent", 0) + seconds
            _add_times(row, action.page_id, action.page_id not in log.untimed)
        if views:
            entry, leave = views[0][0].url, views[-1][0].url
            _add_entry(table[entry], visit)
            counted(table[entry], entry, "entry_", visit)
            counted(table[leave], leave, "exit_", visit)
            _add_page_goals(table, visit, [view[0] for view in views])
    return table


def viewed(visit: Visit) -> list[tuple[Action, int]]:
    """The page views of a visit and the seconds of each: until the next, the last until the end of the visit."""
    views = [action for action in visit.actions if action.category is None]
    ends = [*(action.ts for action in views[1:]), visit.first + visit.duration]
    return [(action, max(0, end - action.ts)) for action, end in zip(views, ends, strict=True)] if views else []


def _add_times(row: Row, page_id: int, timed: bool) -> None:
    luck = page_id * 2654435761 % 2**32
    for name in TIMES:
        least, most = _RANGES[name]
        took = least + luck % most if timed else None
        luck //= 7
        row[f"nb_hits_with_time_{name}"] = row.get(f"nb_hits_with_time_{name}", 0) + timed
        row[f"sum_time_{name}"] = row.get(f"sum_time_{name}", 0) + (took or 0)
        for word, choose in (("min", min), ("max", max)):
            known = row.get(f"{word}_time_{name}")
            row[f"{word}_time_{name}"] = took if known is None else known if took is None else choose(known, took)


def _add_entry(row: Row, visit: Visit) -> None:
    for name, value in {
        "entry_nb_actions": len(visit.actions),
        "entry_sum_visit_length": visit.duration,
        "entry_bounce_count": int(len(visit.actions) == 1),
    }.items():
        row[name] = row.get(name, 0) + value


def _add_page_goals(table: Table, visit: Visit, views: list[Action]) -> None:
    for one in visit.conversions:
        before = [action.url for action in views if action.ts <= one.ts]
        for url in dict.fromkeys(before):
            goal = table[url].setdefault("goals", {}).setdefault(f"idgoal={one.goal}", {})
            share = before.count(url) / len(before)
            added: Row = {"nb_conversions": 1, "revenue": one.revenue, "nb_conversions_page_uniq": 1}
            if one.goal != CART:
                added |= {
                    "nb_conv_pages_before": before.count(url),
                    "nb_conversions_attrib": round(share, 4),
                    "revenue_attrib": round(share * one.revenue, 2),
                }
                if url == views[0].url:
                    added |= {"revenue_entry": one.revenue, "nb_conversions_entry": 1}
            for column, value in added.items():
                goal[column] = goal.get(column, 0) + value


def added(tables: list[Table]) -> Table:
    """The sum of the tables of several days."""
    total: Table = {}
    for table in tables:
        for key, row in table.items():
            if key in total:
                add_row(total[key], row)
            else:
                total[key] = _copy(row)
    return total


def _copy(row: Row) -> Row:
    return {name: _copy(value) if isinstance(value, dict) else value for name, value in row.items()}


def add_row(into: Row, row: Row) -> None:
    """Add a row's figures to another's: largest and smallest stay so, everything else is summed."""
    for name, value in row.items():
        known = into.get(name)
        if isinstance(value, dict):
            add_row(into.setdefault(name, {}), value)
        elif known is None or value is None:
            into[name] = value if known is None else known
        elif name.startswith("max_"):
            into[name] = max(known, value)
        elif name.startswith("min_"):
            into[name] = min(known, value)
        else:
            into[name] = known + value
