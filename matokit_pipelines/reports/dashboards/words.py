"""The finding in a widget's title, by rule: which sentence, and the values in it.

A rate of fewer than ten events is never in a title. report_templates/dashboards/findings.js holds the same rules for
the filters that a reader chooses; the sentences themselves are only here. Not here: showing them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.statistics import rate

Row = Mapping[str, Any]
Parts = Mapping[str, Sequence[Row]]
Said = tuple[str, dict[str, Any]]  # the key of the sentence, and its values
NONE: Said = ("none", {})
NO_EVENTS = "No events in this period"

SENTENCES: dict[str, dict[str, str]] = {
    "success_rate": {
        "both": "{success_rate|percent} of {events|count} events succeeded, {success_rate_before|percent} before",
        "some": "{success_rate|percent} of {events|count} events succeeded",
        "few": "{successes|count} of {events|count} events succeeded, too few to say more",
    },
    "daily_volume": {"some": "Busiest day: {day|weekday} with {events|count} of {total|count} events"},
    "outcomes": {"some": "{failures|count} of {events|count} events failed"},
    "environments": {"some": "{environment|text} has {share|percent} of {events|count} events"},
    "architecture_performance": {
        "two": "{first|text} succeeds in {first_rate|percent} of events, {second|text} in {second_rate|percent}",
        "one": "{first|text} succeeds in {first_rate|percent} of {events|count} events",
        "few": "Fewer than 10 events on each architecture",
    },
    "os_versions": {
        "old": "No new version in the last 7 days",
        "unknown": "Which versions are new is not known yet",
        "one": "New in the last 7 days: {release|text}",
        "several": "{new|count} new versions in the last 7 days, most used {release|text}",
    },
    "architecture_success": {
        "some": "{architecture|text} has {share|percent} of events and succeeds in {success_rate|percent}",
        "few": "Fewer than 10 events on each architecture",
    },
    "os_version_trends": {"some": "{release|text} leads with {share|percent} of {events|count} events"},
    "component_success": {
        "some": "{component|text} fails most often: {failures|count} of {events|count} events",
        "few": "No component with 10 events or more failed",
    },
    "problematic_components": {
        "some": "{component|text} has {failures|count} of the {total|count} failures shown",
        "none": "No failures in this period",
    },
    "component_trends": {
        "some": "Lowest of these: {component|text}, {success_rate|percent} of {events|count} events",
        "whole": "No failure of these components",
        "few": "Fewer than 10 events of each component",
    },
    "component_matrix": {
        "some": "Lowest: {component|text} on {architecture|text}, {success_rate|percent} of {events|count} events",
        "whole": "No failure in a cell of 10 events or more",
        "few": "Fewer than 10 events in each cell",
    },
    "commit_table": {
        "calm": "No commit is worse than those before it by more than chance",
        "one": "{commit|text} is worse than the commits before it, more than chance",
        "several": "{regressions|count} commits are worse than those before them, more than chance",
        "none": "No event of this period names a commit",
    },
    "version_rollback": {
        "one": "Rollback on {day|weekday}: from {from|text} to {to|text}",
        "several": "{rollbacks|count} rollbacks, the latest on {day|weekday} to {to|text}",
        "changes": "No rollback; the leading commit changed {changes|count} times",
        "change": "No rollback; {to|text} took the lead on {day|weekday}",
        "calm": "No rollback; the leading commit did not change",
        "none": "No event of this period names a commit",
    },
    "ci_comparison": {
        "calm": "No component that is green in CI is worse in production by more than chance",
        "one": "{component|text} is green in CI and worse in production, more than chance",
        "several": "{marked|count} components are green in CI and worse in production, more than chance",
        "unjudged": "{production_rate|percent} succeed in production, {ci_rate|percent} in CI",
        "few": "Too few events in production or CI to compare",
    },
    "test_environments": {"some": "{share|percent} of {events|count} events are not from production"},
}
# What is counted in the line below a title: these fields of all rows but one, in this noun.
COUNTED: dict[str, dict[str, Any]] = {
    name: {"fields": ["events"], "noun": "event", "field": "", "value": ""} for name in SENTENCES
} | {
    "outcomes": {"fields": ["events"], "noun": "event", "field": "outcome", "value": "unknown"},
    "problematic_components": {"fields": ["failures"], "noun": "failure", "field": "", "value": ""},
    "ci_comparison": {
        "fields": ["production_events", "ci_events"],
        "noun": "event",
        "field": "component",
        "value": "all",
    },
}


@dataclass(frozen=True)
class Finding:
    """`sentence` is a template over `values`; `counted`: events (failures) behind the widget."""

    sentence: str
    values: Mapping[str, Any]
    counted: int


def finding(widget: str, rows: Sequence[Row], parts: Parts) -> Finding:
    """What the title of a widget says about its rows."""
    counted = count_of(widget, rows)
    key, values = _RULES[widget](rows, parts) if counted else NONE
    return Finding(SENTENCES[widget].get(key, NO_EVENTS), values, counted)


def count_of(widget: str, rows: Sequence[Row]) -> int:
    """The events, or failures, behind a widget."""
    how = COUNTED[widget]
    return sum(
        row[name] or 0
        for row in rows
        if not how["field"] or row[how["field"]] != how["value"]
        for name in how["fields"]
    )


def _enough(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["events"] >= SMALL_NUMBER]


def _success_rate(rows: Sequence[Row], _: Parts) -> Said:
    if rows[0]["events"] < SMALL_NUMBER:
        return "few", dict(rows[0])
    return ("both" if rows[0]["events_before"] >= SMALL_NUMBER else "some"), dict(rows[0])


def _daily_volume(rows: Sequence[Row], _: Parts) -> Said:
    days: dict[str, int] = defaultdict(int)
    for row in rows:
        days[row["event_date"]] += row["events"] or 0
    day = max(days, key=lambda one: days[one])
    return "some", {"day": day, "events": days[day], "total": sum(days.values())}


def _outcomes(rows: Sequence[Row], _: Parts) -> Said:
    found = {row["outcome"]: row["events"] for row in rows}
    return "some", {"failures": found["failure"], "events": found["success"] + found["failure"]}


def _environments(rows: Sequence[Row], _: Parts) -> Said:
    total = sum(row["events"] for row in rows)
    first = rows[0]
    return "some", {"environment": first["environment"], "share": rate(first["events"], total), "events": total}


def _architecture_performance(rows: Sequence[Row], _: Parts) -> Said:
    enough = _enough(rows)
    if not enough:
        return "few", {}
    first = enough[0]
    values = {"first": first["architecture"], "first_rate": first["success_rate"], "events": first["events"]}
    if len(enough) == 1:
        return "one", values
    return "two", values | {"second": enough[1]["architecture"], "second_rate": enough[1]["success_rate"]}


def _os_versions(rows: Sequence[Row], _: Parts) -> Said:
    new = [row for row in rows if row["is_new"]]
    if not new:
        return ("unknown" if any(row["is_new"] is None for row in rows) else "old"), {}
    return ("one" if len(new) == 1 else "several"), {"new": len(new), "release": new[0]["os_release"]}


def _architecture_success(rows: Sequence[Row], _: Parts) -> Said:
    total, enough = sum(row["events"] for row in rows), _enough(rows)
    if not enough:
        return "few", {}
    first = enough[0]
    values = {"architecture": first["architecture"], "success_rate": first["success_rate"]}
    return "some", values | {"share": rate(first["events"], total)}


def _os_version_trends(rows: Sequence[Row], _: Parts) -> Said:
    lines = _sums(rows, "place")
    total = sum(line["events"] for line in lines)
    return "some", {"release": lines[0]["os_release"], "share": rate(lines[0]["events"], total), "events": total}


def _component_success(rows: Sequence[Row], _: Parts) -> Said:
    failing = [row for row in _enough(rows) if row["failures"]]
    return ("some", _of(failing[0], "component", "failures", "events")) if failing else ("few", {})


def _problematic_components(rows: Sequence[Row], _: Parts) -> Said:
    values = {"component": rows[0]["component"], "failures": rows[0]["component_failures"]}
    return "some", values | {"total": sum(row["failures"] for row in rows)}


def _component_trends(rows: Sequence[Row], _: Parts) -> Said:
    return _lowest(_sums(rows, "place"), "component", "success_rate", "events")


def _component_matrix(rows: Sequence[Row], _: Parts) -> Said:
    return _lowest(rows, "component", "architecture", "success_rate", "events")


def _commit_table(rows: Sequence[Row], _: Parts) -> Said:
    worse = [row for row in rows if row["is_regression"]]
    if not worse:
        return "calm", {}
    return ("one" if len(worse) == 1 else "several"), {"regressions": len(worse), "commit": worse[0]["commit_sha"]}


def _version_rollback(_: Sequence[Row], parts: Parts) -> Said:
    changes = parts["changes"]
    back = [row for row in changes if row["is_rollback"]]
    if not changes:
        return "calm", {}
    last = (back or changes)[-1]
    values = {"day": last["event_date"], "from": last["from_commit"], "to": last["to_commit"]}
    if back:
        return ("one" if len(back) == 1 else "several"), values | {"rollbacks": len(back)}
    return ("change" if len(changes) == 1 else "changes"), values | {"changes": len(changes)}


def _ci_comparison(rows: Sequence[Row], _: Parts) -> Said:
    marked = [row for row in rows if row["is_marked"] and row["component"] != "all"]
    if marked:
        return ("one" if len(marked) == 1 else "several"), {
            "component": marked[0]["component"],
            "marked": len(marked),
        }
    if any(row["verdict"] is not None for row in rows):
        return "calm", {}
    total = next((row for row in rows if row["component"] == "all"), None)
    if total is None or min(total["production_events"], total["ci_events"]) < SMALL_NUMBER:
        return "few", {}
    return "unjudged", {"production_rate": total["production_success_rate"], "ci_rate": total["ci_success_rate"]}


def _test_environments(rows: Sequence[Row], _: Parts) -> Said:
    total = sum(row["events"] for row in rows)
    tests = sum(row["events"] for row in rows if row["environment"] != "production")
    return "some", {"share": rate(tests, total), "events": total}


def _sums(rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    """Events, successes and their rate of each line over all its days, in the order of the lines."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        line = found.setdefault(row[name], dict(row) | {"events": 0, "successes": 0})
        line["events"] += row["events"] or 0
        line["successes"] += row.get("successes") or 0
    return [line | {"success_rate": rate(line["successes"], line["events"])} for line in found.values()]


def _lowest(rows: Sequence[Row], *names: str) -> Said:
    enough = _enough(rows)
    if not enough:
        return "few", {}
    low = min(enough, key=lambda row: float(row["success_rate"]))
    return ("some", _of(low, *names)) if low["success_rate"] < 1 else ("whole", {})


def _of(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


_RULES: dict[str, Callable[[Sequence[Row], Parts], Said]] = {
    "success_rate": _success_rate,
    "daily_volume": _daily_volume,
    "outcomes": _outcomes,
    "environments": _environments,
    "architecture_performance": _architecture_performance,
    "os_versions": _os_versions,
    "architecture_success": _architecture_success,
    "os_version_trends": _os_version_trends,
    "component_success": _component_success,
    "problematic_components": _problematic_components,
    "component_trends": _component_trends,
    "component_matrix": _component_matrix,
    "commit_table": _commit_table,
    "version_rollback": _version_rollback,
    "ci_comparison": _ci_comparison,
    "test_environments": _test_environments,
}
